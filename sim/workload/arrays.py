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

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit

I64 = NDArray[np.int64]

OP, POP, TICK, SLOT, AXES = 0, 1, 2, 3, 4
STRIDE = 16
"""Block executions per index entry: a look-up walks half of it on average."""

LEVEL_STRIDE = 8
"""Memory levels per class in every (class, level) table."""


class StreamArrays(NamedTuple):
    """The arrays; all read-only. G segments, B bodies, X index entries, E block executions.

    Axis columns are (OP, POP, TICK, SLOT). `seg_at` is cumulative at segment starts within a pass
    (G + 1 rows); `seg_skip` is where in its body a slice begins; `seg_body`, `seg_masked`,
    `seg_counted` (is it in the population: 0/1), `seg_el` are per segment. `body_size` is one
    iteration's extent. Flat bodies own rows `body_flat[b]` … of `flat_at` (cumulative within the
    body) and of `flat_op` (static << 8 | level). Indexed bodies own executions `body_exec[b]` … and
    index rows `body_index[b]` …; `body_flat[b]` is -1 for them.
    """

    repeat: I64  # [1]
    pass_size: I64  # [4]
    seg_at: NDArray[np.int64]  # [G+1, 4]
    seg_skip: NDArray[np.int64]  # [G, 4]
    seg_body: I64
    seg_counted: I64
    seg_masked: I64
    seg_el: I64
    body_size: NDArray[np.int64]  # [B, 4]
    body_flat: I64
    body_exec: I64  # [B]
    body_execs: I64  # [B]
    body_index: I64  # [B]
    body_slot: I64  # [B] first row of `levels`
    flat_at: NDArray[np.int64]  # [F, 4]
    flat_op: I64
    index_at: NDArray[np.int64]  # [X, 4]
    ids: NDArray[np.uint32]  # [E]
    exec_ticks: NDArray[np.uint32]  # [E]
    levels: NDArray[np.uint8]
    block_size: NDArray[np.int64]  # [K, 4]; the TICK column is unused
    block_first: I64  # [K] first static op
    op_weight: I64  # [S]
    op_slots: I64  # [S] 0/1
    op_ticks: I64  # [S] of ops without a slot
    op_row: I64  # [S] timing row (class × LEVEL_STRIDE)
    row_ticks: I64  # [rows] throughput by row + level, for ops with a slot
    latency: I64  # [rows × 256] quantiles, ticks


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
def _segment_of(S: Any, axis: int, rest: int) -> int:
    """Last segment whose start is at most `rest` (so never an empty one, for rest < pass size)."""
    low, high = 0, S.seg_body.size - 1
    while low < high:
        mid = (low + high + 1) >> 1
        if S.seg_at[mid, axis] <= rest:
            low = mid
        else:
            high = mid - 1
    return low


@njit
def _flat_of(S: Any, axis: int, first: int, n: int, rest: int) -> int:
    """Last flat op whose start on `axis` is at most `rest`."""
    low, high = 0, n - 1
    while low < high:
        mid = (low + high + 1) >> 1
        if S.flat_at[first + mid, axis] <= rest:
            low = mid
        else:
            high = mid - 1
    return low


@njit
def _index_of(S: Any, axis: int, first: int, n: int, rest: int, hint: int) -> int:
    """Last index entry of a body whose start is at most `rest`; gallops from `hint`."""
    low, high = 0, n - 1
    if 0 <= hint < n and S.index_at[first + hint, axis] <= rest:
        low = hint
        step = 1
        while low + step < n and S.index_at[first + low + step, axis] <= rest:
            low += step
            step <<= 1
        high = min(n - 1, low + step)
    while low < high:
        mid = (low + high + 1) >> 1
        if S.index_at[first + mid, axis] <= rest:
            low = mid
        else:
            high = mid - 1
    return low


