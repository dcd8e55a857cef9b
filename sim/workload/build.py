"""Assemble bodies and segments into the arrays of a stream.

A `Body` is either flat (one entry per op) or indexed (block executions); a `Segment` runs a body
or a slice of it. Positions are accumulated once, here, so that every later question is arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.workload import arrays
from sim.workload.arrays import (
    AXES,
    GUESS,
    OP,
    POP,
    SLOT,
    STRIDE,
    TICK,
    StreamArrays,
    guess_width,
    read_only,
)

I64 = NDArray[np.int64]


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
    """A recorded sequence: block ids [E], ticks of each execution [E], levels by slot [M],
    index entries [X, 5] of `index_rows`, the extent [4], and optionally population counts
    [C, S × 8] before every `check_step`-th execution."""

    ids: NDArray[np.uint32]
    exec_ticks: NDArray[np.uint32]
    levels: NDArray[np.uint8]
    index_at: I64
    size: I64
    checkpoints: I64 | None = None
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


def index_rows(
    ids: NDArray[np.uint32], size: I64, exec_ticks: NDArray[np.uint32]
) -> tuple[I64, I64]:
    """Index entries (cumulative extent before every STRIDE-th execution, guess); whole extent."""
    per_exec = size[ids]
    per_exec[:, TICK] = exec_ticks
    entries = -(-ids.size // STRIDE)
    padded = np.zeros((entries * STRIDE, AXES), np.int64)
    padded[: ids.size] = per_exec
    sums = np.cumsum(padded.reshape(entries, STRIDE, AXES).sum(axis=1), axis=0)
    rows = np.zeros((entries, AXES + 1), np.int64)
    rows[1:, :AXES] = sums[:-1]
    begins = rows[:, POP]
    asked = np.arange(entries) * guess_width(rows)
    rows[:, GUESS] = np.searchsorted(begins, asked, side="right") - 1
    return rows, sums[-1]


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
        arrays.BEFORE: _before(statics),
        arrays.SLOT_OPS: np.flatnonzero(statics.slots),
        arrays.SLOT_ROWS: statics.row[statics.slots != 0],
        arrays.ROW_TICKS: timing.row_ticks,
        arrays.LATENCY: timing.latency,
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
        ids=read_only(indexed.ids if indexed else np.zeros(0, np.uint32)),
        exec_ticks=read_only(indexed.exec_ticks if indexed else np.zeros(0, np.uint32)),
        levels=read_only(indexed.levels if indexed else np.zeros(0, np.uint8)),
        index_at=read_only(indexed.index_at if indexed else _NO_ROWS),
        checkpoints=read_only(_NO_ROWS if checkpoints is None else checkpoints),
    )


def _before(statics: Statics) -> I64:
    """Sums of weights, slots and ticks of ops without a slot, before each static op [S + 1, 4]."""
    before = np.zeros((statics.weight.size + 1, AXES), np.int64)
    before[1:, arrays.WEIGHT] = np.cumsum(statics.weight)
    before[1:, arrays.HAS_SLOT] = np.cumsum(statics.slots)
    before[1:, arrays.TICKS] = np.cumsum(np.where(statics.slots != 0, 0, statics.ticks))
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
        rows.append((-1, indexed.ids.size, 0, 0))
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
