"""Where ascending candidates of the population lie: op, work tick and place of each.

The kernel asks for some hundreds at a time. A run of candidates in one iteration, or in one segment
of a flat loop, is served by a small loop that LLVM vectorises; a recorded stream by its cells, in
which an op's execution and slot are a matter of counting bits. `tests/sim/workload/test_places.py`
holds it equal to `seek`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.draws import njit_inline, njit_inner
from sim.fetching import fetch
from sim.workload.arrays import (
    BEFORE,
    BLOCK,
    BLOCK_STATIC,
    BODY,
    BODY_INFO,
    BODY_SIZE,
    CELL_BITS,
    FIRST_FLAT,
    FLAT_AT,
    FLAT_OP,
    OP,
    PASS,
    PLACE,
    POP,
    ROW_SHIFT,
    SEG_AT,
    SEG_INFO,
    SEG_SKIP,
    SEGMENTS,
    TICK,
    block_of,
    high_count,
    in_cell,
    last_at_most,
    low_count,
    op_on,
    tick_of,
    ticks_within,
)

MAX_FLAT = 1 << 20
MAX_SPAN = 1 << 30
FEW = 8
_ROW, _PLACE = np.uint64(4), np.uint64(PLACE)
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


@njit_inner
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


@njit_inner
def places_of(
    S: Any, pop_end: Any, base: Any, spare: Any, cand: Any, ops: Any, tick: Any, place: Any, m: Any
) -> None:
    """Places of ascending candidates; beyond the stream's end the tick is FOREVER.

    All arrays hold at least `m` words; what `spare` holds after has no meaning.
    """
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
            part = slice(j, k)
            _places_indexed(S, base, spare, cand[part], ops[part], tick[part], place[part])
        elif T[size + OP] != T[size + POP]:
            _places_weighted(T, body, base, cand, ops, tick, place, j, k)
        elif k - j >= FEW and T[size + OP] <= MAX_FLAT:
            _places_flat(T, body, base, cand, ops, tick, place, j, k)
        else:
            _places_sparse(T, body, base, cand, ops, tick, place, j, k)
        j = k
    for k in range(j, m):
        ops[k], tick[k], place[k] = -1, FOREVER, 0


@njit_inner
def _places_indexed(
    S: Any, base: Any, spare: Any, cand: Any, ops: Any, tick: Any, place: Any
) -> None:
    """Places of ascending candidates in one iteration of the indexed body.

    Loops of one kind of memory access each: a processor waits for many at once, but not beyond a
    branch that it mispredicts. They hand on what they have found in the arrays of the results.
    """
    pop = base[POP]
    if S.pops.size == 0:
        for j in range(cand.size):
            ops[j] = cand[j] - pop
    else:
        cell = np.int64(-1)
        for j in range(cand.size):
            ops[j], cell = op_on(S, POP, cand[j] - pop, cell)
    from_cells(S.cells, ops, tick, place)
    _from_executions(S.execs, S.levels, spare, tick, place)
    _from_code(S, base[OP], base[TICK], spare, ops, tick, place)


@njit_inner
def from_cells(cells: Any, ops: Any, exec_at: Any, slot_at: Any) -> None:
    """`in_cell` of each op; ascending ones lie too far apart for the processor to foresee them."""
    for j in range(ops.size):
        fetch(cells, ops[j] >> CELL_BITS)
    for j in range(ops.size):
        execution, slots = in_cell(cells, np.uint64(ops[j]))
        exec_at[j], slot_at[j] = np.int64(execution), np.int64(slots)


@njit_inner
def fetch_executions(execs: Any, levels: Any, exec_at: Any, slot_at: Any) -> None:
    """What `from_cells` has found is about to be read."""
    for j in range(exec_at.size):
        fetch(execs, low_count(np.uint64(exec_at[j])))
        fetch(levels, low_count(np.uint64(slot_at[j])))


@njit_inner
def _from_executions(execs: Any, levels: Any, inside: Any, exec_at: Any, slot_at: Any) -> None:
    """`exec_at` becomes the executions' words, `inside` the op in the block and, in its low byte,
    the level of the slot that comes next."""
    fetch_executions(execs, levels, exec_at, slot_at)
    for j in range(exec_at.size):
        at = np.uint64(exec_at[j])
        exec_at[j] = np.int64(execs[low_count(at)])
        level = np.int64(levels[low_count(np.uint64(slot_at[j]))])
        inside[j] = np.int64(high_count(at)) << 8 | level


@njit_inner
def _from_code(
    S: Any, begin_op: Any, begin_tick: Any, inside: Any, ops: Any, words: Any, slot_at: Any
) -> None:
    """What the code says of each op: ops, ticks and places from all that.

    Unsigned, because a signed index would be tested for being negative at every access.
    """
    T = S.tables
    block, before = np.uint64(T[BLOCK] + BLOCK_STATIC), np.uint64(T[BEFORE])
    for j in range(ops.size):
        word, slots = np.uint64(words[j]), np.uint64(slot_at[j])
        first = np.uint64(T[block + _ROW * block_of(word)])
        static = first + np.uint64(inside[j] >> 8)
        ticks = tick_of(word, high_count(slots))
        ticks += ticks_within(S, word, before, first, static, low_count(slots))
        found = T[before + _ROW * static + _PLACE]
        level = inside[j] & found & 255
        ops[j] += begin_op
        words[j] = begin_tick + ticks
        slot_at[j] = (found & ~255) + (level << ROW_SHIFT) + level


@njit_inner
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


@njit_inner
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


@njit_inner
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
