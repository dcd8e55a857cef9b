"""Locked memory over time."""

from __future__ import annotations

from reports.runs import datasets
from sim.results import LockedPoint


def test_long_locked_histories_are_thinned_to_their_peaks() -> None:
    """The highest point of each stretch survives."""
    points = [LockedPoint(t, (t * 7919) % 10_007, 1 << 20) for t in range(20_000)]
    thin = datasets._thinned(points)
    assert len(thin) <= datasets.MAX_STEPS
    assert max(p.locked_bytes for p in thin) == max(p.locked_bytes for p in points)
    assert [p.t for p in thin] == sorted(p.t for p in thin)
