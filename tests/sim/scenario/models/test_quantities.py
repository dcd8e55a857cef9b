"""Quantities are written exactly as they were read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.scenario.files.dump import written
from sim.scenario.files.loader import dump, load
from sim.scenario.models.quantities import RATE, Unit
from sim.units import parse_rate, parse_time


def test_every_quantity_has_its_unit() -> None:
    """A reader of the resolved file needs no manual; the largest whole unit is used."""
    text = dump(load("quickstart"))
    for line in ("interval: 1024ops", "aux: 4MiB", "every: 4ms", "clock: 3GHz", "exits: 1000/s"):
        assert f"  {line}\n" in text


@given(st.integers(0, 10**18))
def test_times_are_written_exactly(picos: int) -> None:
    """The largest unit that divides; never a fraction."""
    unit = Unit((("s", 10**12), ("ms", 10**9), ("us", 10**6), ("ns", 10**3), ("ps", 1)))
    assert parse_time(str(written(picos, unit))) == picos


@given(st.integers(10**5, 10**15))
def test_rates_are_written_exactly(gap: int) -> None:
    """The shortest decimal that reads back as the same mean gap."""
    text = str(written(gap, RATE))
    assert parse_rate(text) == gap
    assert len(text) <= 24
