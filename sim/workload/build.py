"""Assemble bodies and segments into the arrays of a stream.

A `Body` is either flat (one entry per op) or indexed (block executions); a `Segment` runs a body
or a slice of it. Positions are accumulated once, here, so that every later question is arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit
from sim.workload import arrays
from sim.workload.arrays import (
    AXES,
    BEGINS,
    CELL,
    CELL_BITS,
    CELL_WORDS,
    COUNT_BITS,
    EXECS,
    L1,
    OP,
    PLACE,
    POP,
    SLOT,
    SLOT_BASE,
    SLOTS,
    TICK,
    TICK_STEP,
    StreamArrays,
    read_only,
)

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Statics:
    """Per static op [S]: population weight, slot (0/1), ticks (of ops without a slot), row."""

    weight: I64
    slots: I64
    ticks: I64
    row: I64


@dataclass(frozen=True, slots=True)
class FlatBody:
    """A loop body, one entry per op [n]: static op, memory level, ticks."""

    static: I64
    level: I64
    ticks: I64


@dataclass(frozen=True, slots=True)
class IndexedBody:
    """A recorded sequence: `execs`, `levels`, `cells` and `pops` as in `StreamArrays`, the extent
    [4], and optionally population counts [C, columns] before every `check_step`-th op, of the
    (static × LEVEL_STRIDE + level) in `check_columns`."""

    execs: U64
    levels: NDArray[np.uint8]
    cells: U64
    pops: I64
    size: I64
    checkpoints: I64 | None = None
    check_columns: I64 | None = None
    check_step: int = 0


@dataclass(frozen=True, slots=True)
class Blocks:
    """Static blocks [K]: first static op, extent [K, 4] (TICK unused)."""

    first: I64
    size: I64


@dataclass(frozen=True, slots=True)
class Segment:
    """Ops [begin, end) of `iterations` turns of a body; whole turns unless iterations is 1."""

    body: int
    iterations: int
    el: int = 0
    masked: bool = False
    skip: tuple[int, int, int, int] = (0, 0, 0, 0)
    size: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Throughput ticks by row + level; laws of time in flight, by (row + level) × laws.STRIDE."""

    row_ticks: I64
    latency: I64


def flat_extent(body: FlatBody, statics: Statics) -> I64:
    """Cumulative (OP, POP, TICK, SLOT) before each op, one extra row for the end: [n + 1, 4]."""
    n = body.static.size
    at = np.zeros((n + 1, AXES), np.int64)
    at[1:, OP] = np.arange(1, n + 1)
    at[1:, POP] = np.cumsum(statics.weight[body.static])
    at[1:, TICK] = np.cumsum(body.ticks)
    at[1:, SLOT] = np.cumsum(statics.slots[body.static])
    return at


# --- the indexed body ------------------------------------------------------------------------


