"""Loss by cause and by symbol."""

from __future__ import annotations

import pytest

from analysis.fidelity import losses
from sim.ledger import OpLabel
from tests.rigs.fakes import OPS, SHARES, Plan, arm


def test_loss_is_a_fraction_of_the_population() -> None:
    """Ops of a label over executed ops of the population."""
    found = losses.loss_fraction(arm(Plan(lost=1234)), OpLabel.IRQ_DELIVERY_FULL)
    assert found.mean == pytest.approx(1234 / OPS)
    assert losses.total_loss(arm(Plan(lost=1234))) == found


def test_loss_in_one_symbol_biases_away_from_it() -> None:
    """Row 12 by hand: 10 % of `beta` lost."""
    lost = round(0.1 * SHARES[1] * OPS / 5)  # from one of its five ops
    rows = losses.loss_by_symbol(arm(Plan(lost=lost, lost_in=1)))
    beta = next(row for row in rows if row.label == "beta")
    loss = lost / (SHARES[1] * OPS)
    assert beta.loss == pytest.approx(loss)
    left = SHARES[1] * (1 - loss)
    assert beta.bias == pytest.approx(left / (1 - SHARES[1] * loss) - SHARES[1])
    assert rows[0] is beta
    assert sum(row.bias for row in rows) == pytest.approx(0, abs=1e-12)


def test_skew_of_loss_is_the_distance_that_it_alone_makes() -> None:
    """Half the absolute biases, without any sampling noise, hence exact."""
    biased = arm(Plan(lost=5000, lost_in=2))
    rows = losses.loss_by_symbol(biased)
    found = losses.loss_skew(biased, "symbol")
    assert found.mean == pytest.approx(sum(abs(r.bias) for r in rows) / 2)
    assert found.exact


def test_no_loss_is_no_skew() -> None:
    """Nothing lost, nothing moved."""
    assert losses.loss_skew(arm(Plan()), "symbol").mean == 0


def test_latency_filters_are_not_explained() -> None:
    """Lost ops cannot be set against a truth that depends on each op's latency."""
    filtered = arm(Plan(lost=100, settings={"spe": {"filter": {"min_latency": 40}}}))
    assert losses.loss_by_symbol(filtered) == []
    assert losses.loss_skew(filtered, "symbol").mean is None


@pytest.mark.parametrize(("loss", "alike"), [(1e-5, True), (2.9e-5, True), (4e-5, False)])
def test_one_order_is_half_a_decade(loss: float, alike: bool) -> None:
    """Twice the loss is of the same order, four times is not."""
    assert losses.same_order(loss, 1e-5) is alike
