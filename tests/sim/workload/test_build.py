"""The indexed body as it is built: every op is found where a walk of the executions comes to it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sim import laws
from sim.workload.arrays import AXES, CELL, LEVEL_STRIDE, OP, POP, SLOT, TICK, StreamArrays, op_on
from sim.workload.arrays import seek_in as seek
from sim.workload.build import (
    Blocks,
    IndexedBody,
    Segment,
    Statics,
    Timing,
    assemble,
    indexed_body,
)
from tests.entered import entered

_op_on = entered(op_on)
ROW_TICKS = np.array([0, 16, 40, 400, 9000, 0, 0, 0] * 2, np.int64)


def _blocks(lengths: list[int], r: random.Random, weighted: bool) -> tuple[Blocks, Statics]:
    n = sum(lengths)
    weight = np.array([r.choice([1, 2, 3]) if weighted else 1 for _ in range(n)], np.int64)
    slots = np.array([int(r.random() < 0.4) for _ in range(n)], np.int64)
    ticks = np.array([r.choice([16, 64]) for _ in range(n)], np.int64)
    row = np.array([r.choice([0, LEVEL_STRIDE]) for _ in range(n)], np.int64)
    first = np.cumsum([0, *lengths])[:-1]
    size = np.zeros((len(lengths), AXES), np.int64)
    for k, (begin, length) in enumerate(zip(first, lengths, strict=True)):
        part = slice(begin, begin + length)
        size[k] = (length, weight[part].sum(), 0, slots[part].sum())
    return Blocks(first, size), Statics(weight, slots, ticks, row)


def _stream(made: IndexedBody, blocks: Blocks, statics: Statics) -> StreamArrays:
    timing = Timing(ROW_TICKS, np.tile(laws.constant(64), ROW_TICKS.size))
    whole = [Segment(0, 1)]
    return assemble(statics, (), made, blocks, whole, timing, repeat=1, exclude_kernel=True)


def _walk(
    ids: list[int], levels: list[int], blocks: Blocks, statics: Statics
) -> list[tuple[list[int], int, int]]:
    """(position, static, level) of each op."""
    at, found = [0] * AXES, []
    for block in ids:
        for s in range(blocks.first[block], blocks.first[block] + blocks.size[block, OP]):
            level = levels[at[SLOT]] if statics.slots[s] else 0
            found.append((at.copy(), s, level))
            at[OP] += 1
            at[POP] += int(statics.weight[s])
            ticks = ROW_TICKS[statics.row[s] + level] if statics.slots[s] else statics.ticks[s]
            at[TICK] += int(ticks)
            at[SLOT] += int(statics.slots[s])
    return found


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("lengths", [[1, 2, 5], [64], [32, 64, 128], [3, 200, 1], [700]])
def test_positions_are_those_of_a_walk(lengths: list[int], weighted: bool) -> None:
    """Blocks shorter and longer than a cell, and as long; every op, every tick of it, any hint."""
    r = random.Random(sum(lengths))
    blocks, statics = _blocks(lengths, r, weighted)
    ids = [r.randrange(len(lengths)) for _ in range(2000 // sum(lengths) + 3)]
    accesses = sum(int(blocks.size[k, SLOT]) for k in ids)
    levels = [r.choice([1, 1, 1, 2, 3, 4, 0]) for _ in range(accesses)]
    executed = np.array(ids, np.uint32)
    made = indexed_body(executed, np.array(levels, np.uint8), blocks, statics, ROW_TICKS)
    S = _stream(made, blocks, statics)
    walked = _walk(ids, levels, blocks, statics)
    ends = [*(at for at, _, _ in walked[1:]), made.size.tolist()]
    for (at, static, level), end in zip(walked, ends, strict=True):
        expected = (*at, static, level, 0)
        assert seek(S, OP, at[OP]) == expected
        for axis in (POP, TICK, SLOT):
            for value in {at[axis], end[axis] - 1} if end[axis] > at[axis] else ():
                assert seek(S, axis, value) == expected
                hint = r.randrange(-1, made.cells.shape[0])
                assert _op_on(S, axis, value, hint)[0] == at[OP]
    assert len(walked) == made.size[OP]
    assert made.cells.shape[0] == len(walked) // CELL + 1


def test_nothing_executed_has_no_extent() -> None:
    """An empty recording."""
    blocks, statics = _blocks([3], random.Random(0), False)
    made = indexed_body(np.zeros(0, np.uint32), np.zeros(0, np.uint8), blocks, statics, ROW_TICKS)
    assert made.size.tolist() == [0, 0, 0, 0]


def test_ticks_that_do_not_fit_a_cell() -> None:
    """2^31 ticks of one block are too many: said, not wrapped."""
    statics = Statics(*(np.array([n], np.int64) for n in (1, 0, 1 << 30, 0)))
    blocks = Blocks(np.zeros(1, np.int64), np.array([[1, 1, 0, 0]], np.int64))
    ids, none = np.zeros(2, np.uint32), np.zeros(0, np.uint8)
    indexed_body(ids[:1], none, blocks, statics, ROW_TICKS)
    with pytest.raises(OverflowError, match=r"2,147,483,648 ticks, 2\^31 or more"):
        indexed_body(ids, none, blocks, statics, ROW_TICKS)