def indexed_body(
    ids: NDArray[np.uint32],
    levels: NDArray[np.uint8],
    blocks: Blocks,
    statics: Statics,
    row_ticks: I64,
) -> IndexedBody:
    """Lay out block executions [E] and the levels of their slots [M]; O(executions + slots).

    Raises OverflowError if a stretch of code takes so long that its ticks do not fit a cell.
    """
    ops = int(_total(ids, blocks.size[:, OP]))
    execs = np.empty(ids.size, np.uint64)
    cells = np.zeros((ops // CELL + 1, CELL_WORDS), np.uint64)
    weighted = bool((blocks.size[:, POP] != blocks.size[:, OP]).any())
    pops = np.zeros(cells.shape[0] if weighted else 0, np.int64)
    before = _before(statics, row_ticks)
    padded = np.zeros(levels.size + 1, np.uint8)
    padded[:-1] = levels
    size, span = _lay_out(
        ids,
        blocks.first,
        blocks.size[:, OP],
        before,
        np.flatnonzero(statics.slots),
        statics.row[statics.slots != 0],
        row_ticks,
        padded,
        execs,
        cells,
        pops,
    )
    if span >> TICK_STEP:
        raise OverflowError(
            f"{CELL} ops and their block take {span:,} ticks, 2^{TICK_STEP} or more"
        )
    return IndexedBody(execs, padded, cells, pops, np.array(size, np.int64))


@njit
def _total(ids: Any, of_block: Any) -> Any:
    """Sum over executions."""
    total = np.int64(0)
    for x in range(ids.size):
        total += of_block[ids[x]]
    return total


@njit
def _lay_out(
    ids: Any,
    first: Any,
    lengths: Any,
    before: Any,
    slot_ops: Any,
    slot_rows: Any,
    row_ticks: Any,
    levels: Any,
    execs: Any,
    cells: Any,
    pops: Any,
) -> Any:
    """Fill `execs`, `cells` and `pops`; returns (extent, longest span of ticks of a cell)."""
    op, pop, tick, slot = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    span, cell_tick = np.int64(0), np.int64(0)
    for x in range(ids.size):
        begin = np.int64(first[ids[x]])
        end = begin + lengths[ids[x]]
        cells[op >> CELL_BITS, BEGINS] |= np.uint64(1) << np.uint64(op & (CELL - 1))
        slower, beyond = np.uint64(0), np.int64(0)
        for k in range(before[begin, arrays.HAS_SLOT], before[end, arrays.HAS_SLOT]):
            at = op + slot_ops[k] - begin
            cells[at >> CELL_BITS, SLOTS] |= np.uint64(1) << np.uint64(at & (CELL - 1))
            row = slot_rows[k]
            more = row_ticks[row + np.int64(levels[slot])] - row_ticks[row + L1]
            if more != 0:
                slower = np.uint64(1)
                beyond += more
            slot += 1
        low = np.uint64(tick) & np.uint64((1 << 32) - 1)
        execs[x] = low | np.uint64(ids[x]) << np.uint64(32) | slower << np.uint64(63)
        done = tick + before[end, arrays.TICKS] - before[begin, arrays.TICKS] + beyond
        span = max(span, done - cell_tick)
        for k in range(op // CELL + 1, (op + end - begin) // CELL + 1):
            inside = k * CELL - op
            static = begin + inside
            slots = slot - before[end, arrays.HAS_SLOT] + before[static, arrays.HAS_SLOT]
            count = np.uint64(COUNT_BITS)
            cells[k, EXECS] = np.uint64(x + 1) | np.uint64(inside) << count
            cells[k, SLOT_BASE] = np.uint64(slots) | np.uint64(tick >> TICK_STEP) << count
            if pops.size > 0:
                pops[k] = pop + before[static, arrays.WEIGHT] - before[begin, arrays.WEIGHT]
            cell_tick = tick
        tick = done
        op += end - begin
        pop += before[end, arrays.WEIGHT] - before[begin, arrays.WEIGHT]
    return (op, pop, tick, slot), span


# --- the stream ------------------------------------------------------------------------------


def assemble(
    statics: Statics,
    flats: Sequence[FlatBody],
    indexed: IndexedBody | None,
    blocks: Blocks | None,
    segments: Sequence[Segment],
    timing: Timing,
    *,
    repeat: int,
    exclude_kernel: bool,
) -> StreamArrays:
    """Bodies are numbered: the flat ones in order, then the indexed one."""
    extents = [flat_extent(body, statics) for body in flats]
    sizes = [extent[-1] for extent in extents] + ([indexed.size] if indexed else [])
    body_size = np.array(sizes, np.int64).reshape(len(sizes), AXES)
    seg_at, seg_skip = _segments_at(segments, body_size, exclude_kernel)
    columns = indexed.check_columns if indexed else None
    tables = {
        arrays.SEG_AT: seg_at,
        arrays.SEG_SKIP: seg_skip,
        arrays.SEG_INFO: np.array(
            [(s.body, _counted(s, exclude_kernel), int(s.masked), s.el) for s in segments]
        ),
        arrays.BODY_SIZE: body_size,
        arrays.BODY_INFO: _body_info(flats, indexed),
        arrays.FLAT_AT: np.concatenate([*(e[:-1] for e in extents), _NO_ROWS]),
        arrays.FLAT_OP: np.concatenate([*(_flat_ops(b, statics) for b in flats), _NONE]),
        arrays.BLOCK: _block_rows(blocks),
        arrays.STATIC: np.stack(
            [statics.weight, statics.slots, statics.ticks, statics.row], axis=1
        ),
        arrays.BEFORE: _before(statics, timing.row_ticks),
        arrays.SLOT_OPS: np.flatnonzero(statics.slots),
        arrays.SLOT_ROWS: statics.row[statics.slots != 0],
        arrays.CHECK_COLUMNS: columns if columns is not None else _NONE,
        arrays.ROW_TICKS: timing.row_ticks,
        arrays.LATENCY: timing.latency,  # the last one: `Stream.latency`
    }
    header = np.zeros(arrays.HEADER, np.int64)
    header[arrays.REPEAT] = repeat
    header[arrays.PASS : arrays.PASS + AXES] = seg_at[-1]
    header[arrays.SEGMENTS] = len(segments)
    header[arrays.STATICS] = statics.weight.size
    header[arrays.BLOCKS] = blocks.first.size if blocks else 0
    header[arrays.CHECK_STEP] = indexed.check_step if indexed else 0
    checkpoints = indexed.checkpoints if indexed else None
    return StreamArrays(
        tables=read_only(_image(header, tables)),
        execs=read_only(indexed.execs if indexed else np.zeros(0, np.uint64)),
        levels=read_only(indexed.levels if indexed else np.zeros(0, np.uint8)),
        cells=read_only(indexed.cells if indexed else np.zeros((0, CELL_WORDS), np.uint64)),
        pops=read_only(indexed.pops if indexed else _NONE),
        checkpoints=read_only(_NO_ROWS if checkpoints is None else checkpoints),
    )


def _before(statics: Statics, row_ticks: I64) -> I64:
    """Sums of weights, slots and ticks (with every slot in L1) before each static op, and the place
    of each: [S + 1, 4]."""
    before = np.zeros((statics.weight.size + 1, AXES), np.int64)
    before[1:, arrays.WEIGHT] = np.cumsum(statics.weight)
    before[1:, arrays.HAS_SLOT] = np.cumsum(statics.slots)
    in_l1 = np.where(statics.slots != 0, row_ticks[statics.row + L1], statics.ticks)
    before[1:, arrays.TICKS] = np.cumsum(in_l1)
    before[:-1, PLACE] = statics.row << arrays.ROW_SHIFT
    before[:-1, PLACE] |= np.arange(statics.weight.size) << 8
    before[:-1, PLACE] |= np.where(statics.slots != 0, 255, 0)
    return before


def _flat_ops(body: FlatBody, statics: Statics) -> I64:
    row_level = statics.row[body.static] + body.level
    return np.asarray(row_level << arrays.ROW_SHIFT | body.static << 8 | body.level)


_NONE = np.zeros(0, np.int64)
_NO_ROWS = np.zeros((0, AXES), np.int64)


def _image(header: I64, tables: dict[int, I64]) -> I64:
    """Header and tables in one array; each table's place is entered in the header."""
    parts, at = [header], header.size
    for slot, table in tables.items():
        header[slot] = at
        parts.append(np.ascontiguousarray(table, np.int64).reshape(-1))
        at += table.size
    return np.concatenate(parts)


def _body_info(flats: Sequence[FlatBody], indexed: IndexedBody | None) -> I64:
    starts = np.cumsum([0, *(body.static.size for body in flats)])
    rows = [(int(start), 0, 0, 0) for start in starts[:-1]]
    if indexed is not None:
        rows.append((-1, indexed.execs.size, 0, 0))
    return np.array(rows, np.int64).reshape(len(rows), AXES)


def _block_rows(blocks: Blocks | None) -> I64:
    if blocks is None:
        return _NO_ROWS
    rows = blocks.size.copy()
    rows[:, arrays.BLOCK_STATIC] = blocks.first
    return rows


def _counted(segment: Segment, exclude_kernel: bool) -> int:
    return int(segment.el == 0 or not exclude_kernel)


def _segments_at(
    segments: Sequence[Segment], body_size: I64, exclude_kernel: bool
) -> tuple[I64, I64]:
    at = np.zeros((len(segments) + 1, AXES), np.int64)
    skip = np.zeros((len(segments), AXES), np.int64)
    for g, segment in enumerate(segments):
        size = (
            np.array(segment.size, np.int64)
            if segment.size is not None
            else body_size[segment.body] * segment.iterations
        )
        size[POP] *= _counted(segment, exclude_kernel)
        at[g + 1] = at[g] + size
        skip[g] = segment.skip
    return at, skip
