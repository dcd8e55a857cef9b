"""The conservation laws: any term off by one is caught, and says which."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.ledger import (
    BLACKOUT_LABELS,
    LOSS_LABELS,
    DeliveryLedger,
    LawBrokenError,
    Ledgers,
    OpLabel,
    SelectionsLedger,
    TimeCause,
)

SELECTIONS = [f.name for f in fields(SelectionsLedger) if f.name != "skipped"]
DELIVERY = [f.name for f in fields(DeliveryLedger)]


def _balanced() -> Ledgers:
    """Ledgers that balance, every entry different from 0 and from its neighbours."""
    ledgers = Ledgers()
    for n, label in enumerate(OpLabel, 1):
        ledgers.ops.by_label[label] = 10**n
    ledgers.ops.executed = sum(10**n for n in range(1, len(OpLabel) + 1))
    ledgers.delivery = DeliveryLedger(1, 20, 4_300, 50_000)
    s = ledgers.selections
    s.written, s.lost_at_fault, s.discarded_by_mode = 54_321, 7, 90
    s.passed = 54_321 + 7 + 90
    s.filtered = 3_000_000
    s.completed = s.passed + 3_000_000
    s.collided, s.discarded_in_flight, s.in_flight_at_end = 11, 13, 17
    s.selected = s.completed + 11 + 13 + 17
    s.skipped = 5
    for n, cause in enumerate(TimeCause, 1):
        ledgers.time.stopped[cause] = n * n
    ledgers.time.running = 1_000
    ledgers.time.wall = 1_000 + sum(n * n for n in range(1, len(TimeCause) + 1))
    return ledgers


def test_balanced_ledgers_close() -> None:
    """No law is broken; empty ledgers balance too."""
    _balanced().close()
    Ledgers().close()


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("label", OpLabel)
def test_every_label_counts(label: OpLabel, by: int) -> None:
    """executed = Σ labels."""
    ledgers = _balanced()
    ledgers.ops.by_label[label] += by
    with pytest.raises(LawBrokenError, match=r"^ops ledger: executed"):
        ledgers.close()


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("name", SELECTIONS)
def test_every_selection_term_counts(name: str, by: int) -> None:
    """The three selection laws, and written = Σ delivery."""
    ledgers = _balanced()
    setattr(ledgers.selections, name, getattr(ledgers.selections, name) + by)
    with pytest.raises(LawBrokenError, match=r"^selections ledger"):
        ledgers.close()


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("name", DELIVERY)
def test_every_delivery_term_counts(name: str, by: int) -> None:
    """Every written record has one fate."""
    ledgers = _balanced()
    setattr(ledgers.delivery, name, getattr(ledgers.delivery, name) + by)
    with pytest.raises(LawBrokenError, match=r"^delivery ledger: written"):
        ledgers.close()


def test_written_links_selections_and_delivery() -> None:
    """A record more in every selection term is still missed by delivery."""
    ledgers = _balanced()
    for name in ("selected", "completed", "passed", "written"):
        setattr(ledgers.selections, name, getattr(ledgers.selections, name) + 1)
    with pytest.raises(LawBrokenError, match=r"delivery ledger: written = 54,322 .* \(\+1\)"):
        ledgers.close()


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("cause", TimeCause)
def test_every_time_cause_counts(cause: TimeCause, by: int) -> None:
    """wall = running + Σ stopped."""
    ledgers = _balanced()
    ledgers.time.stopped[cause] += by
    with pytest.raises(LawBrokenError, match=r"^time ledger: wall"):
        ledgers.close()


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize(
    ("ledger", "name"), [("ops", "executed"), ("time", "wall"), ("time", "running")]
)
def test_every_total_counts(ledger: str, name: str, by: int) -> None:
    """The left-hand sides are counters too."""
    ledgers = _balanced()
    part = getattr(ledgers, ledger)
    setattr(part, name, getattr(part, name) + by)
    with pytest.raises(LawBrokenError, match=rf"^{ledger} ledger"):
        ledgers.close()


@settings(deadline=None)
@given(st.integers(-(10**9), 10**9))
def test_skipped_is_in_no_law(skipped: int) -> None:
    """Points passed over by `resync` were never selected."""
    ledgers = _balanced()
    ledgers.selections.skipped = skipped
    ledgers.close()
    assert ledgers.as_dict()["selections"]["skipped"] == skipped


def test_the_message_has_both_sides_and_the_difference() -> None:
    """What a defect report needs."""
    ledgers = Ledgers()
    ledgers.time.wall = 1_234
    ledgers.time.running = 1_200
    with pytest.raises(LawBrokenError) as caught:
        ledgers.close()
    assert str(caught.value) == ("time ledger: wall = 1,234 but running + stopped = 1,200 (+34)")


def test_contract_names() -> None:
    """`ledger` of result.json: every term under its name."""
    d = _balanced().as_dict()
    assert list(d) == ["ops", "selections", "delivery", "time"]
    assert set(d["ops"]) == {"executed", *map(str, OpLabel)}
    assert set(d["selections"]) == {*SELECTIONS, "skipped"}
    assert set(d["delivery"]) == set(DELIVERY)
    assert set(d["time"]) == {"wall", "running", *map(str, TimeCause)}
    assert d["ops"]["profiled"] == 10 ** len(OpLabel)
    assert d["time"]["handler"] == 1


def test_label_groups() -> None:
    """Losses are the blackouts plus a disabled event and refused pins; never `before_start`."""
    assert set(LOSS_LABELS) == {*BLACKOUT_LABELS, OpLabel.EVENT_DISABLED, OpLabel.PIN_REFUSED}
    others = set(OpLabel) - set(LOSS_LABELS)
    assert others == {OpLabel.NOT_IN_POPULATION, OpLabel.BEFORE_START, OpLabel.PROFILED}
