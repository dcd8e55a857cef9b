"""StreamArrays: one bundle of arrays for every kind of instruction stream, and its queries.

A stream is one *pass*, repeated `repeat` times. A pass is a list of *segments*; a segment runs a
*body* (a loop, or a recorded sequence) some number of times, or a slice of it once, at one
exception level, with interrupts masked or not. Bodies come in two kinds:

* *flat*: one entry per op (synthetic loops, kernel segments);
* *indexed*: a recorded sequence of block executions, with an index entry every `STRIDE` of them.

Every op has a position in four coordinates, all integers and all cumulative: OP (executed ops,
``i``), POP (rank in the sample population, ``p``), TICK (work time) and SLOT (memory slots). One
function answers all questions: `seek(S, axis, value)` finds the op that holds `value` on an axis.
``op_of_pop(p)`` is ``seek(S, POP, p)``; the op executing at tick t is ``seek(S, TICK, t)``.

Fidelity note. An op takes the throughput ticks of its (class, memory level), at least one; the
core is in order in time and nothing else is modelled of its pipeline. Populations differ from
executed ops by exception level (PMSCR.E0SPE/E1SPE) and, for micro-op populations, by a weight per
op. Source: design §6; Arm ARM D17.2 for the population.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit, njit_inline

I64 = NDArray[np.int64]

OP, POP, TICK, SLOT, AXES = 0, 1, 2, 3, 4
STRIDE = 8
"""Block executions per index entry: a look-up walks half of it on average."""
GUESS = AXES
"""Fifth column of an index entry; see `index_of`."""

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
    BEFORE,  # [S + 1, 4] sums of these over the static ops before: weights, slots, ticks, unused
    SLOT_ROWS,  # timing row of each static op with a slot, in order
    SLOT_OPS,  # and which of the static ops it is
    ROW_TICKS,  # [rows] throughput of ops with a slot, by row + level
    LATENCY,  # [rows × laws.STRIDE] laws of time in flight, by (row + level) × STRIDE + cell
    STATICS,  # how many
    BLOCKS,  # how many
    CHECK_STEP,  # block executions between checkpoints; 0 without them
) = range(23)
HEADER = 23
BODY, COUNTED, MASKED, EL = range(4)
FIRST_FLAT = 0
BLOCK_STATIC = 2
WEIGHT, HAS_SLOT, TICKS, ROW = range(4)


class StreamArrays(NamedTuple):
    """What compiled code reads; all read-only. X index entries, E block executions, M slots.

    The small tables lie in one int64 array behind a header (a compiled call costs time per array
    that it is given). A stream has at most one indexed body: `ids`, `exec_ticks`, `levels` and
    `index_at` [X, 5] are its; `checkpoints` [C, S × 8] count population members before every
    CHECK_STEP-th execution, so that long intervals need no walk.
    """

    tables: I64
    ids: NDArray[np.uint32]
    exec_ticks: NDArray[np.uint32]
    levels: NDArray[np.uint8]
    index_at: NDArray[np.int64]
    checkpoints: NDArray[np.int64]


class Place(NamedTuple):
    """Where a `seek` ended: the op and its position on all axes."""

    op: int
    pop: int
    tick: int
    slot: int
    static: int
    level: int
    segment: int


@njit
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


@njit
def index_of(S: Any, axis: Any, rest: Any, hint: Any) -> Any:
    """Last index entry whose start is at most `rest`.

    On POP the entries carry a directory: `GUESS` of entry k is the last one that starts at or
    before rank k × width. On the others the search gallops from `hint`, or from where the entry
    would be if all were alike.
    """
    entries = S.index_at
    n = entries.shape[0]
    if axis == POP:
        k = min(n - 1, rest // guess_width(entries))
        low = entries[k, GUESS]
        high = entries[k + 1, GUESS] if k < n - 1 else n - 1
    else:
        low = hint
        if not 0 <= hint < n:
            share = np.float64(rest) / np.float64(max(np.int64(1), entries[n - 1, axis]))
            low = min(n - 1, np.int64(share * (n - 1)))
        high, step = low, 1
        while low > 0 and entries[low, axis] > rest:
            low, high = max(np.int64(0), low - step), low - 1
            step <<= 1
        if step == 1:
            while low + step < n and entries[low + step, axis] <= rest:
                low += step
                step <<= 1
            high = min(n - 1, low + step)
    while low < high:
        mid = (low + high + 1) >> 1
        if entries[mid, axis] <= rest:
            low = mid
        else:
            high = mid - 1
    return low


@njit
def guess_width(index_at: Any) -> Any:
    """POP ranks per directory entry: as many entries as the index has."""
    return index_at[-1, POP] // index_at.shape[0] + 1


@njit
def _exec_of(S: Any, axis: Any, rest: Any, entry: Any, at: Any) -> Any:
    """Walk from an index entry to the block execution that holds `rest`; `at` becomes its start."""
    T = S.tables
    at[OP], at[POP] = S.index_at[entry, OP], S.index_at[entry, POP]
    at[TICK], at[SLOT] = S.index_at[entry, TICK], S.index_at[entry, SLOT]
    x = entry * STRIDE
    last = S.ids.size - 1
    while x < last:
        row = T[BLOCK] + 4 * np.int64(S.ids[x])
        ticks = np.int64(S.exec_ticks[x])
        end = at[axis] + (ticks if axis == TICK else T[row + axis])
        if end > rest:
            break
        at[OP] += T[row + OP]
        at[POP] += T[row + POP]
        at[SLOT] += T[row + SLOT]
        at[TICK] += ticks
        x += 1
    return x


@njit
def _op_in_block(S: Any, axis: Any, rest: Any, block: Any, at: Any) -> Any:
    """Walk within a block to the op that holds `rest`; returns (static, level)."""
    T = S.tables
    row = T[BLOCK] + 4 * block
    s = T[row + BLOCK_STATIC]
    end_op = at[OP] + T[row + OP] - 1
    while True:
        static = T[STATIC] + 4 * s
        level = np.int64(0)
        cost = T[static + TICKS]
        if T[static + HAS_SLOT] != 0:
            level = np.int64(S.levels[at[SLOT]])
            cost = T[T[ROW_TICKS] + T[static + ROW] + level]
        if axis == TICK:
            end = at[TICK] + cost
        elif axis == POP:
            end = at[POP] + T[static + WEIGHT]
        elif axis == OP:
            end = at[OP] + 1
        else:
            end = at[SLOT] + T[static + HAS_SLOT]
        if end > rest or at[OP] >= end_op:
            return s, level
        at[OP] += 1
        at[POP] += T[static + WEIGHT]
        at[SLOT] += T[static + HAS_SLOT]
        at[TICK] += cost
        s += 1


@njit
def seek_from(S: Any, axis: Any, value: Any, hint: Any, at: Any) -> Any:
    """`seek` with an index hint: `at` [4] becomes the op's position; (static, level, g, entry)."""
    T = S.tables
    turn = value // T[PASS + axis]
    rest = value - turn * T[PASS + axis]
    g = last_at_most(T, T[SEG_AT], T[SEGMENTS], axis, rest)
    seg_at, seg_skip = T[SEG_AT] + 4 * g, T[SEG_SKIP] + 4 * g
    body = T[T[SEG_INFO] + 4 * g + BODY]
    size = T[BODY_SIZE] + 4 * body
    x = rest - T[seg_at + axis] + T[seg_skip + axis]
    iteration = x // T[size + axis] if T[size + axis] > 0 else np.int64(0)
    x -= iteration * T[size + axis]
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
        entry = index_of(S, axis, x, hint)
        x_exec = _exec_of(S, axis, x, entry, at)
        static, level = _op_in_block(S, axis, x, np.int64(S.ids[x_exec]), at)
    if T[T[SEG_INFO] + 4 * g + COUNTED] == 0:
        at[POP] = 0
        iteration_pop = np.int64(0)
    else:
        iteration_pop = iteration * T[size + POP] - T[seg_skip + POP]
    for k in range(AXES):
        inner = iteration_pop if k == POP else iteration * T[size + k] - T[seg_skip + k]
        at[k] += turn * T[PASS + k] + T[seg_at + k] + inner
    return static, level, g, entry


