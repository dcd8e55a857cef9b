"""StreamArrays: one bundle of arrays for every kind of instruction stream, and its queries.

A stream is one *pass*, repeated `repeat` times. A pass is a list of *segments*; a segment runs a
*body* (a loop, or a recorded sequence) some number of times, or a slice of it once, at one
exception level, with interrupts masked or not. Bodies come in two kinds:

* *flat*: one entry per op (synthetic loops, kernel segments);
* *indexed*: a recorded sequence of block executions, with an index entry (a *cell*) for every 64
  ops.

Every op has a position in four coordinates, all integers and all cumulative: OP (executed ops,
``i``), POP (rank in the sample population, ``p``), TICK (work time) and SLOT (memory slots). One
function answers all questions: `seek(S, axis, value)` finds the op that holds `value` on an axis.
``op_of_pop(p)`` is ``seek(S, POP, p)``; the op executing at tick t is ``seek(S, TICK, t)``.

Fidelity note. An op takes the throughput ticks of its (class, memory level), at least one; the
core is in order in time and nothing else is modelled of its pipeline. Populations differ from
executed ops by exception level (PMSCR.E0SPE/E1SPE) and, for micro-op populations, by a weight per
op. Source: Arm ARM D17.2 for the population.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.bits import ALL, ones, place_of_one, width
from sim.draws import allocates, njit, njit_inline, njit_inner, quick

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

OP, POP, TICK, SLOT, AXES = 0, 1, 2, 3, 4
CELL_BITS = 6
CELL = 1 << CELL_BITS
"""Ops of a cell: as many as a word has bits."""
BEGINS, SLOTS, EXECS, SLOT_BASE, CELL_WORDS = range(5)
"""Words of a cell: two bits for each op, does an execution begin with it, has it a memory slot;
then, from bit 0 and from bit COUNT_BITS on: executions begun before the cell, ops of the last of
them that lie before it; slots before it, and at which tick that execution begins (>> TICK_STEP)."""
COUNT_BITS = 36
TICK_STEP = 31
"""In a cell and the execution before it, ticks must span less than 1 << this."""

ROW_SHIFT = 40
PLACE_MASK = (1 << ROW_SHIFT) - 1
"""A *place* is static << 8 | level; above ROW_SHIFT compiled code keeps the timing row + level."""

LEVEL_STRIDE = 8
"""Memory levels per class in every (class, level) table."""


# Header of `StreamArrays.tables`: sizes, then where each table begins.
(
    REPEAT,
    PASS,  # 4 words: extent of one pass
    _PASS_POP,
    _PASS_TICK,
    _PASS_SLOT,
    SEGMENTS,  # how many
    SEG_AT,  # [G + 1, 4] cumulative at segment starts within a pass
    SEG_SKIP,  # [G, 4] where in its body a slice begins
    SEG_INFO,  # [G, 4] body, counted (in the population: 0/1), masked, el
    BODY_SIZE,  # [B, 4] extent of one iteration
    BODY_INFO,  # [B, 4] first flat row or -1, executions, unused, unused
    FLAT_AT,  # [F, 4] cumulative before each flat op within its body
    FLAT_OP,  # [F] (timing row + level) << 40 | static << 8 | level
    BLOCK,  # [K, 4] ops, population, first static op, slots
    STATIC,  # [S, 4] weight, slot (0/1), ticks (of ops without a slot), timing row
    BEFORE,  # [S + 1, 4] sums over the static ops before: weights, slots, ticks in L1; its place
    SLOT_ROWS,  # timing row of each static op with a slot, in order
    SLOT_OPS,  # and which of the static ops it is
    ROW_TICKS,  # [rows] throughput of ops with a slot, by row + level
    LATENCY,  # [rows × laws.STRIDE] laws of time in flight, by (row + level) × STRIDE + cell
    STATICS,  # how many
    BLOCKS,  # how many
    CHECK_STEP,  # ops between checkpoints; 0 without them
    CHECK_COLUMNS,  # static × LEVEL_STRIDE + level of each column of the checkpoints
) = range(24)
HEADER = 24
BODY, COUNTED, MASKED, EL = range(4)
FIRST_FLAT = 0
BLOCK_STATIC = 2
WEIGHT, HAS_SLOT, TICKS, ROW = range(4)
PLACE = 3
"""Column of BEFORE: (timing row << ROW_SHIFT) | static << 8 | a mask of the level, 0 or 255."""
L1 = 1
"""The level of a slot at which `BEFORE` counts its ticks (`sim.workload.timing.MemLevel`)."""


class StreamArrays(NamedTuple):
    """What compiled code reads; all read-only. E block executions, M slots.

    The small tables lie in one int64 array behind a header (a compiled call costs time per array
    that it is given). A stream has at most one indexed body: `execs` [E], `levels` [M + 1] and
    `cells` [X, CELL_WORDS] are its. A word of `execs` is the tick at which the execution begins
    (32 bits), its block (31), and whether any of its slots takes other ticks than in L1. `pops` [X]
    are the population members before each cell, empty if every op counts once; `checkpoints`
    [C, columns] count them before every CHECK_STEP-th op, so that long intervals need no walk.
    """

    tables: I64
    execs: U64
    levels: NDArray[np.uint8]
    cells: U64
    pops: I64
    checkpoints: I64


class Place(NamedTuple):
    """Where a `seek` ended: the op and its position on all axes."""

    op: int
    pop: int
    tick: int
    slot: int
    static: int
    level: int
    segment: int


@njit_inner
def last_at_most(T: Any, start: Any, n: Any, axis: Any, value: Any) -> Any:
    """Last of `n` rows of 4 at `start` whose `axis` entry is at most `value` (else 0)."""
    low, high = 0, n - 1
    while low < high:
        mid = (low + high + 1) >> 1
        if T[start + 4 * mid + axis] <= value:
            low = mid
        else:
            high = mid - 1
    return low


# --- the indexed body ------------------------------------------------------------------------

_TOP, _COUNT, _COUNTS = np.uint64(CELL - 1), np.uint64(COUNT_BITS), np.uint64((1 << COUNT_BITS) - 1)
_CELL_BITS, _TICK_STEP, _1, _4 = (np.uint64(n) for n in (CELL_BITS, TICK_STEP, HAS_SLOT, 4))
_TICKS_COLUMN = np.uint64(TICKS)
_BLOCK_FROM, _TICKS = np.uint64(32), np.uint64((1 << 32) - 1)
_BLOCKS_MASK, _SLOWER = np.uint64((1 << 31) - 1), np.uint64(1 << 63)


@njit_inline
def low_count(word: Any) -> Any:
    """The number in the low COUNT_BITS of a word (uint64)."""
    return word & _COUNTS


@njit_inline
def high_count(word: Any) -> Any:
    """The number above them."""
    return word >> _COUNT


@njit_inner
def in_cell(cells: Any, op: Any) -> Any:
    """Of an op (uint64) of the indexed body: (the execution that holds it, and how many ops of it
    come before; slots before it, and the cell's tick), each two counts in a word.

    Free of branches but for blocks that are longer than a cell.
    """
    k, i = op >> _CELL_BITS, op & _TOP
    upto = ALL >> (_TOP - i)
    begun = cells[k, BEGINS] & upto
    slots = cells[k, SLOTS] & (upto >> _1)
    execs = cells[k, EXECS]
    n = ones(begun)
    inside = i + _1 - width(begun) if n != 0 else i + (execs >> _COUNT)
    exec_at = (execs & _COUNTS) + n - _1
    return exec_at | (inside << _COUNT), cells[k, SLOT_BASE] + ones(slots)


@njit_inline
def block_of(word: Any) -> Any:
    """The block of an execution's word (uint64)."""
    return (word >> _BLOCK_FROM) & _BLOCKS_MASK


@njit_inline
def tick_of(word: Any, high: Any) -> Any:
    """When an execution begins: the first tick from `high` << TICK_STEP on with its low bits."""
    base = high << _TICK_STEP
    return np.int64(base + ((word - base) & _TICKS))


@njit_inline
def ticks_within(S: Any, word: Any, before: Any, first: Any, static: Any, slot: Any) -> Any:
    """Ticks from the begin of an execution (its word) of a block of static ops from `first` on to
    its op `static`, before which there are `slot` slots; `before` is where BEFORE begins. All
    uint64 but the result."""
    T = S.tables
    begun, now = before + _4 * first, before + _4 * static
    ticks = T[now + _TICKS_COLUMN] - T[begun + _TICKS_COLUMN]
    if word & _SLOWER != 0:
        slots = T[now + _1] - T[begun + _1]
        rows = T[SLOT_ROWS] + T[begun + _1]
        for k in range(slots):
            row = T[ROW_TICKS] + T[rows + k]
            ticks += T[row + np.int64(S.levels[np.int64(slot) - slots + k])] - T[row + L1]
    return ticks


@njit_inner
def _before_cell(S: Any, axis: Any, k: Any) -> Any:
    """The position from which cell `k` is searched: its begin, or that of the execution in it."""
    if axis == POP:
        return S.pops[k]
    word = S.cells[k, SLOT_BASE]
    if axis == SLOT:
        return np.int64(low_count(word))
    return tick_of(S.execs[_first_exec(S, k)], high_count(word))


@njit_inline
def _first_exec(S: Any, k: Any) -> Any:
    """The last execution that has begun before cell `k`, or the first one."""
    return max(np.int64(0), np.int64(low_count(S.cells[k, EXECS])) - 1)


@njit_inner
def cell_of(S: Any, axis: Any, rest: Any, hint: Any) -> Any:
    """Last cell of the indexed body that begins at most at `rest` on POP, TICK or SLOT.

    The search gallops from `hint`, or from where the cell would be if all were alike.
    """
    n = S.cells.shape[0]
    low = hint
    if not 0 <= hint < n:
        share = np.float64(rest) / np.float64(max(np.int64(1), _before_cell(S, axis, n - 1)))
        low = min(n - 1, np.int64(share * (n - 1)))
    high, step = low, 1
    while low > 0 and _before_cell(S, axis, low) > rest:
        low, high = max(np.int64(0), low - step), low - 1
        step <<= 1
    if step == 1:
        while low + step < n and _before_cell(S, axis, low + step) <= rest:
            low += step
            step <<= 1
        high = min(n - 1, low + step)
    while low < high:
        mid = (low + high + 1) >> 1
        if _before_cell(S, axis, mid) <= rest:
            low = mid
        else:
            high = mid - 1
    return low


@njit_inner
def op_on(S: Any, axis: Any, rest: Any, hint: Any) -> Any:
    """(op of the indexed body that holds `rest` on an axis, its cell)."""
    if axis == OP or (axis == POP and S.pops.size == 0):
        return rest, rest >> CELL_BITS
    k = cell_of(S, axis, rest, hint)
    if axis == TICK:
        return _op_on_tick(S, rest, k), k
    if axis == POP:
        return _op_on_pop(S, rest, k), k
    nth = np.uint64(rest) - low_count(S.cells[k, SLOT_BASE])
    return (k << CELL_BITS) + np.int64(place_of_one(S.cells[k, SLOTS], nth)), k


@njit_inner
def _op_on_tick(S: Any, rest: Any, k: Any) -> Any:
    """The op of cell `k`, or of the execution that began before, which runs at tick `rest`."""
    T = S.tables
    execs, high = S.cells[k, EXECS], high_count(S.cells[k, SLOT_BASE])
    first = _first_exec(S, k)
    x = first
    while x + 1 < S.execs.size and tick_of(S.execs[x + 1], high) <= rest:
        x += 1
    op = (k << CELL_BITS) - np.int64(high_count(execs))
    if x > first:
        nth = np.uint64(x) - low_count(execs)
        op = (k << CELL_BITS) + np.int64(place_of_one(S.cells[k, BEGINS], nth))
    word = S.execs[x]
    row = T[BLOCK] + 4 * np.int64(block_of(word))
    begin = T[row + BLOCK_STATIC]
    slot = np.int64(low_count(in_cell(S.cells, np.uint64(op))[1]))
    left = rest - tick_of(word, high)
    for static in range(begin, begin + T[row + OP] - 1):
        before = T[BEFORE] + 4 * static + TICKS
        left -= T[before + 4] - T[before]
        if T[T[STATIC] + 4 * static + HAS_SLOT] != 0:
            ticks = T[ROW_TICKS] + T[T[STATIC] + 4 * static + ROW]
            left -= T[ticks + np.int64(S.levels[slot])] - T[ticks + L1]
            slot += 1
        if left < 0:
            return op
        op += 1
    return op


@njit_inner
def _op_on_pop(S: Any, rest: Any, k: Any) -> Any:
    """The op from cell `k` on that holds population rank `rest`."""
    op, pop = k << CELL_BITS, S.pops[k]
    T = S.tables
    while True:
        at, _ = in_cell(S.cells, np.uint64(op))
        inside = np.int64(high_count(at))
        row = T[BLOCK] + 4 * np.int64(block_of(S.execs[low_count(at)]))
        for s in range(T[row + BLOCK_STATIC] + inside, T[row + BLOCK_STATIC] + T[row + OP]):
            pop += T[T[STATIC] + 4 * s + WEIGHT]
            if pop > rest:
                return op
            op += 1


@njit_inner
def _pop_before(S: Any, op: Any) -> Any:
    """Population members before an op of the indexed body."""
    if S.pops.size == 0:
        return op
    T = S.tables
    k = op >> CELL_BITS
    at, pop = k << CELL_BITS, S.pops[k]
    while at < op:
        found, _ = in_cell(S.cells, np.uint64(at))
        inside = np.int64(high_count(found))
        row = T[BLOCK] + 4 * np.int64(block_of(S.execs[low_count(found)]))
        more = min(T[row + OP] - inside, op - at)
        static = T[BEFORE] + 4 * (T[row + BLOCK_STATIC] + inside)
        pop += T[static + 4 * more + WEIGHT] - T[static + WEIGHT]
        at += more
    return pop


@njit_inner
def _position(S: Any, op: Any, at: Any) -> Any:
    """`at` [4] becomes the position of an op of the indexed body; returns (static, level)."""
    T = S.tables
    exec_at, slot_at = in_cell(S.cells, np.uint64(op))
    word, slot = S.execs[low_count(exec_at)], np.int64(low_count(slot_at))
    first = T[T[BLOCK] + 4 * np.int64(block_of(word)) + BLOCK_STATIC]
    static = first + np.int64(high_count(exec_at))
    at[OP], at[POP], at[SLOT] = op, _pop_before(S, op), slot
    before = np.uint64(T[BEFORE])
    ticks = ticks_within(S, word, before, np.uint64(first), np.uint64(static), np.uint64(slot))
    at[TICK] = tick_of(word, high_count(slot_at)) + ticks
    mask = T[T[BEFORE] + 4 * static + PLACE] & 255
    return static, np.int64(S.levels[slot]) & mask


# --- the stream ------------------------------------------------------------------------------


@njit_inline
def _within(S: Any, axis: Any, value: Any) -> Any:
    """Where a position lies: (pass, segment, body, iteration, rest within that)."""
    T = S.tables
    turn = value // T[PASS + axis]
    rest = value - turn * T[PASS + axis]
    g = last_at_most(T, T[SEG_AT], T[SEGMENTS], axis, rest)
    body = T[T[SEG_INFO] + 4 * g + BODY]
    size = T[T[BODY_SIZE] + 4 * body + axis]
    x = rest - T[T[SEG_AT] + 4 * g + axis] + T[T[SEG_SKIP] + 4 * g + axis]
    iteration = x // size if size > 0 else np.int64(0)
    return turn, g, body, iteration, x - iteration * size


@njit_inline
def _seek_from(S: Any, axis: Any, value: Any, hint: Any, at: Any) -> Any:
    """`seek` with a cell to begin at: `at` [4] becomes the op's position; (static, level, segment,
    cell)."""
    T = S.tables
    turn, g, body, iteration, x = _within(S, axis, value)
    seg_at, seg_skip = T[SEG_AT] + 4 * g, T[SEG_SKIP] + 4 * g
    size = T[BODY_SIZE] + 4 * body
    first = T[T[BODY_INFO] + 4 * body + FIRST_FLAT]
    entry = hint
    if first >= 0:
        rows = T[FLAT_AT] + 4 * first
        f = x if axis == OP else last_at_most(T, rows, T[size + OP], axis, x)
        for k in range(AXES):
            at[k] = T[rows + 4 * f + k]
        static = (T[T[FLAT_OP] + first + f] & PLACE_MASK) >> 8
        level = T[T[FLAT_OP] + first + f] & 255
    else:
        op, entry = op_on(S, axis, x, hint)
        static, level = _position(S, op, at)
    if T[T[SEG_INFO] + 4 * g + COUNTED] == 0:
        at[POP] = 0
        iteration_pop = np.int64(0)
    else:
        iteration_pop = iteration * T[size + POP] - T[seg_skip + POP]
    for k in range(AXES):
        inner = iteration_pop if k == POP else iteration * T[size + k] - T[seg_skip + k]
        at[k] += turn * T[PASS + k] + T[seg_at + k] + inner
    return static, level, g, entry


@njit_inner
def seek_from(S: Any, axis: Any, value: Any, hint: Any, at: Any) -> Any:
    """`_seek_from` on any axis."""
    return _seek_from(S, axis, value, hint, at)


@njit_inner
def seek_op(S: Any, op: Any, hint: Any, at: Any) -> Any:
    """`seek_from` of an op, which no cell need be looked for: far quicker."""
    return _seek_from(S, OP, op, hint, at)


@njit
@allocates
def seek_in(S: Any, axis: Any, value: Any) -> Any:
    """Place of the op that holds `value` on `axis`."""
    at = np.empty(AXES, np.int64)
    static, level, g, _ = seek_from(S, axis, value, np.int64(-1), at)
    return at[OP], at[POP], at[TICK], at[SLOT], static, level, g


@njit_inner
@allocates
def pop_at(S: Any, op: Any) -> Any:
    """Population members below an op within the stream."""
    at = np.empty(AXES, np.int64)
    seek_op(S, op, np.int64(-1), at)
    return at[POP]


@njit
def op_at(S: Any, tick: Any, near: Any) -> Any:
    """First op that begins at or after a work time within the stream; `near` is an op not far from
    it, a hint, or -1."""
    if tick <= 0:
        return np.int64(0)
    T = S.tables
    turn, g, body, iteration, x = _within(S, TICK, tick - 1)
    begin = turn * T[PASS + OP] + T[T[SEG_AT] + 4 * g + OP] - T[T[SEG_SKIP] + 4 * g + OP]
    begin += iteration * T[T[BODY_SIZE] + 4 * body + OP]
    first = T[T[BODY_INFO] + 4 * body + FIRST_FLAT]
    if first >= 0:
        rows, n = T[FLAT_AT] + 4 * first, T[T[BODY_SIZE] + 4 * body + OP]
        return begin + last_at_most(T, rows, n, TICK, x) + 1
    hint = (near - begin) >> CELL_BITS if near >= begin else np.int64(-1)
    return begin + op_on(S, TICK, x, hint)[0] + 1


@njit
def rows_of(S: Any, begin: Any, end: Any) -> Any:
    """Which rows of `cells`, `execs` and `levels` the ops [begin, end) need, as far as they lie in
    one iteration of the indexed body; none in a flat one."""
    T = S.tables
    ops = T[PASS + OP] * T[REPEAT]
    _, _, body, _, x = _within(S, OP, min(begin, ops - 1))
    if T[T[BODY_INFO] + 4 * body + FIRST_FLAT] >= 0:
        return (0, 0), (0, 0), (0, 0)
    y = min(x + end - begin, T[T[BODY_SIZE] + 4 * body + OP] - 1)
    exec_at, slot_at = in_cell(S.cells, np.uint64(x))
    exec_end, slot_end = in_cell(S.cells, np.uint64(y))
    return (
        (x >> CELL_BITS, (y >> CELL_BITS) + 1),
        (np.int64(low_count(exec_at)), np.int64(low_count(exec_end)) + 1),
        (np.int64(low_count(slot_at)), np.int64(low_count(slot_end)) + 1),
    )


_NO_WORDS, _NO_LEVELS = np.empty(0, np.uint64), np.empty(0, np.uint8)
_NO_CELLS, _NO_POPS = np.empty((0, CELL_WORDS), np.uint64), np.empty(0, np.int64)
_NO_CHECKPOINTS = np.empty((0, 0), np.int64)


@njit_inline
def _flat_stream(T: Any) -> Any:
    """A stream without an indexed body: one array handed over makes a call far cheaper than six."""
    return StreamArrays(T, _NO_WORDS, _NO_LEVELS, _NO_CELLS, _NO_POPS, _NO_CHECKPOINTS)


@njit
def _seek_flat(T: Any, axis: Any, value: Any) -> Any:
    return seek_in(_flat_stream(T), axis, value)


@njit
def _op_at_flat(T: Any, tick: Any) -> Any:
    return op_at(_flat_stream(T), tick, np.int64(-1))


@njit_inner
def _add_flat(S: Any, body: Any, a: Any, b: Any, times: Any, out: Any) -> None:
    """Add ops [a, b) of consecutive iterations of a flat body so many times."""
    T = S.tables
    n = T[T[BODY_SIZE] + 4 * body + OP]
    ops = T[FLAT_OP] + T[T[BODY_INFO] + 4 * body + FIRST_FLAT]
    whole = max(np.int64(0), b // n - a // n - 1)
    b -= whole * n
    if whole > 0:
        for f in range(n):
            static = (T[ops + f] & PLACE_MASK) >> 8
            weight = T[T[STATIC] + 4 * static + WEIGHT]
            out[static * LEVEL_STRIDE + (T[ops + f] & 255)] += times * whole * weight
    f = a % n
    for _ in range(a, b):
        static = (T[ops + f] & PLACE_MASK) >> 8
        weight = T[T[STATIC] + 4 * static + WEIGHT]
        out[static * LEVEL_STRIDE + (T[ops + f] & 255)] += times * weight
        f += 1
        if f == n:
            f = 0


@njit_inner
def _add_indexed(S: Any, a: Any, b: Any, times: Any, blocks: Any, out: Any) -> None:
    """Add ops [a, b) of one iteration of the indexed body so many times, over the checkpoints that
    are nearest to its ends where they help; what is too much is taken away again."""
    T = S.tables
    step = T[CHECK_STEP]
    if step > 0:
        top = S.checkpoints.shape[0] - 1
        first, last = min(top, (a + step // 2) // step), min(top, (b + step // 2) // step)
        if last > first:
            for k in range(S.checkpoints.shape[1]):
                count = S.checkpoints[last, k] - S.checkpoints[first, k]
                out[T[T[CHECK_COLUMNS] + k]] += times * count
            _walk_between(S, a, first * step, times, blocks, out)
            a = last * step
    _walk_between(S, a, b, times, blocks, out)


@njit_inner
def _walk_between(S: Any, a: Any, b: Any, times: Any, blocks: Any, out: Any) -> None:
    """Add ops [a, b) of one iteration of the indexed body; take ops [b, a) away if a > b."""
    if a < b:
        _walk_indexed(S, a, b, times, blocks, out)
    elif a > b:
        _walk_indexed(S, b, a, -times, blocks, out)


@njit_inner
def _walk_indexed(S: Any, a: Any, b: Any, times: Any, blocks: Any, out: Any) -> None:
    """Add ops [a, b), a < b, of one iteration of the indexed body so many times, block by block.

    Of a block that is executed whole only the ops with a slot, whose level is the execution's own,
    are added here; the others when all is done, as often as `blocks` says (`_add_blocks`).
    """
    T = S.tables
    exec_at, slot_at = in_cell(S.cells, np.uint64(a))
    x, o = np.int64(low_count(exec_at)), a - np.int64(high_count(exec_at))
    begin = T[T[BLOCK] + 4 * np.int64(block_of(S.execs[x])) + BLOCK_STATIC]
    before = T[BEFORE] + 4 * begin + HAS_SLOT
    m = np.int64(low_count(slot_at)) - T[before + 4 * (a - o)] + T[before]
    while o < b:
        block = np.int64(block_of(S.execs[x]))
        row = T[BLOCK] + 4 * block
        ops, slots = T[row + OP], T[row + SLOT]
        if a <= o and o + ops <= b:
            blocks[block] += times
            begun = T[SLOT_OPS] + T[T[BEFORE] + 4 * T[row + BLOCK_STATIC] + HAS_SLOT]
            for k in range(slots):
                s = T[begun + k]
                weight = T[T[STATIC] + 4 * s + WEIGHT]
                out[s * LEVEL_STRIDE + np.int64(S.levels[m + k])] += times * weight
        else:
            begin, end = max(a - o, np.int64(0)), min(b - o, ops)
            _add_part(S, T[row + BLOCK_STATIC], m, begin, end, times, out)
        o += ops
        m += slots
        x += 1


@njit_inner
def _add_part(S: Any, s: Any, slot: Any, a: Any, b: Any, times: Any, out: Any) -> None:
    """Add ops [a, b) of a block of static ops from `s` on, with slots from `slot` on."""
    T = S.tables
    for k in range(b):
        static = T[STATIC] + 4 * (s + k)
        level = np.int64(0)
        if T[static + HAS_SLOT] != 0:
            level = np.int64(S.levels[slot])
            slot += 1
        if k >= a:
            out[(s + k) * LEVEL_STRIDE + level] += times * T[static + WEIGHT]


@njit_inner
def _add_blocks(S: Any, blocks: Any, out: Any) -> None:
    """Add the ops without a slot of blocks that were executed whole, so many times each."""
    T = S.tables
    for block in range(blocks.size):
        if blocks[block] == 0:
            continue
        row = T[BLOCK] + 4 * block
        for s in range(T[row + BLOCK_STATIC], T[row + BLOCK_STATIC] + T[row + OP]):
            static = T[STATIC] + 4 * s
            if T[static + HAS_SLOT] == 0:
                out[s * LEVEL_STRIDE] += blocks[block] * T[static + WEIGHT]


@njit_inner
def _count_in_pass(S: Any, begin: Any, end: Any, times: Any, blocks: Any, out: Any) -> None:
    """Add the population members among ops [begin, end) of one pass to `blocks` and `out`."""
    T = S.tables
    for g in range(last_at_most(T, T[SEG_AT], T[SEGMENTS], OP, begin), T[SEGMENTS]):
        start, stop = T[T[SEG_AT] + 4 * g + OP], T[T[SEG_AT] + 4 * g + 4 + OP]
        if start >= end:
            break
        info = T[SEG_INFO] + 4 * g
        if T[info + COUNTED] == 0:
            continue
        shift = T[T[SEG_SKIP] + 4 * g + OP] - start
        a, b = max(begin, start) + shift, min(end, stop) + shift
        body = T[info + BODY]
        if T[T[BODY_INFO] + 4 * body + FIRST_FLAT] >= 0:
            _add_flat(S, body, a, b, times, out)
            continue
        n = T[T[BODY_SIZE] + 4 * body + OP]
        while a < b:
            turn_end = min(b, (a // n + 1) * n)
            _add_indexed(S, a % n, a % n + turn_end - a, times, blocks, out)
            a = turn_end


@njit
@allocates
def _count_stretches(S: Any, ends: Any, times: Any, out: Any) -> None:
    """Population members of each stretch [ends[k], ends[k + 1]) of one pass, so many times."""
    blocks = np.zeros(S.tables[BLOCKS], np.int64)
    for k in range(times.size):
        if times[k] != 0:
            _count_in_pass(S, ends[k], ends[k + 1], times[k], blocks, out)
    _add_blocks(S, blocks, out)


@njit
def counted_ops(S: Any, op: Any) -> Any:
    """Ops below `op` whose exception level is profiled."""
    T = S.tables
    per_pass = np.int64(0)
    partial = np.int64(0)
    turn = op // T[PASS + OP]
    rest = op - turn * T[PASS + OP]
    for g in range(T[SEGMENTS]):
        if T[T[SEG_INFO] + 4 * g + COUNTED] == 0:
            continue
        start, stop = T[T[SEG_AT] + 4 * g + OP], T[T[SEG_AT] + 4 * g + 4 + OP]
        per_pass += stop - start
        if rest > start:
            partial += min(rest, stop) - start
    return turn * per_pass + partial


@njit
def unmasked_from(S: Any, op: Any) -> Any:
    """First op at or after `op` that executes with interrupts unmasked; -1 if none ever does."""
    return clear_from(S, op, MASKED)


@njit
def clear_from(S: Any, op: Any, what: Any) -> Any:
    """First op at or after `op` whose segment has 0 for MASKED or EL; -1 if there is none."""
    T = S.tables
    turn = op // T[PASS + OP]
    g = last_at_most(T, T[SEG_AT], T[SEGMENTS], OP, op - turn * T[PASS + OP])
    if T[T[SEG_INFO] + 4 * g + what] == 0:
        return op
    for step in range(1, T[SEGMENTS] + 1):
        h = g + step
        wrapped = h >= T[SEGMENTS]
        if wrapped:
            h -= T[SEGMENTS]
        if T[T[SEG_INFO] + 4 * h + what] == 0:
            return (turn + wrapped) * T[PASS + OP] + T[T[SEG_AT] + 4 * h + OP]
    return -1


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream and its queries, with plain ints in and out.

    `arrays` is what compiled code reads; `names` and `ranges` say which symbol each static op
    belongs to; `static_*` describe the static ops for records and profiles (S entries each).
    """

    arrays: StreamArrays
    static_pc: NDArray[np.uint64]
    static_class: NDArray[np.uint8]
    static_payload: NDArray[np.uint8]
    static_symbol: NDArray[np.int32]
    symbols: tuple[str, ...]
    addresses: NDArray[np.uint64]  # per SLOT of one pass; empty if the stream has none
    pass_counts: I64  # population members of one pass by static × LEVEL_STRIDE + level
    name: str
    build_seconds: float = 0.0  # of the host that built it: a measurement, no simulated time
    remarks: tuple[str, ...] = ()  # of the import, about what in the recording is in doubt
    siblings: tuple[Stream, ...] = ()  # further threads of the process: same static ops, own course
    repeat: int = field(init=False)
    ops: int = field(init=False)
    all_counted: bool = field(init=False)
    never_masked: bool = field(init=False)
    _sizes: tuple[int, ...] = field(init=False)
    pop_is_op: bool = field(init=False)
    _flat: bool = field(init=False)

    def __post_init__(self) -> None:
        T = self.arrays.tables
        repeat = int(T[REPEAT])
        info = T[T[SEG_INFO] : T[SEG_INFO] + 4 * T[SEGMENTS]].reshape(-1, 4)
        sizes = tuple(int(T[PASS + axis]) * repeat for axis in range(AXES))
        derived = {
            "repeat": repeat,
            "ops": sizes[OP],
            "_sizes": sizes,
            "all_counted": bool(info[:, COUNTED].all()),
            "pop_is_op": sizes[OP] == sizes[POP] and bool(info[:, COUNTED].all()),
            "_flat": self.arrays.execs.size == 0,
            "never_masked": not info[:, MASKED].any(),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def threads(self) -> tuple[Stream, ...]:
        """What vCPUs run, in order; of a single thread every vCPU has a copy."""
        return (self, *self.siblings)

    def of(self, vcpu: int) -> Stream:
        """What a vCPU runs."""
        return self.threads[vcpu] if self.siblings else self

    @property
    def longest(self) -> int:
        """Ops of the longest thread."""
        return max(thread.ops for thread in self.threads)

    def size(self, axis: int) -> int:
        """Extent of the whole stream on an axis."""
        return self._sizes[axis]

    def rows(self) -> I64:
        """Timing row of each static op [S]."""
        T = self.arrays.tables
        return T[T[STATIC] : T[STATIC] + 4 * T[STATICS]].reshape(-1, 4)[:, ROW]

    def latency(self) -> I64:
        """Laws of time in flight (`sim.laws`), by (row + level) × laws.STRIDE + cell."""
        T = self.arrays.tables
        return T[T[LATENCY] :]

    @property
    def statics(self) -> int:
        """Number of static ops."""
        return int(self.static_class.size)

    def seek(self, axis: int, value: int) -> Place:
        """The op that holds `value` on `axis`; 0 <= value < size(axis)."""
        return Place._make(self._seek(axis, value))

    def _seek(self, axis: int, value: int) -> tuple[int, ...]:
        if self._flat:
            return quick(_seek_flat)(self.arrays.tables, axis, value)  # type: ignore[no-any-return]
        return quick(seek_in)(self.arrays, axis, value)  # type: ignore[no-any-return]

    def tick(self, op: int) -> int:
        """Work time at which `op` begins; the stream's length for op = ops."""
        return self.size(TICK) if op >= self.ops else int(self._seek(OP, op)[2])

    def pop(self, op: int) -> int:
        """Population members below `op`."""
        if self.pop_is_op:
            return op
        return self.size(POP) if op >= self.ops else int(self._seek(OP, op)[1])

    def op_at(self, tick: int) -> int:
        """First op that begins at or after a work time: ops begun before it have executed."""
        if tick > self._sizes[TICK]:
            return self.ops
        if self._flat:
            return int(quick(_op_at_flat)(self.arrays.tables, tick))
        return int(quick(op_at)(self.arrays, tick, -1))

    def op_of_pop(self, pop: int) -> int:
        """The op of population rank `pop`; `ops` if there is none."""
        return self.ops if pop >= self.size(POP) else int(self._seek(POP, pop)[0])

    def counted_ops(self, op: int) -> int:
        """Ops below `op` at a profiled exception level."""
        if self.all_counted:
            return op
        return int(counted_ops(self.arrays, op))

    def members(self, begin: int, end: int) -> int:
        """Ops among [begin, end) at a profiled exception level."""
        if self.all_counted:
            return end - begin
        return self.counted_ops(end) - self.counted_ops(begin)

    def unmasked_from(self, op: int) -> int:
        """First op at or after `op` with interrupts unmasked; `ops` if none is left."""
        if self.never_masked:
            return op
        found = int(unmasked_from(self.arrays, min(op, self.ops)))
        return self.ops if found < 0 else min(found, self.ops)

    def user_from(self, op: int) -> int:
        """First op at or after `op` at EL0; `ops` if none is left."""
        found = int(clear_from(self.arrays, min(op, self.ops), EL))
        return self.ops if found < 0 else min(found, self.ops)

    def count_intervals(self, pairs: NDArray[np.int64], out: I64) -> None:
        """`count` for every row (begin, end) of `pairs`; of many at once no op is looked at twice.

        Passes that lie between are whole ones; what remains overlaps within one pass, in stretches
        between one end and the next in which every op counts as often.
        """
        turns, within = np.divmod(pairs, int(self.arrays.tables[PASS + OP]))
        if passes := int((turns[:, 1] - turns[:, 0]).sum()):
            out += self.pass_counts * passes
        ends, at = np.unique(within, return_inverse=True)
        steps = np.zeros(ends.size, np.int64)
        np.add.at(steps, at.reshape(-1, 2)[:, 0], 1)
        np.add.at(steps, at.reshape(-1, 2)[:, 1], -1)
        _count_stretches(self.arrays, ends, np.cumsum(steps)[:-1], out)

    def count(self, begin: int, end: int, out: I64) -> None:
        """Add population members among ops [begin, end) to ``out[static × 8 + level]``."""
        self.count_intervals(np.array([[begin, end]], np.int64), out)


def count_between(arrays: StreamArrays, begin: int, end: int, out: I64) -> None:
    """Add population members among ops [begin, end) of one pass to ``out[static × 8 + level]``."""
    _count_stretches(arrays, np.array([begin, end], np.int64), np.ones(1, np.int64), out)


def count_pass(arrays: StreamArrays) -> I64:
    """Population members of one pass by static × LEVEL_STRIDE + level."""
    out = np.zeros(int(arrays.tables[STATICS]) * LEVEL_STRIDE, np.int64)
    count_between(arrays, 0, int(arrays.tables[PASS + OP]), out)
    return out


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A plain, contiguous, read-only view: one numba type for memory and memory-mapped arrays."""
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.setflags(write=False)
    return view
