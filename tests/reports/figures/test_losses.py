"""Which arms the figure of loss by symbol shows."""

from __future__ import annotations

from reports.figures import losses
from tests.rigs.fakes import Plan
from tests.rigs.samples import PLANS, changed, described, tables


def test_arms_are_those_whose_loss_moves_most() -> None:
    """Three at most, in the scenario's order, none that moves nothing or is not to be had."""
    moved = {"baremetal": 0.01, "v6": 0.4, "unpinned_cold": 0.3, "refused": 0.0, "silent": 0.2}
    result = changed(described(), **{n: {"loss_skew.mean": m} for n, m in moved.items()})
    names = list(result.arm_order)
    assert losses.chosen(result, names) == ["v6", "unpinned-cold", "silent"]
    assert losses.chosen(result, ["baremetal", "refused"]) == ["baremetal"]


def test_a_row_for_each_of_them() -> None:
    """The loss on the left, the errors on the right; without loss there is no figure."""
    made = losses.figure(described(), tables())
    assert made is not None
    assert len(made.axes) == 2 * len(losses.chosen(described(), [p.name for p in PLANS[:3]]))
    plans = (Plan(lost=0),)
    assert losses.figure(described(plans), tables(plans)) is None