@njit
def _seek(S: Any, axis: Any, value: Any) -> Any:
    at = np.empty(AXES, np.int64)
    static, level, g, _ = seek_from(S, axis, value, np.int64(-1), at)
    return at[OP], at[POP], at[TICK], at[SLOT], static, level, g


@njit
def pop_at(S: Any, op: Any) -> Any:
    """Population members below an op within the stream."""
    return _seek(S, OP, op)[1]


@njit
def op_at(S: Any, tick: Any) -> Any:
    """First op that begins at or after a work time within the stream."""
    if tick <= 0:
        return np.int64(0)
    return _seek(S, TICK, tick - 1)[0] + 1


_NO_U32, _NO_U8 = np.empty(0, np.uint32), np.empty(0, np.uint8)
_NO_ROWS = np.empty((0, 0), np.int64)


@njit_inline
def _flat_stream(T: Any) -> Any:
    """A stream without an indexed body: one array handed over makes a call far cheaper than six."""
    return StreamArrays(T, _NO_U32, _NO_U32, _NO_U8, _NO_ROWS, _NO_ROWS)


@njit
def _seek_flat(T: Any, axis: Any, value: Any) -> Any:
    return _seek(_flat_stream(T), axis, value)


@njit
def _op_at_flat(T: Any, tick: Any) -> Any:
    return op_at(_flat_stream(T), tick)


