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
    SLOT,
    STATIC,
    block_of,
    high_count,
    low_count,
)
from sim.workload.places import fetch_executions, from_cells

PAGE_SHIFT = 12
LINE_SHIFT = 6
NEXT_BITS = 32
"""Of an edge's key; there are fewer static ops."""
RECENT = 1 << 12
"""Pages of which it is known that they were met: one for each pattern of so many lowest bits."""
_ROW = np.uint64(4)
"""Words of a row of the stream's tables; unsigned, as a signed index is tested for its sign."""
_TOGETHER = 512
"""Records whose place is looked for together: the processor waits for many at once."""


@njit
def find(S: Any, ops: Any, statics: Any, levels: Any, slots: Any, after: Any) -> None:
    """Static op, level, slot or -1 and next static op of ops of a plain recorded stream: its one
    segment is its indexed body, whose cells know where each op is."""
    for k in range(0, ops.size, _TOGETHER):
        part = slice(k, k + _TOGETHER)
        _find_together(S, ops[part], statics[part], levels[part], slots[part], after[part])


@njit_inner
def _find_together(S: Any, ops: Any, statics: Any, levels: Any, slots: Any, after: Any) -> None:
    """Loops of one kind of memory access each, without branches, as in `sim.workload.places`."""
    T = S.tables
    pass_ops, begin = T[PASS + OP], np.int64(0)
    for j in range(ops.size):
        if not 0 <= ops[j] - begin < pass_ops:
            begin = ops[j] - ops[j] % pass_ops
        after[j] = ops[j] - begin
    from_cells(S.cells, after, statics, slots)
    fetch_executions(S.execs, S.levels, statics, slots)
    block, last = np.uint64(T[BLOCK]), np.uint64(S.execs.size - 1)
    for j in range(ops.size):
        at, slot = np.uint64(statics[j]), low_count(np.uint64(slots[j]))
        execution, inside = low_count(at), np.int64(high_count(at))
        follower = execution + np.uint64(1) if execution != last else np.uint64(0)
        row = block + _ROW * block_of(S.execs[execution])
        entered = T[block + _ROW * block_of(S.execs[follower]) + np.uint64(BLOCK_STATIC)]
        static = T[row + np.uint64(BLOCK_STATIC)] + inside
        statics[j], slots[j] = static, np.int64(slot)
        after[j] = entered if inside + 1 == T[row + np.uint64(OP)] else static + 1
        levels[j] = np.int64(S.levels[slot])  # there is one beyond the last slot
    static_row = np.uint64(T[STATIC] + HAS_SLOT)
    for j in range(ops.size):
        has = T[static_row + _ROW * np.uint64(statics[j])]
        levels[j] *= has
        slots[j] = slots[j] if has != 0 else -1


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
