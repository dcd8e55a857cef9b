"""PMSFCR: types are a union, events a conjunction, latency a threshold in cycles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.scenario.models.scenario import SpeFilter
from sim.spe.filter import build_filter
from sim.workload.arrays import LEVEL_STRIDE

OTHER, LOAD, STORE, ATOMIC, BRANCH = range(5)
CLASSES = np.arange(5, dtype=np.uint8)
L1D_ACCESS, L1D_REFILL, LLC_MISS = 1 << 2, 1 << 3, 1 << 9
EVENTS = np.array(
    [0, L1D_ACCESS, L1D_ACCESS | L1D_REFILL, L1D_ACCESS | L1D_REFILL | LLC_MISS, 0, 0, 0, 0]
)

SOURCES = np.array([0, 0, 8, 64 + 11, 14, 0, 0, 0])
"""Data source by level: L1, L2, one whose bits [5:0] are 11, DRAM."""


def _kept(spec: SpeFilter) -> set[tuple[int, int]]:
    """(class, level) that pass."""
    passes = build_filter(spec, CLASSES, EVENTS, SOURCES).passes
    assert passes.dtype == np.uint8
    table = passes.reshape(CLASSES.size, LEVEL_STRIDE)
    return {(int(c), int(level)) for c, level in np.argwhere(table)}


def _all(*classes: int) -> set[tuple[int, int]]:
    return {(c, level) for c in classes for level in range(LEVEL_STRIDE)}


@pytest.mark.parametrize(
    ("kinds", "classes"),
    [
        ((), (OTHER, LOAD, STORE, ATOMIC, BRANCH)),
        (("load",), (LOAD, ATOMIC)),
        (("store",), (STORE, ATOMIC)),
        (("branch",), (BRANCH,)),
        (("load", "store"), (LOAD, STORE, ATOMIC)),
        (("load", "branch"), (LOAD, ATOMIC, BRANCH)),
        (("load", "store", "branch"), (LOAD, STORE, ATOMIC, BRANCH)),
    ],
)
def test_types_are_a_union(kinds: tuple[str, ...], classes: tuple[int, ...]) -> None:
    """FT with B, LD, ST: atomics are loads and stores; without FT everything passes."""
    assert _kept(SpeFilter.model_validate(dict.fromkeys(kinds, True))) == _all(*classes)


@pytest.mark.parametrize(
    ("mask", "levels"),
    [
        (L1D_ACCESS, {1, 2, 3}),
        (L1D_REFILL, {2, 3}),
        (L1D_REFILL | LLC_MISS, {3}),
        (1 << 40, set()),
    ],
)
def test_all_event_bits_must_be_set(mask: int, levels: set[int]) -> None:
    """PMSEVFR keeps a record only if it has every bit."""
    assert _kept(SpeFilter(event_filter=mask)) == {(c, level) for c in range(5) for level in levels}


def test_type_and_event_filters_are_both_needed() -> None:
    """FT and FE together: a load that refilled L1D."""
    kept = _kept(SpeFilter(load=True, event_filter=L1D_REFILL))
    assert kept == {(c, level) for c in (LOAD, ATOMIC) for level in (2, 3)}


@pytest.mark.parametrize(
    ("mask", "levels"),
    [
        (1 << 0, {1, 5, 6, 7}),
        (1 << 8, {2}),
        (1 << 11 | 1 << 14, {3, 4}),
        ((1 << 64) - 1, set(range(1, 8))),
    ],
)
def test_data_sources_are_left_out(mask: int, levels: set[int]) -> None:
    """Of loads and atomics, at levels that have one; stores and branches have none and stay."""
    gone = _all(*CLASSES.tolist()) - _kept(SpeFilter(inv_data_src_filter=mask))
    assert gone == {(c, level) for c in (LOAD, ATOMIC) for level in levels}


@settings(deadline=None)
@given(st.integers(0, 4095))
def test_min_latency_is_in_ticks(cycles: int) -> None:
    """MINLAT cycles become ticks and do not touch the type table."""
    built = build_filter(SpeFilter(min_latency=cycles), CLASSES, EVENTS, SOURCES)
    assert built.min_latency == 64 * cycles
    assert built.passes.all()


def test_retired_does_not_drop_everything() -> None:
    """Event 1 (retired) is set in every record, so filtering on it keeps them all."""
    assert _kept(SpeFilter(event_filter=1 << 1)) == _all(*range(5))
