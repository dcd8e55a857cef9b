"""Assemble bodies and segments into the arrays of a stream.

A `Body` is either flat (one entry per op) or indexed (block executions); a `Segment` runs a body
or a slice of it. Positions are accumulated once, here, so that every later question is arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.workload.arrays import AXES, LEVEL_STRIDE, OP, POP, SLOT, TICK, StreamArrays, read_only

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Statics:
    """Per static op [S]: weight in the population, slot (0/1), ticks (of ops without a slot), row."""

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
    index rows every STRIDE executions [X, 4], and the extent [4]."""

    ids: NDArray[np.uint32]
    exec_ticks: NDArray[np.uint32]
    levels: NDArray[np.uint8]
    index_at: I64
    size: I64


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
    """Throughput ticks by row + level, and latency quantiles by (row + level) × 256 + byte."""

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
    starts = np.cumsum([0] + [body.static.size for body in flats])
    column = _column(len(flats), indexed is not None)
    empty = np.zeros((0, AXES), np.int64)
    return StreamArrays(
        repeat=read_only(np.array([repeat], np.int64)),
        pass_size=read_only(seg_at[-1].copy()),
        seg_at=read_only(seg_at),
        seg_skip=read_only(seg_skip),
        seg_body=_ints([s.body for s in segments]),
        seg_counted=_ints([_counted(s, exclude_kernel) for s in segments]),
        seg_masked=_ints([int(s.masked) for s in segments]),
        seg_el=_ints([s.el for s in segments]),
        body_size=read_only(body_size),
        body_flat=column(list(starts[:-1]), -1),
        body_exec=column([0] * len(flats), 0),
        body_execs=column([0] * len(flats), indexed.ids.size if indexed else 0),
        body_index=column([0] * len(flats), 0),
        body_slot=column([0] * len(flats), 0),
        flat_at=read_only(np.concatenate([e[:-1] for e in extents]) if extents else empty),
        flat_op=read_only(_flat_ops(flats)),
        index_at=read_only(indexed.index_at if indexed else empty),
        ids=read_only(indexed.ids if indexed else np.zeros(0, np.uint32)),
        exec_ticks=read_only(indexed.exec_ticks if indexed else np.zeros(0, np.uint32)),
        levels=read_only(indexed.levels if indexed else np.zeros(0, np.uint8)),
        block_size=read_only(blocks.size if blocks else empty),
        block_first=read_only(blocks.first if blocks else np.zeros(0, np.int64)),
        op_weight=read_only(statics.weight),
        op_slots=read_only(statics.slots),
        op_ticks=read_only(statics.ticks),
        op_row=read_only(statics.row),
        row_ticks=read_only(timing.row_ticks),
        latency=read_only(timing.latency),
    )


def _ints(values: Sequence[int]) -> I64:
    return read_only(np.array(values, np.int64))


def _column(flats: int, has_indexed: bool):  # type: ignore[no-untyped-def]
    def make(flat_values: list[int], indexed_value: int) -> I64:
        return _ints([*flat_values[:flats], *([indexed_value] if has_indexed else [])])

    return make


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


def _flat_ops(flats: Sequence[FlatBody]) -> I64:
    if not flats:
        return np.zeros(0, np.int64)
    return np.concatenate([(body.static << 8) | body.level for body in flats])


def row_of(row: int) -> int:
    """Index of a timing row in `row_ticks` and, times 256, in `latency`."""
    return row * LEVEL_STRIDE