@njit
def _add_flat(S: Any, body: Any, a: Any, b: Any, out: Any) -> None:
    """Add ops [a, b) of consecutive iterations of a flat body."""
    T = S.tables
    n = T[T[BODY_SIZE] + 4 * body + OP]
    ops = T[FLAT_OP] + T[T[BODY_INFO] + 4 * body + FIRST_FLAT]
    whole = max(np.int64(0), b // n - a // n - 1)
    b -= whole * n
    if whole > 0:
        for f in range(n):
            static = (T[ops + f] & PLACE_MASK) >> 8
            weight = T[T[STATIC] + 4 * static + WEIGHT]
            out[static * LEVEL_STRIDE + (T[ops + f] & 255)] += whole * weight
    f = a % n
    for _ in range(a, b):
        static = (T[ops + f] & PLACE_MASK) >> 8
        out[static * LEVEL_STRIDE + (T[ops + f] & 255)] += T[T[STATIC] + 4 * static + WEIGHT]
        f += 1
        if f == n:
            f = 0


@njit
def _add_indexed(S: Any, a: Any, b: Any, blocks: Any, out: Any) -> None:
    """Add ops [a, b) of one iteration of the indexed body, over checkpoints where they help."""
    step = S.tables[CHECK_STEP]
    if step > 0:
        first = index_of(S, OP, a, np.int64(-1)) * STRIDE // step + 1
        last = index_of(S, OP, b, np.int64(-1)) * STRIDE // step
        if last > first:
            _walk_indexed(S, a, S.index_at[first * step // STRIDE, OP], blocks, out)
            for k in range(S.checkpoints.shape[1]):
                out[k] += S.checkpoints[last, k] - S.checkpoints[first, k]
            a = S.index_at[last * step // STRIDE, OP]
    _walk_indexed(S, a, b, blocks, out)


@njit
def _walk_indexed(S: Any, a: Any, b: Any, blocks: Any, out: Any) -> None:
    """Add ops [a, b) of one iteration of the indexed body, block by block.

    Of a block that is executed whole only the ops with a slot, whose level is the execution's own,
    are added here; the others when all is done, as often as `blocks` says (`_add_blocks`).
    """
    if a >= b:
        return
    T = S.tables
    entry = index_of(S, OP, a, np.int64(-1))
    o, m = S.index_at[entry, OP], S.index_at[entry, SLOT]
    x = entry * STRIDE
    while o < b:
        block = np.int64(S.ids[x])
        row = T[BLOCK] + 4 * block
        ops, slots = T[row + OP], T[row + SLOT]
        if a <= o and o + ops <= b:
            blocks[block] += 1
            begun = T[SLOT_OPS] + T[T[BEFORE] + 4 * T[row + BLOCK_STATIC] + HAS_SLOT]
            for k in range(slots):
                s = T[begun + k]
                weight = T[T[STATIC] + 4 * s + WEIGHT]
                out[s * LEVEL_STRIDE + np.int64(S.levels[m + k])] += weight
        elif a < o + ops:
            _add_part(S, T[row + BLOCK_STATIC], m, a - o, min(b - o, ops), out)
        o += ops
        m += slots
        x += 1


@njit
def _add_part(S: Any, s: Any, slot: Any, a: Any, b: Any, out: Any) -> None:
    """Add ops [a, b) of a block of static ops from `s` on, with slots from `slot` on."""
    T = S.tables
    for k in range(b):
        static = T[STATIC] + 4 * (s + k)
        level = np.int64(0)
        if T[static + HAS_SLOT] != 0:
            level = np.int64(S.levels[slot])
            slot += 1
        if k >= a:
            out[(s + k) * LEVEL_STRIDE + level] += T[static + WEIGHT]


@njit
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


@njit
def _count_in_pass(S: Any, begin: Any, end: Any, blocks: Any, out: Any) -> None:
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
            _add_flat(S, body, a, b, out)
            continue
        n = T[T[BODY_SIZE] + 4 * body + OP]
        while a < b:
            turn_end = min(b, (a // n + 1) * n)
            _add_indexed(S, a % n, a % n + turn_end - a, blocks, out)
            a = turn_end


@njit
def _count_intervals(S: Any, pairs: Any, whole: Any, out: Any) -> None:
    """Population members of each interval of ops; `whole` holds those of one pass."""
    size = S.tables[PASS + OP]
    blocks = np.zeros(S.tables[BLOCKS], np.int64)
    for r in range(pairs.shape[0]):
        first, last = pairs[r, 0] // size, pairs[r, 1] // size
        begin, end = pairs[r, 0] - first * size, pairs[r, 1] - last * size
        if first == last:
            _count_in_pass(S, begin, end, blocks, out)
            continue
        _count_in_pass(S, begin, size, blocks, out)
        _count_in_pass(S, np.int64(0), end, blocks, out)
        if last - first > 1:
            for k in range(out.size):
                out[k] += whole[k] * (last - first - 1)
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
            "_flat": self.arrays.ids.size == 0,
            "never_masked": not info[:, MASKED].any(),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

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
            return _seek_flat(self.arrays.tables, axis, value)  # type: ignore[no-any-return]
        return _seek(self.arrays, axis, value)  # type: ignore[no-any-return]

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
            return int(_op_at_flat(self.arrays.tables, tick))
        return int(op_at(self.arrays, tick))

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
        """`count` for every row (begin, end) of `pairs`."""
        _count_intervals(self.arrays, pairs, self.pass_counts, out)

    def count(self, begin: int, end: int, out: I64) -> None:
        """Add population members among ops [begin, end) to ``out[static × 8 + level]``."""
        self.count_intervals(np.array([[begin, end]], np.int64), out)


def count_pass(arrays: StreamArrays) -> I64:
    """Population members of one pass by static × LEVEL_STRIDE + level."""
    size = int(arrays.tables[PASS + OP])
    out = np.zeros(int(arrays.tables[STATICS]) * LEVEL_STRIDE, np.int64)
    _count_intervals(arrays, np.array([[0, size]], np.int64), np.zeros(0, np.int64), out)
    return out


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A plain, contiguous, read-only view: one numba type for memory and memory-mapped arrays."""
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.setflags(write=False)
    return view
