"""Hardware-like selection: which op is tracked when the counter expires, by a table of weights.

Fidelity note. Modelled, as a hypothesis and off by default: the interval counter counts every op as
ever, so when something is selected does not change; but the op that is *tracked* is drawn from the
window of straight-line code around the one that the counter chose, in proportion to weights by
(op class, distance from the last taken branch). A window is at most `Selection.window` ops between
two taken branches. The draw: the counter's op is kept with its weight (of the largest, 1); else
another member of the population in the window is tried, evenly, until one is kept. So a table of
equal weights changes nothing, bit for bit, and each window keeps the selections that fall on it:
SAMPLE_POP, the mean gap and every conservation law stay. After `TRIES` the counter's op stands.

Why the counter and not its decrement: in the only public data (`scenarios/selection/`) the loads of
a run vary less than by chance about a free total (variance/mean 0.73; 0.63 is due where the number
of selections is fixed, 1 where it is not), and on metal samples × period counts memory operations
to a few per cent (NMO), which an uneven decrement would not.

A taken branch is where the next op at the same exception level is not at PC + 4, or the level
changes: a branch that falls through does not start a window. The sample keeps the time of its
selection, so an op up to a window later than it may be recorded. Not modelled: code alignment,
which the public data shows to matter, and lost records; the table cannot tell a record that is lost
from an op that is chosen less. Calibrated by `speskew calibrate`; UNVERIFIED for every core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.draws import allocates, mix64, njit_inner
from sim.workload.a64 import OpClass
from sim.workload.arrays import (
    AXES,
    BLOCK,
    BLOCK_STATIC,
    BODY_INFO,
    BODY_SIZE,
    EL,
    FIRST_FLAT,
    FLAT_OP,
    OP,
    PASS,
    PLACE_MASK,
    POP,
    REPEAT,
    ROW,
    ROW_SHIFT,
    SEG_INFO,
    STATIC,
    WEIGHT,
    Stream,
    seek_from,
    seek_op,
)

I64 = NDArray[np.int64]
TRIES = 64
"""After so many ops that were not kept, the counter's op stands."""
CERTAIN = 1 << 16
"""The largest weight, as an integer."""
CLASSES = len(OpClass)

# The array that compiled code reads: a header, `keep`, then four words for each static op.
WINDOW, COLUMNS, FIRST_STATIC, KEEP = 0, 1, 2, 3
S_CLASS, S_BACK, S_AHEAD, S_PC, S_WORDS = 0, 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Selection:
    """Weights as the samplers read them.

    `keep[op class][distance]` is 0 to `CERTAIN`, the last column for that distance and all beyond;
    `key` addresses the draws, one for each (counter's op, try).
    """

    key: int
    window: int
    keep: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """`Selection` without its key: what a machine is told."""

    window: int
    keep: tuple[tuple[int, ...], ...]


def whole_weights(weights: list[list[float]]) -> tuple[tuple[int, ...], ...]:
    """Weights [class][distance] as integers, the largest `CERTAIN`; to within 1 / 131,072."""
    largest = max(max(row) for row in weights)
    return tuple(tuple(round(CERTAIN * weight / largest) for weight in row) for row in weights)


def selection_array(selection: Selection, stream: Stream) -> I64:
    """What `choose` reads of a selection and of a stream's static ops."""
    back, ahead = _in_block(stream)
    columns = len(selection.keep[0])
    first = KEEP + CLASSES * columns
    statics = np.empty((stream.statics, S_WORDS), np.int64)
    statics[:, S_CLASS] = stream.static_class
    statics[:, S_BACK], statics[:, S_AHEAD] = back, ahead
    statics[:, S_PC] = stream.static_pc.view(np.int64)
    header = np.array([selection.window, columns, first], np.int64)
    keep = np.array(selection.keep, np.int64).reshape(-1)
    return np.concatenate([header, keep, statics.reshape(-1)])


