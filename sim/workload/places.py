"""Where ascending candidates of the population lie: op, work tick and place of each.

The kernel asks for some hundreds at a time. A run of candidates in one iteration, or in one segment
of a flat loop, is served by a small loop that LLVM vectorises; a recorded stream by its index and a
walk of a few block executions. `tests/sim/workload/test_index.py` holds it equal to `seek`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.draws import njit, njit_inline
from sim.workload.arrays import (
    BEFORE,
    BLOCK_STATIC,
    BODY,
    BODY_INFO,
    BODY_SIZE,
    FIRST_FLAT,
    FLAT_AT,
    FLAT_OP,
    GUESS,
    HAS_SLOT,
    OP,
    PASS,
    POP,
    ROW,
    ROW_SHIFT,
    ROW_TICKS,
    SEG_AT,
    SEG_INFO,
    SEG_SKIP,
    SEGMENTS,
    SLOT,
    SLOT_ROWS,
    STATIC,
    STRIDE,
    TICK,
    TICKS,
    WEIGHT,
    guess_width,
    last_at_most,
)
from sim.workload.arrays import (
    BLOCK as BLOCK_TABLE,
)

MAX_FLAT = 1 << 20
MAX_SPAN = 1 << 30
FEW = 8
FOREVER = 1 << 62  # as in sim.engine; here, so that the compiled code's address covers it


@njit_inline
def divide(x: Any, n: Any) -> Any:
    """x // n for 0 <= x < 2^62, 0 < n: two floating-point guesses and an exact correction."""
    q = np.int64(np.float64(x) / np.float64(n))
    r = x - q * n
    more = np.int64(np.float64(r) / np.float64(n))
    q += more
    r -= more * n
    if r < 0:
        q -= 1
    elif r >= n:
        q += 1
    return q


@njit
def _locate(S: Any, cand: Any, base: Any) -> Any:
    """The iteration that holds a candidate: (body, POP rank up to which one call can serve).

    `base` becomes (POP, OP, TICK) of the iteration's begin. A flat body of unit weights is served
    up to the end of its segment, any other to the end of the iteration.
    """
    T = S.tables
    turn = divide(cand, T[PASS + POP])
    rest = cand - turn * T[PASS + POP]
    g = last_at_most(T, T[SEG_AT], T[SEGMENTS], POP, rest)
    seg_at, seg_skip = T[SEG_AT] + 4 * g, T[SEG_SKIP] + 4 * g
    body = T[T[SEG_INFO] + 4 * g + BODY]
    size = T[BODY_SIZE] + 4 * body
    n = T[size + POP]
    x = rest - T[seg_at + POP] + T[seg_skip + POP]
    iteration = divide(x, n)
    base[POP] = cand - (x - iteration * n)
    for axis in (OP, TICK):
        base[axis] = (
            turn * T[PASS + axis]
            + T[seg_at + axis]
            - T[seg_skip + axis]
            + iteration * T[size + axis]
        )
    end = cand - rest + T[seg_at + 4 + POP]
    if T[T[BODY_INFO] + 4 * body + FIRST_FLAT] >= 0 and n == T[size + OP]:
        return body, min(end, base[POP] + MAX_SPAN)
    return body, min(end, base[POP] + n)


@njit
def places_of(
    S: Any, pop_end: Any, base: Any, hint: Any, cand: Any, ops: Any, tick: Any, place: Any, m: Any
) -> Any:
    """Places of ascending candidates; beyond the stream's end the tick is FOREVER."""
    T = S.tables
    j = 0
    while j < m and cand[j] < pop_end:
        body, end = _locate(S, cand[j], base)
        end = min(end, pop_end)
        k = j + 1
        if cand[m - 1] < end:
            k = m
        while k < m and cand[k] < end:
            k += 1
        size = T[BODY_SIZE] + 4 * body
        if T[T[BODY_INFO] + 4 * body + FIRST_FLAT] < 0:
            unit = T[size + OP] == T[size + POP]
            hint = _places_indexed(S, unit, base, cand, ops, tick, place, j, k)
        elif T[size + OP] != T[size + POP]:
            _places_weighted(T, body, base, cand, ops, tick, place, j, k)
        elif k - j >= FEW and T[size + OP] <= MAX_FLAT:
            _places_flat(T, body, base, cand, ops, tick, place, j, k)
        else:
            _places_sparse(T, body, base, cand, ops, tick, place, j, k)
        j = k
    for k in range(j, m):
        ops[k], tick[k], place[k] = -1, FOREVER, 0
    return hint


