"""Compiled loops over sampled ops and whole streams (`sim.runs.seen.sightings`).

They are called with arrays of the same types whatever the stream; `sim.runs.warming` knows which.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.draws import njit, njit_inner
from sim.fetching import fetch
from sim.workload.arrays import (
    BLOCK,
    BLOCK_STATIC,
    HAS_SLOT,
    LEVEL_STRIDE,
    OP,
    PASS,
    PLACE_MASK,
    SLOT,
    STATIC,
    block_of,
    high_count,
    low_count,
)
from sim.workload.places import from_cells

PAGE_SHIFT = 12
LINE_SHIFT = 6
NEXT_BITS = 32
"""Of an edge's key; there are fewer static ops."""
RECENT = 1 << 12
"""Pages of which it is known that they were met: one for each pattern of so many lowest bits."""
_ROW = np.uint64(4)
"""Words of a row of the stream's tables; unsigned, as a signed index is tested for its sign."""
_TOGETHER = 512
"""Records that are looked up together: the processor waits for many at once."""
ITS_SLOT, ITS_NEXT = 1, 2
"""What of an op is to be looked up, bits."""
_WHICH, _OP, _EXEC, _SLOT, _ROWS = range(5)
WORK = (_ROWS, _TOGETHER + 1)
"""Shape of the work array, a row each."""


@njit
def find(
    S: Any,
    wants: Any,
    ops: Any,
    places: Any,
    statics: Any,
    levels: Any,
    slots: Any,
    after: Any,
    work: Any,
) -> None:
    """Static op, level, slot or -1 and next static op or -1 of ops of a plain recorded stream: its
    one segment is its indexed body, whose cells know where each op is.

    `places` are where they lie, `wants` what of a static op's ops is to be looked up.
    """
    for k in range(0, ops.size, _TOGETHER):
        part = slice(k, k + _TOGETHER)
        statics_here, slots_here, after_here = statics[part], slots[part], after[part]
        n = _wanting(S.tables, wants, ops[part], places[part], statics_here, levels[part], work)
        slots_here[:] = -1
        after_here[:] = -1
        from_cells(S.cells, work[_OP, :n], work[_EXEC, :n], work[_SLOT, :n])
        _find_slots(wants, statics_here, slots_here, work, n)
        _find_next(S, wants, statics_here, after_here, work, n)


@njit_inner
def _wanting(
    T: Any, wants: Any, ops: Any, places: Any, statics: Any, levels: Any, work: Any
) -> Any:
    """What the places say, and which ops are to be looked up: how many, and where in a pass."""
    n = 0
    for j in range(ops.size):
        static = (places[j] & PLACE_MASK) >> 8
        statics[j], levels[j] = static, places[j] & 255
        work[_WHICH, n] = j
        n += wants[static] != 0
    pass_ops, begin = T[PASS + OP], np.int64(0)
    for i in range(n):
        op = ops[work[_WHICH, i]]
        if not 0 <= op - begin < pass_ops:
            begin = op - op % pass_ops
        work[_OP, i] = op - begin
    return n


@njit_inner
def _find_slots(wants: Any, statics: Any, slots: Any, work: Any, n: Any) -> None:
    for i in range(n):
        j = work[_WHICH, i]
        slot = np.int64(low_count(np.uint64(work[_SLOT, i])))
        slots[j] = slot if wants[statics[j]] & ITS_SLOT != 0 else -1


@njit_inner
def _find_next(S: Any, wants: Any, statics: Any, after: Any, work: Any, n: Any) -> None:
    """Loops of one kind of memory access each, as in `sim.workload.places`."""
    T = S.tables
    m = 0
    for i in range(n):
        work[_OP, m] = i
        m += wants[statics[work[_WHICH, i]]] & ITS_NEXT != 0
    for x in range(m):
        fetch(S.execs, low_count(np.uint64(work[_EXEC, work[_OP, x]])))
    block, last = np.uint64(T[BLOCK]), np.uint64(S.execs.size - 1)
    for x in range(m):
        i = work[_OP, x]
        j, at = work[_WHICH, i], np.uint64(work[_EXEC, i])
        execution, inside = low_count(at), np.int64(high_count(at))
        follower = execution + np.uint64(1) if execution != last else np.uint64(0)
        ops = T[block + _ROW * block_of(S.execs[execution]) + np.uint64(OP)]
        entered = T[block + _ROW * block_of(S.execs[follower]) + np.uint64(BLOCK_STATIC)]
        after[j] = entered if inside + 1 == ops else statics[j] + 1