def _in_block(stream: Stream) -> tuple[I64, I64]:
    """How many ops before and after each static op [S] are straight-line code of its block.

    A hint: an op that is in two blocks has what both allow.
    """
    T = stream.arrays.tables
    most = np.iinfo(np.int64).max
    back, ahead = np.full(stream.statics, most), np.full(stream.statics, most)
    for body in range((int(T[BODY_INFO]) - int(T[BODY_SIZE])) // 4):
        first = int(T[T[BODY_INFO] + 4 * body + FIRST_FLAT])
        if first >= 0:
            ops = int(T[T[BODY_SIZE] + 4 * body + OP])
            flat = T[T[FLAT_OP] + first : T[FLAT_OP] + first + ops]
            _straight((flat & PLACE_MASK) >> 8, stream.static_pc, back, ahead)
    for row in range(int(T[BLOCK]), int(T[STATIC]), 4):
        static = int(T[row + BLOCK_STATIC])
        _straight(np.arange(static, static + int(T[row + OP])), stream.static_pc, back, ahead)
    return np.where(back == most, 0, back), np.where(ahead == most, 0, ahead)


def _straight(statics: I64, pcs: NDArray[np.uint64], back: I64, ahead: I64) -> None:
    """Lower `back` and `ahead` of the ops of one block, in the order in which they execute."""
    pc = pcs[statics]
    broken = (np.diff(statics) != 1) | (pc[1:] != pc[:-1] + np.uint64(4))
    begins = np.concatenate([[0], np.flatnonzero(broken) + 1]).astype(np.int64)
    ends = np.append(begins[1:], statics.size)
    at, which = np.arange(statics.size), np.repeat(np.arange(begins.size), ends - begins)
    np.minimum.at(back, statics, at - begins[which])
    np.minimum.at(ahead, statics, ends[which] - 1 - at)


# --- compiled --------------------------------------------------------------------------------


@njit_inner
def _follows(S: Any, table: Any, op: Any, static: Any, el: Any, entry: Any, at: Any) -> Any:
    """(static op at `op`, index entry) if it comes at PC + 4 after `static`; else (-1, entry)."""
    T = S.tables
    other, _, g, entry = seek_op(S, op, entry, at)
    first = table[FIRST_STATIC]
    pc = table[first + S_WORDS * static + S_PC]
    if T[T[SEG_INFO] + 4 * g + EL] != el or table[first + S_WORDS * other + S_PC] != pc + 4:
        return np.int64(-1), entry
    return other, entry


@njit_inner
def _begin_of(S: Any, table: Any, op: Any, static: Any, el: Any, entry: Any, at: Any) -> Any:
    """(first op of the straight-line code that holds `op`, index entry)."""
    T = S.tables
    first = table[FIRST_STATIC]
    while op > 0:
        back = table[first + S_WORDS * static + S_BACK]
        if 0 < back <= op:
            other, _, _, entry = seek_op(S, op - back, entry, at)
            if other == static - back:
                op, static = op - back, other
                continue
        other, _, g, entry = seek_op(S, op - 1, entry, at)
        before = table[first + S_WORDS * other + S_PC]
        level = T[T[SEG_INFO] + 4 * g + EL]
        if level != el or before + 4 != table[first + S_WORDS * static + S_PC]:
            break
        op, static = op - 1, other
    return op, entry


@njit_inner
def _end_of(
    S: Any, table: Any, op: Any, static: Any, el: Any, most: Any, entry: Any, at: Any
) -> Any:
    """(op behind the straight-line code that holds `op`, but at most `most`; index entry)."""
    T = S.tables
    first = table[FIRST_STATIC]
    most = min(most, T[PASS + OP] * T[REPEAT])
    while op + 1 < most:
        ahead = min(table[first + S_WORDS * static + S_AHEAD], most - 1 - op)
        if ahead > 0:
            other, _, _, entry = seek_op(S, op + ahead, entry, at)
            if other == static + ahead:
                op, static = op + ahead, other
                continue
        other, entry = _follows(S, table, op + 1, static, el, entry, at)
        if other < 0:
            break
        op, static = op + 1, other
    return op + 1, entry


@njit_inner
@allocates
def choose(S: Any, key: Any, table: Any, ops: Any, place: Any, m: Any) -> None:
    """Selected ops and their places [m] become those that are tracked, by `selection_array`."""
    T = S.tables
    window, columns, first = table[WINDOW], table[COLUMNS], table[FIRST_STATIC]
    at = np.empty(AXES, np.int64)
    entry = np.int64(-1)
    for j in range(m):
        chosen, op = ops[j], ops[j]
        static, level, g, entry = seek_op(S, op, entry, at)
        el = T[T[SEG_INFO] + 4 * g + EL]
        begin, entry = _begin_of(S, table, op, static, el, entry, at)
        low = op - (op - begin) % window
        pop, members = np.int64(0), np.int64(0)
        for trial in range(TRIES):
            word = mix64(key, np.uint64(chosen * TRIES + trial))
            distance = min(op - begin, columns - 1)
            op_class = table[first + S_WORDS * static + S_CLASS]
            if np.int64(word & np.uint64(0xFFFF)) < table[KEEP + op_class * columns + distance]:
                if op != chosen:
                    ops[j] = op
                    row = T[T[STATIC] + 4 * static + ROW] + level
                    place[j] = (row << ROW_SHIFT) | (static << 8) | level
                break
            if members == 0:
                end, entry = _end_of(S, table, op, static, el, low + window, entry, at)
                last, _, _, entry = seek_op(S, end - 1, entry, at)
                members = at[POP] + T[T[STATIC] + 4 * last + WEIGHT]
                _, _, _, entry = seek_op(S, low, entry, at)
                pop = at[POP]
                members -= pop
            step = np.int64((word >> np.uint64(32)) * np.uint64(members) >> np.uint64(32))
            static, level, _, entry = seek_from(S, POP, pop + step, entry, at)
            op = at[OP]
