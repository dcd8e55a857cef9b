"""Streams as arrays: positions on every axis, exact truth on any interval, the overlay."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sim.scenario.models.workloads import KernelOverlay, Phase
from sim.workload.arrays import OP, POP, SLOT, TICK
from sim.workload.spestream import read_spestream
from tests.rigs.machines import synthetic
from tests.sim.workload.recorded import OVERLAY, THREAD, recorded


@pytest.mark.parametrize("overlay", [None, OVERLAY], ids=["user", "with kernel"])
@pytest.mark.parametrize("micro_ops", [False, True])
@pytest.mark.parametrize("exclude", [False, True])
def test_positions_agree_on_all_axes(
    overlay: KernelOverlay | None, micro_ops: bool, exclude: bool
) -> None:
    """op ↔ tick ↔ population rank, at random ops of every kind of recorded stream."""
    stream = recorded(overlay, micro_ops=micro_ops, exclude=exclude)
    r = random.Random(1)
    for _ in range(400):
        op = r.randrange(stream.ops)
        place = stream.seek(OP, op)
        assert stream.seek(TICK, place.tick).op == op
        assert stream.op_at(place.tick) == op
        assert stream.op_at(place.tick + 1) == op + 1
        if stream.pop(op + 1) > place.pop:
            assert stream.op_of_pop(place.pop) == op
    assert int(stream.pass_counts.sum()) * stream.repeat == stream.size(POP)


def test_truth_is_exact_on_any_interval() -> None:
    """Counts over [a, b) equal a walk over its ops, across the border of two passes."""
    stream = recorded(OVERLAY)
    size = stream.ops // 2
    begin, end = size - 1500, size + 1500
    counts = np.zeros(stream.statics * 8, np.int64)
    stream.count(begin, end, counts)
    walked = np.zeros_like(counts)
    for op in range(begin, end):
        if stream.pop(op + 1) > stream.pop(op):
            place = stream.seek(OP, op)
            walked[place.static * 8 + place.level] += 1
    assert (counts == walked).all()


def test_long_intervals_equal_the_sum_of_short_ones() -> None:
    """Checkpoints: counts over a million ops equal those of 1,000-op pieces."""
    stream = recorded(OVERLAY)
    begin, end = 123_457, 1_423_499
    at_once = np.zeros(stream.statics * 8, np.int64)
    stream.count(begin, end, at_once)
    pieces = np.zeros_like(at_once)
    for cut in range(begin, end, 1000):
        stream.count(cut, min(cut + 1000, end), pieces)
    assert (at_once == pieces).all()


@pytest.mark.parametrize("micro_ops", [False, True])
@pytest.mark.parametrize("longest", [300, 40_000, 4_000_000])
def test_intervals_counted_together_equal_those_counted_one_by_one(
    longest: int, micro_ops: bool
) -> None:
    """In any order, overlapping, empty, in one pass or over several, to the very end."""
    stream = recorded(OVERLAY, micro_ops=micro_ops, repeat=5)
    r = random.Random(longest)
    begins = [r.randrange(stream.ops) for _ in range(60)]
    pairs = [(a, min(stream.ops, a + r.randrange(longest))) for a in begins]
    pairs += [(0, stream.ops), (7, 7), pairs[0], (stream.ops - 5, stream.ops)]
    together = np.ones(stream.statics * 8, np.int64)
    stream.count_intervals(np.array(pairs, np.int64), together)
    apart = np.ones_like(together)
    for begin, end in pairs:
        stream.count(begin, end, apart)
    assert (together == apart).all()
    stream.count_intervals(np.empty((0, 2), np.int64), together)
    assert (together == apart).all()


def test_overlay_adds_kernel_ops_with_a_masked_prefix() -> None:
    """EL1 entries at ticks: executed, not in a /u population, masked at their beginning."""
    plain, overlaid = recorded(), recorded(OVERLAY)
    added = overlaid.ops - plain.ops
    assert added > 0
    assert overlaid.size(POP) == plain.size(POP)
    assert overlaid.members(0, overlaid.ops) == plain.ops
    assert {"[kernel] tick", "[kernel] svc", "[kernel] page fault"} <= set(overlaid.symbols)
    first = next(op for op in range(overlaid.ops) if overlaid.unmasked_from(op) != op)
    assert overlaid.unmasked_from(first) == first + OVERLAY.masked_prefix
    both = recorded(OVERLAY, exclude=False)
    assert both.size(POP) == overlaid.ops


def test_the_next_op_at_el0() -> None:
    """By hand: 300 user ops, 200 of the kernel, the last half of them masked; three times."""
    loops = [
        Phase(name="user", length=100, iterations=3),
        Phase(name="kernel", length=100, iterations=1, el=1),
        Phase(name="masked", length=100, iterations=1, el=1, irq_masked=True),
    ]
    stream = synthetic(*loops, repeat=3)
    wanted = [op if op % 500 < 300 else (op // 500 + 1) * 500 for op in range(1500)]
    assert [stream.user_from(op) for op in range(1500)] == wanted
    assert stream.user_from(1500) == 1500
    assert [stream.unmasked_from(op) for op in (299, 399, 400, 499)] == [299, 399, 500, 500]


def test_first_access_to_a_page_faults() -> None:
    """One entry per data page and pass, right before the op that touches the page first."""
    overlay = KernelOverlay.model_validate({"tick_every": "100s", "fault_ops": "70ops"})
    plain, stream = recorded(), recorded(overlay)
    recording = read_spestream(THREAD)
    pages = recording.addresses >> np.uint64(12)
    _, first = np.unique(pages, return_index=True)
    svc = stream.ops - plain.ops - 2 * 70 * first.size
    assert svc >= 0
    assert svc % overlay.svc_ops == 0
    faulting = stream.symbols.index("[kernel] page fault")
    for slot in first.tolist():
        access = stream.seek(SLOT, slot)
        before = stream.seek(OP, access.op - 1)
        assert stream.static_symbol[before.static] == faulting
        assert stream.static_class[access.static] in (1, 2, 3)
