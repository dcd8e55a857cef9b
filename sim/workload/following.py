"""What an op's exception level executes next: where branches went, and which were not taken.

Fidelity note. A branch's successor is the next op at its own exception level, so that a handler
between the two does not stand for its target; the stream's last branch has none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.draws import allocates, njit, njit_inner, signed
from sim.workload.a64 import OpClass
from sim.workload.arrays import (
    AXES,
    COUNTED,
    EL,
    LEVEL_STRIDE,
    OP,
    PASS,
    REPEAT,
    SEG_AT,
    SEG_INFO,
    Stream,
    seek_op,
)

I64 = NDArray[np.int64]
_CONDITIONAL = 1
"""Bit 0 of a branch's operation type payload."""


def branch_places(stream: Stream) -> I64:
    """PC of each static op [S], bit 0 set where it is a conditional branch; the rest of it is 0."""
    branch = stream.static_class == OpClass.BRANCH
    conditional = branch & (stream.static_payload & _CONDITIONAL != 0)
    pcs = np.array([signed(int(pc)) for pc in stream.static_pc], np.int64)
    return np.asarray((pcs & ~np.int64(3)) | conditional)


@njit_inner
def following(S: Any, op: Any, el: Any, entry: Any, at: Any) -> Any:
    """(static op that `el` executes next after `op` or -1, index entry)."""
    T = S.tables
    end = T[PASS + OP] * T[REPEAT]
    op += 1
    while op < end:
        static, _, g, entry = seek_op(S, op, entry, at)
        if T[T[SEG_INFO] + 4 * g + EL] == el:
            return static, entry
        op = op // T[PASS + OP] * T[PASS + OP] + T[T[SEG_AT] + 4 * (g + 1) + OP]
    return np.int64(-1), entry


@njit_inner
def not_taken(S: Any, places: Any, op: Any, static: Any, el: Any, entry: Any, at: Any) -> Any:
    """(is `op` a conditional branch that went to PC + 4?, index entry); `places` of
    `branch_places`."""
    if places[static] & 1 == 0:
        return False, entry
    after, entry = following(S, op, el, entry, at)
    return after < 0 or places[after] & ~np.int64(3) == (places[static] & ~np.int64(3)) + 4, entry


@njit
@allocates
def _count_not_taken(S: Any, places: Any, begin: Any, end: Any, times: Any, out: Any) -> None:
    """Add the branches among ops [begin, end) that were not taken, `times` each."""
    T = S.tables
    at, ahead = np.empty(AXES, np.int64), np.empty(AXES, np.int64)
    entry = np.int64(-1)
    for op in range(begin, end):
        static, level, g, entry = seek_op(S, op, entry, at)
        info = T[SEG_INFO] + 4 * g
        if places[static] & 1 == 0 or T[info + COUNTED] == 0:
            continue
        missed, _ = not_taken(S, places, op, static, T[info + EL], entry, ahead)
        if missed:
            out[static * LEVEL_STRIDE + level] += times


def count_not_taken(stream: Stream, end: int, out: I64) -> None:
    """Add the population's conditional branches among ops [0, end) that were not taken.

    The first pass stands for all but the last, whose last branch may have no successor.
    """
    places, size = branch_places(stream), int(stream.arrays.tables[PASS + OP])
    turns = min(end // size, stream.repeat - 1)
    if turns > 0:
        _count_not_taken(stream.arrays, places, 0, size, turns, out)
    _count_not_taken(stream.arrays, places, turns * size, end, 1, out)