@njit
def _places_indexed(
    S: Any, unit: Any, base: Any, cand: Any, ops: Any, tick: Any, place: Any, begin: Any, end: Any
) -> Any:
    """Places of ascending candidates in one iteration of an indexed body, all of whose weights are
    1 if it is a `unit` one; returns the last index entry.

    Three loops, since a processor waits for many memory accesses at once, but not beyond a branch
    that it mispredicts: the entry of each candidate, what is read behind it, and then the walks,
    which find everything near.
    """
    T = S.tables
    last = _entries(S.index_at, base[POP], cand, place, begin, end)
    base[SLOT] = _fetched(S, place, begin, end)
    block, static, before = T[BLOCK_TABLE], T[STATIC], T[BEFORE]
    execs = S.ids.size
    for j in range(begin, end):
        rest = cand[j] - base[POP]
        entry = place[j]
        o, p = S.index_at[entry, OP], S.index_at[entry, POP]
        t, slot = S.index_at[entry, TICK], S.index_at[entry, SLOT]
        x = entry * STRIDE
        row = block + 4 * np.int64(S.ids[x])
        while p + T[row + POP] <= rest and x < execs - 1:
            o += T[row + OP]
            p += T[row + POP]
            slot += T[row + SLOT]
            t += np.int64(S.exec_ticks[x])
            x += 1
            row = block + 4 * np.int64(S.ids[x])
        first = T[row + BLOCK_STATIC]
        s = first + rest - p
        if not unit:
            s = first
            while T[before + 4 * s + 4 + WEIGHT] - T[before + 4 * first + WEIGHT] <= rest - p:
                s += 1
        begun, now = before + 4 * first, before + 4 * s
        t += T[now + TICKS] - T[begun + TICKS]
        slots = T[now + HAS_SLOT] - T[begun + HAS_SLOT]
        rows = T[SLOT_ROWS] + T[begun + HAS_SLOT]
        for k in range(slots):
            t += T[T[ROW_TICKS] + T[rows + k] + np.int64(S.levels[slot + k])]
        op = static + 4 * s
        level = np.int64(0)
        if T[op + HAS_SLOT] != 0:
            level = np.int64(S.levels[slot + slots])
        ops[j] = base[OP] + o + s - first
        tick[j] = base[TICK] + t
        place[j] = ((T[op + ROW] + level) << ROW_SHIFT) | (s << 8) | level
    return last


@njit
def _entries(index_at: Any, pop: Any, cand: Any, place: Any, begin: Any, end: Any) -> Any:
    """The index entry of each candidate into `place`; returns the last one's.

    The directory says in which entries a rank may lie: one or two, where blocks are of a kind.
    """
    n = index_at.shape[0]
    width = guess_width(index_at)
    low = np.int64(0)
    for j in range(begin, end):
        rest = cand[j] - pop
        k = min(n - 1, divide(rest, width))
        low = index_at[k, GUESS]
        high = index_at[k + 1, GUESS] if k < n - 1 else n - 1
        while high - low > FEW:
            mid = (low + high + 1) >> 1
            if index_at[mid, POP] <= rest:
                low = mid
            else:
                high = mid - 1
        while low < high and index_at[low + 1, POP] <= rest:
            low += 1
        place[j] = low
    return low


@njit
def _fetched(S: Any, place: Any, begin: Any, end: Any) -> Any:
    """Read what lies behind the entries in `place`; the sum has no meaning but to be read."""
    total = np.int64(0)
    for j in range(begin, end):
        x = place[j] * STRIDE
        total += np.int64(S.ids[x]) + np.int64(S.exec_ticks[x])
        slot = S.index_at[place[j], SLOT]
        total += np.int64(S.levels[slot]) if slot < S.levels.size else np.int64(0)
    return total


@njit
def _places_flat(
    T: Any, body: Any, base: Any, cand: Any, ops: Any, tick: Any, place: Any, begin: Any, end: Any
) -> None:
    """Places in a flat body of unit weights. Division by a reciprocal: x < 2^31, n <= MAX_FLAT.

    Unsigned, because a signed index would be tested for being negative at every access.
    """
    size = T[BODY_SIZE] + 4 * body
    n, turn_ticks = T[size + OP], T[size + TICK]
    first = T[T[BODY_INFO] + 4 * body + FIRST_FLAT]
    ticks = T[FLAT_AT] + 4 * first + TICK
    flat = T[FLAT_OP] + first
    pop0, op0, tick0 = base[POP], base[OP], base[TICK]
    bits = 0
    while (np.int64(1) << bits) < n:
        bits += 1
    shift = np.uint64(31 + bits)
    magic = np.uint64(((np.int64(1) << (31 + bits)) + n - 1) // n)
    size_u, ticks_u, flat_u = np.uint64(n), np.uint64(ticks), np.uint64(flat)
    for j in range(begin, end):
        x = np.uint64(cand[j] - pop0)
        turn = (x * magic) >> shift
        offset = x - turn * size_u
        ops[j] = op0 + np.int64(x)
        tick[j] = tick0 + np.int64(turn) * turn_ticks + T[ticks_u + np.uint64(4) * offset]
        place[j] = T[flat_u + offset]


@njit
def _places_sparse(
    T: Any, body: Any, base: Any, cand: Any, ops: Any, tick: Any, place: Any, begin: Any, end: Any
) -> None:
    """`_places_flat` for so few candidates that its preparation would not pay, or a long body."""
    size = T[BODY_SIZE] + 4 * body
    first = T[T[BODY_INFO] + 4 * body + FIRST_FLAT]
    for j in range(begin, end):
        x = cand[j] - base[POP]
        turn = divide(x, T[size + OP])
        offset = x - turn * T[size + OP]
        ops[j] = base[OP] + x
        tick[j] = base[TICK] + turn * T[size + TICK] + T[T[FLAT_AT] + 4 * (first + offset) + TICK]
        place[j] = T[T[FLAT_OP] + first + offset]


@njit
def _places_weighted(
    T: Any, body: Any, base: Any, cand: Any, ops: Any, tick: Any, place: Any, begin: Any, end: Any
) -> None:
    """Places in one iteration of a flat body in which an op may count more than once."""
    n = T[T[BODY_SIZE] + 4 * body + OP]
    first = T[T[BODY_INFO] + 4 * body + FIRST_FLAT]
    rows = T[FLAT_AT] + 4 * first
    for j in range(begin, end):
        f = last_at_most(T, rows, n, POP, cand[j] - base[POP])
        ops[j] = base[OP] + f
        tick[j] = base[TICK] + T[rows + 4 * f + TICK]
        place[j] = T[T[FLAT_OP] + first + f]