@njit
def page_keys(addresses: Any, store: Any, statics: Any, slots: Any, keys: Any) -> Any:
    """Write keys of those that have a page, without a branch for those that have none: how many."""
    n = 0
    for k in range(0, slots.size, _TOGETHER):
        end = min(k + _TOGETHER, slots.size)
        for j in range(k, end):
            fetch(addresses, np.uint64(max(slots[j], 0)))
        for j in range(k, end):
            page = addresses[np.uint64(max(slots[j], 0))] >> np.uint64(PAGE_SHIFT)
            keys[n] = np.int64(page) << 1 | store[statics[j]]
            n += (slots[j] >= 0) & (page != 0)
    return n


@njit
def edge_keys(branch: Any, statics: Any, after: Any, keys: Any) -> Any:
    n = 0
    for j in range(statics.size):
        keys[n] = statics[j] << NEXT_BITS | after[j]
        n += branch[statics[j]] & (after[j] >= 0)
    return n


@njit
def new_pages(addresses: Any, recent: Any, found: Any) -> Any:
    """Write pages to `found`, each once or more, and say how many; without page 0."""
    n = 0
    for m in range(addresses.size):
        page = addresses[m] >> np.uint64(PAGE_SHIFT)
        at = page & np.uint64(RECENT - 1)
        if recent[at] != page:
            recent[at] = found[n] = page
            n += 1
    return n


@njit_inner
def _row_of(ascending: Any, value: Any) -> Any:
    """Where one of the values is. Of `np.searchsorted` numba compiles every kind of number."""
    low, high = 0, ascending.size - 1
    while low < high:
        mid = (low + high) >> 1
        if ascending[mid] < value:
            low = mid + 1
        else:
            high = mid
    return low


@njit
def count_lines(
    S: Any, addresses: Any, lines: Any, loads: Any, given: Any, passing: Any, out: Any
) -> None:
    """Add what passes of each load of one pass that a peer gave to its line."""
    T = S.tables
    m = 0
    for x in range(S.execs.size):
        row = T[BLOCK] + 4 * block_of(S.execs[x])
        first = T[row + BLOCK_STATIC]
        for s in range(first, first + T[row + OP]):
            if T[T[STATIC] + 4 * s + HAS_SLOT] == 0:
                continue
            if given[m] and loads[s] != 0:
                k = _row_of(lines, addresses[m] >> np.uint64(LINE_SHIFT))
                out[k] += passing[s * LEVEL_STRIDE + np.int64(S.levels[m])]
            m += 1


@njit
def count_pages(
    S: Any,
    addresses: Any,
    pages: Any,
    accesses: Any,
    firsts: Any,
    stores: Any,
    passing: Any,
    recent: Any,
    out: Any,
) -> None:
    """Add what passes of each access of one pass to its page's loads or stores.

    `accesses` are the static ops that access memory, `firsts` where those of each block begin;
    `recent` remembers rows of pages.
    """
    T = S.tables
    m = 0
    for x in range(S.execs.size):
        block = np.int64(block_of(S.execs[x]))
        first = firsts[block]
        for i in range(first, first + T[T[BLOCK] + 4 * block + SLOT]):
            page = addresses[m] >> np.uint64(PAGE_SHIFT)
            at = page & np.uint64(RECENT - 1)
            if pages[recent[at]] != page:
                recent[at] = _row_of(pages, page)
            s = accesses[i]
            out[recent[at], stores[s]] += passing[s * LEVEL_STRIDE + np.int64(S.levels[m])]
            m += 1


@njit
def count_pairs(execs: Any, begin: Any, rows: Any, latest: Any, keys: Any, times: Any) -> Any:
    """Count the pairs of as many executions as `keys` has room for; says how many differ.

    First what comes next is put into a row for each block, then each row is counted in place:
    `latest` has where a block was counted last, which may have been for a row before.
    """
    end = min(begin + keys.size, execs.size)
    for x in range(begin, end):
        rows[np.int64(block_of(execs[x])) + 1] += 1
    for row in range(latest.size):
        rows[row + 1] += rows[row]
    for x in range(begin, end):
        block = np.int64(block_of(execs[x]))
        keys[rows[block]] = np.int64(block_of(execs[x + 1 if x + 1 < execs.size else 0]))
        rows[block] += 1
    n = at = 0
    for row in range(latest.size):
        first = n
        for x in range(at, rows[row]):
            after = keys[x]
            if latest[after] < first:
                latest[after] = n
                keys[n], times[n] = row << 32 | after, 0
                n += 1
            times[latest[after]] += 1
        at = rows[row]
    return n