@njit
def _in_indexed(S: Any, body: int, axis: int, rest: int, hint: int) -> Any:
    """(op, pop, tick, slot, static, level, index entry) within one iteration of an indexed body."""
    first = S.body_index[body]
    execs = S.body_execs[body]
    entry = _index_of(S, axis, first, (execs + STRIDE - 1) // STRIDE, rest, hint)
    o, p = S.index_at[first + entry, OP], S.index_at[first + entry, POP]
    t, m = S.index_at[first + entry, TICK], S.index_at[first + entry, SLOT]
    x = S.body_exec[body] + entry * STRIDE
    last = S.body_exec[body] + execs - 1
    block = S.ids[x]
    while x < last:
        ticks = np.int64(S.exec_ticks[x])
        if axis == POP:
            end = p + S.block_size[block, POP]
        elif axis == TICK:
            end = t + ticks
        elif axis == OP:
            end = o + S.block_size[block, OP]
        else:
            end = m + S.block_size[block, SLOT]
        if end > rest:
            break
        o += S.block_size[block, OP]
        p += S.block_size[block, POP]
        m += S.block_size[block, SLOT]
        t += ticks
        x += 1
        block = S.ids[x]
    slot0 = S.body_slot[body]
    s = S.block_first[block]
    end_op = o + S.block_size[block, OP] - 1
    while True:
        level = np.int64(0)
        cost = S.op_ticks[s]
        if S.op_slots[s] != 0:
            level = np.int64(S.levels[slot0 + m])
            cost = S.row_ticks[S.op_row[s] + level]
        if axis == POP:
            end = p + S.op_weight[s]
        elif axis == TICK:
            end = t + cost
        elif axis == OP:
            end = o + 1
        else:
            end = m + S.op_slots[s]
        if end > rest or o >= end_op:
            return o, p, t, m, s, level, entry
        o += 1
        p += S.op_weight[s]
        m += S.op_slots[s]
        t += cost
        s += 1


@njit
def seek_from(S: Any, axis: int, value: int, hint: int) -> Any:
    """`seek` with an index hint; returns (Place fields…, index entry)."""
    pass_size = S.pass_size[axis]
    turn = value // pass_size
    rest = value - turn * pass_size
    g = _segment_of(S, axis, rest)
    body = S.seg_body[g]
    counted = S.seg_counted[g]
    x = rest - S.seg_at[g, axis] + S.seg_skip[g, axis]
    size = S.body_size[body, axis]
    iteration = x // size if size > 0 else np.int64(0)
    x -= iteration * size
    first = S.body_flat[body]
    entry = hint
    if first >= 0:
        n = S.body_size[body, OP]
        f = first + (x if axis == OP else _flat_of(S, axis, first, n, x))
        o, p, t, m = S.flat_at[f, OP], S.flat_at[f, POP], S.flat_at[f, TICK], S.flat_at[f, SLOT]
        static = S.flat_op[f] >> 8
        level = S.flat_op[f] & 255
    else:
        o, p, t, m, static, level, entry = _in_indexed(S, body, axis, x, hint)
    o += iteration * S.body_size[body, OP] + S.seg_at[g, OP] - S.seg_skip[g, OP]
    p += iteration * S.body_size[body, POP] - S.seg_skip[g, POP]
    p = p * counted + S.seg_at[g, POP]
    t += iteration * S.body_size[body, TICK] + S.seg_at[g, TICK] - S.seg_skip[g, TICK]
    m += iteration * S.body_size[body, SLOT] + S.seg_at[g, SLOT] - S.seg_skip[g, SLOT]
    return (
        turn * S.pass_size[OP] + o,
        turn * S.pass_size[POP] + p,
        turn * S.pass_size[TICK] + t,
        turn * S.pass_size[SLOT] + m,
        static,
        level,
        g,
        entry,
    )


@njit
def _seek(S: Any, axis: int, value: int) -> Any:
    return seek_from(S, axis, value, np.int64(-1))


@njit
def _add_iterations(S: Any, body: int, times: int, out: Any) -> None:
    """Add `times` whole iterations of a flat body to `out`."""
    first = S.body_flat[body]
    for f in range(first, first + S.body_size[body, OP]):
        static = S.flat_op[f] >> 8
        out[static * LEVEL_STRIDE + (S.flat_op[f] & 255)] += times * S.op_weight[static]


@njit
def _add_flat(S: Any, body: int, a: int, b: int, out: Any) -> None:
    """Add ops [a, b) of consecutive iterations of a flat body."""
    n = S.body_size[body, OP]
    first = S.body_flat[body]
    whole = b // n - a // n - 1
    if whole > 0:
        _add_iterations(S, body, whole, out)
        b -= whole * n
    for x in range(a, b):
        op = S.flat_op[first + x % n]
        static = op >> 8
        out[static * LEVEL_STRIDE + (op & 255)] += S.op_weight[static]


@njit
def _add_indexed(S: Any, body: int, a: int, b: int, out: Any) -> None:
    """Add ops [a, b) of one iteration of an indexed body."""
    first = S.body_index[body]
    execs = S.body_execs[body]
    entry = _index_of(S, OP, first, (execs + STRIDE - 1) // STRIDE, a, np.int64(-1))
    o = S.index_at[first + entry, OP]
    m = S.body_slot[body] + S.index_at[first + entry, SLOT]
    x = S.body_exec[body] + entry * STRIDE
    while o < b:
        block = S.ids[x]
        s0 = S.block_first[block]
        for s in range(s0, s0 + S.block_size[block, OP]):
            level = np.int64(0)
            if S.op_slots[s] != 0:
                level = np.int64(S.levels[m])
                m += 1
            if a <= o < b:
                out[s * LEVEL_STRIDE + level] += S.op_weight[s]
            o += 1
        x += 1


@njit
def _count_in_pass(S: Any, begin: int, end: int, out: Any) -> None:
    """Add the population members among ops [begin, end) of one pass to `out`."""
    for g in range(_segment_of(S, OP, begin), S.seg_body.size):
        if S.seg_at[g, OP] >= end:
            break
        if S.seg_counted[g] == 0:
            continue
        a = max(begin, S.seg_at[g, OP]) - S.seg_at[g, OP] + S.seg_skip[g, OP]
        b = min(end, S.seg_at[g + 1, OP]) - S.seg_at[g, OP] + S.seg_skip[g, OP]
        body = S.seg_body[g]
        if S.body_flat[body] >= 0:
            _add_flat(S, body, a, b, out)
            continue
        n = S.body_size[body, OP]
        while a < b:
            stop = min(b, (a // n + 1) * n)
            _add_indexed(S, body, a % n, a % n + stop - a, out)
            a = stop


@njit
def _counted_ops(S: Any, op: int) -> int:
    """Ops below `op` whose exception level is profiled."""
    per_pass = np.int64(0)
    partial = np.int64(0)
    turn = op // S.pass_size[OP]
    rest = op - turn * S.pass_size[OP]
    for g in range(S.seg_body.size):
        if S.seg_counted[g] == 0:
            continue
        per_pass += S.seg_at[g + 1, OP] - S.seg_at[g, OP]
        if rest > S.seg_at[g, OP]:
            partial += min(rest, S.seg_at[g + 1, OP]) - S.seg_at[g, OP]
    return turn * per_pass + partial


@njit
def _unmasked_from(S: Any, op: int) -> int:
    """First op at or after `op` that executes with interrupts unmasked; -1 if none ever does."""
    turn = op // S.pass_size[OP]
    rest = op - turn * S.pass_size[OP]
    g = _segment_of(S, OP, rest)
    if S.seg_masked[g] == 0:
        return op
    segments = S.seg_body.size
    for step in range(1, segments + 1):
        h = g + step
        extra = np.int64(0)
        if h >= segments:
            h -= segments
            extra = 1
        if S.seg_masked[h] == 0:
            return (turn + extra) * S.pass_size[OP] + S.seg_at[h, OP]
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
    build_seconds: float = 0.0

    @property
    def repeat(self) -> int:
        """How often the pass is repeated."""
        return int(self.arrays.repeat[0])

    def size(self, axis: int) -> int:
        """Extent of the whole stream on an axis."""
        return int(self.arrays.pass_size[axis]) * self.repeat

    @property
    def ops(self) -> int:
        """Executed ops of the whole stream."""
        return self.size(OP)

    @property
    def statics(self) -> int:
        """Number of static ops."""
        return int(self.static_class.size)

    def seek(self, axis: int, value: int) -> Place:
        """The op that holds `value` on `axis`; 0 <= value < size(axis)."""
        return Place(*_seek(self.arrays, axis, value)[:7])

    def tick(self, op: int) -> int:
        """Work time at which `op` begins; the stream's length for op = ops."""
        return self.size(TICK) if op >= self.ops else int(_seek(self.arrays, OP, op)[2])

    def pop(self, op: int) -> int:
        """Population members below `op`."""
        return self.size(POP) if op >= self.ops else int(_seek(self.arrays, OP, op)[1])

    def op_at(self, tick: int) -> int:
        """First op that begins at or after a work time: ops begun before it have executed."""
        if tick <= 0:
            return 0
        if tick > self.size(TICK):
            return self.ops
        return int(_seek(self.arrays, TICK, tick - 1)[0]) + 1

    def op_of_pop(self, pop: int) -> int:
        """The op of population rank `pop`; `ops` if there is none."""
        return self.ops if pop >= self.size(POP) else int(_seek(self.arrays, POP, pop)[0])

    def counted_ops(self, op: int) -> int:
        """Ops below `op` at a profiled exception level."""
        return int(_counted_ops(self.arrays, op))

    def unmasked_from(self, op: int) -> int:
        """First op at or after `op` with interrupts unmasked; `ops` if none is left."""
        found = int(_unmasked_from(self.arrays, min(op, self.ops)))
        return self.ops if found < 0 else min(found, self.ops)

    def count(self, begin: int, end: int, out: I64) -> None:
        """Add population members among ops [begin, end) to ``out[static × LEVEL_STRIDE + level]``."""
        size = int(self.arrays.pass_size[OP])
        first, last = begin // size, end // size
        if first == last:
            _count_in_pass(self.arrays, begin - first * size, end - first * size, out)
            return
        _count_in_pass(self.arrays, begin - first * size, size, out)
        if last - first > 1:
            out += self.pass_counts * (last - first - 1)
        if end > last * size:
            _count_in_pass(self.arrays, 0, end - last * size, out)


def count_pass(arrays: StreamArrays) -> I64:
    """Population members of one pass by static × LEVEL_STRIDE + level."""
    out = np.zeros(arrays.op_weight.size * LEVEL_STRIDE, np.int64)
    _count_in_pass(arrays, 0, int(arrays.pass_size[OP]), out)
    return out


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A plain, contiguous, read-only view: one numba type for memory and memory-mapped arrays."""
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.setflags(write=False)
    return view
