"""Keys that are counted as they come, against sorting them."""

from __future__ import annotations

import numpy as np
import pytest

from sim.results import OPS_AT_ONCE
from sim.runs.seen import tally
from sim.runs.seen.tally import Tally


@pytest.mark.parametrize("distinct", [1, 100, 1 << 14, 1 << 17])
@pytest.mark.parametrize("many", [1 << 20, 1000])
def test_counts_are_those_of_sorting(
    distinct: int, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few keys, which stay in the table, and many, which push each other out again and again."""
    monkeypatch.setattr(tally, "_MANY", many)
    rng = np.random.default_rng(distinct)
    known = rng.integers(0, 1 << 62, distinct)
    keys = rng.choice(known, 300_000)
    counted = Tally()
    for begin in range(0, keys.size, OPS_AT_ONCE):
        counted.add(keys[begin : begin + OPS_AT_ONCE])
    counted.add(keys[:0])
    found, times = counted.counts()
    wanted, wanted_times = np.unique(keys, return_counts=True)
    assert np.array_equal(found, wanted)
    assert np.array_equal(times, wanted_times)


def test_nothing_counted_is_nothing() -> None:
    """No key, no row."""
    found, times = Tally().counts()
    assert found.size == times.size == 0
