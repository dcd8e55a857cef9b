"""What records show beyond a histogram: pages that were touched, ways that branches went, how long
loads took, and, of threads that share memory, cache lines that a peer gave.

A worker reduces a unit's records to these counts where they were made, in one pass, so that no
record is sent or kept. `visits` is the truth that they sample: the whole stream, whatever an arm
executed of it, since whoever decides from a profile decides for the whole program.

Fidelity note. As the records themselves (`sim.spe.record`): an atomic is seen as a load, a branch's
target is where its exception level went next. Streams without addresses have no pages.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim import laws
from sim.draws import mix64_array
from sim.machine.spec import MachineSpec
from sim.results import OPS_AT_ONCE, Watch
from sim.runs.seen import compiled as c
from sim.runs.seen import waits
from sim.runs.seen.compiled import LINE_SHIFT, NEXT_BITS, RECENT
from sim.runs.seen.tally import Tally
from sim.runs.truth import expected
from sim.spe.collect import EV_MISPREDICTED, EV_NOT_TAKEN, MISPREDICT_PER_256
from sim.spe.record import CoreFacts, located, next_statics
from sim.workload.a64 import OpClass
from sim.workload.arrays import (
    BLOCK,
    BLOCK_STATIC,
    BLOCKS,
    HAS_SLOT,
    LEVEL_STRIDE,
    OP,
    PASS,
    SEGMENTS,
    SLOT,
    STATIC,
    Stream,
)
from sim.workload.timing import PEERS

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
PAGES, EDGES, LINES, WAITS = "pages", "edges", "lines", "waits"
_CHUNK = 1 << 22
"""Accesses or block executions that are looked at, and sorted, at a time."""


@dataclass(frozen=True, slots=True)
class Visits:
    """What the whole stream visits, all vCPUs: population members that pass the filters.

    `members` [S × LEVEL_STRIDE] by static op and level; `waits` [n, 4] how long loads of these
    cells take, as `waits.expected` has it; `pages` [n, 3] 4 KiB page, loads, stores; `edges` [n, 4]
    branch, static op that came next, times, the branch's payload; `lines` [n, 2] cache line of 64
    bytes, loads that a peer gave; empty unless threads share memory.
    """

    members: I64
    waits: I64
    pages: I64
    edges: I64
    lines: I64


class Sightings:
    """What of a run's written records is asked for, counted as they come, all vCPUs."""

    def __init__(
        self,
        stream: Stream,
        asked: Collection[str],
        facts: CoreFacts,
        latency_keys: Sequence[int],
    ) -> None:
        """`latency_keys` of each vCPU's latencies, for waits."""
        self._tallies = {name: Tally() for name in asked if name != LINES or stream.siblings}
        room = np.empty((5, OPS_AT_ONCE), np.int64)  # one at a time is told
        self._sights = [
            _Sight(stream.of(v), facts, key, self._tallies, room)
            for v, key in enumerate(latency_keys)
        ]

    def of(self, vcpu: int) -> Watch:
        """Who is to be told the ops of a vCPU's records."""
        return self._sights[vcpu]

    def tables(self) -> dict[str, I64]:
        """Pages [n, 3] as in `Visits`, edges [n, 3]: branch, static op that came next, records;
        waits as `waits.rows` has them; lines [n, 2] as in `Visits`, of threads that share memory
        only."""
        return {name: _ROWS[name](*tally.counts()) for name, tally in self._tallies.items()}


def summed(tables: Sequence[I64], keys: int) -> I64:
    """Rows of all tables, ascending by their first `keys` columns; the others are added up."""
    rows = np.concatenate(tables)
    found, at = np.unique(rows[:, :keys], axis=0, return_inverse=True)
    out = np.zeros((len(found), rows.shape[1]), np.int64)
    out[:, :keys] = found
    np.add.at(out[:, keys:], at.ravel(), rows[:, keys:])
    return out


def visits(stream: Stream, spec: MachineSpec, counter_max: int) -> Visits:
    """The truth of the whole stream on every vCPU."""
    vcpus, chosen = spec.vcpus, spec.spu.filter
    ends = [stream.of(vcpu).ops for vcpu in range(vcpus)]
    members = expected(stream, chosen, ends)
    passing = np.where(chosen.passes > 0, _passing(stream, chosen.min_latency), 0)
    times = stream.repeat if stream.siblings else stream.repeat * vcpus
    edges = [_true_edges(t, passing, times, chosen.branch_events) for t in stream.threads]
    pages = [_true_pages(thread, passing, times) for thread in stream.threads]
    lines = [_true_lines(thread, passing, times) for thread in stream.siblings and stream.threads]
    return Visits(
        members=members,
        waits=waits.expected(stream, members, chosen.min_latency, counter_max),
        pages=_merged(pages, 1),
        edges=_merged([rows[:, [0, 1, 3, 2]] for rows in edges], 3)[:, [0, 1, 3, 2]],
        lines=_merged([np.zeros((0, 2), np.int64), *lines], 1),
    )


def _merged(tables: Sequence[I64], keys: int) -> I64:
    """`summed`; one table, whose rows are ascending, as it is."""
    return tables[0] if len(tables) == 1 else summed(tables, keys)


# --- what was sampled ----------------------------------------------------------------------------


class _Sight:
    """What ops of one stream show, `OPS_AT_ONCE` at a time: keys of those that show something."""

    def __init__(
        self,
        stream: Stream,
        facts: CoreFacts,
        latency_key: int,
        tallies: Mapping[str, Tally],
        room: I64,
    ) -> None:
        """`room` [5, OPS_AT_ONCE] has no meaning between two calls."""
        self._stream, self._facts, self._latency_key = stream, facts, latency_key
        self._tallies = tallies
        classes = stream.static_class
        self._store = (classes == OpClass.STORE).astype(np.int64)
        self._branch = (classes == OpClass.BRANCH).astype(np.int64)
        self._load = np.isin(classes, waits.LOADS)
        self._plain = stream.arrays.execs.size and int(stream.arrays.tables[SEGMENTS]) == 1
        self._wants = self._wanted()
        self._work = np.empty(c.WORK, np.int64)
        self._found: I64 = room[:4]
        self._keys: I64 = room[4]

    def _wanted(self) -> NDArray[np.uint8]:
        """Of each static op, what of its ops has to be looked up: one that accesses no memory and
        is no branch shows nothing but where it is, which is known."""
        slots = (_statics(self._stream)[:, HAS_SLOT] != 0) & bool(
            {PAGES, LINES} & set(self._tallies)
        )
        branches = (self._branch != 0) & (EDGES in self._tallies)
        return np.asarray(slots * c.ITS_SLOT + branches * c.ITS_NEXT, np.uint8)

    def __call__(self, ops: I64, places: I64 | None) -> None:
        """Count what is asked for."""
        static, level, slot, after = self._resolved(ops, places)
        makers = {
            PAGES: lambda: self._pages(static, slot),
            EDGES: lambda: self._edges(static, after),
            LINES: lambda: self._lines(static, slot),
            WAITS: lambda: self._waits(ops, static, level),
        }
        for name, tally in self._tallies.items():
            tally.add(makers[name]())

    def _resolved(self, ops: I64, places: I64 | None) -> tuple[I64, I64, I64, I64]:
        """Of each op its static op, level, memory slot within a pass (-1: none), next static op;
        slot and next op where they are wanted."""
        stream = self._stream
        if self._plain and places is not None:
            static, level, slot, after = found = self._found[:, : ops.size]
            c.find(stream.arrays, self._wants, ops, places, *found, self._work)
            return static, level, slot, after
        static, level, slot, el = located(stream, ops).T
        after = np.full(ops.size, -1, np.int64)
        branch = self._branch[static] != 0
        after[branch] = next_statics(stream, ops[branch], el[branch])
        pass_slots = max(1, int(stream.arrays.tables[PASS + SLOT]))
        return static, level, np.where(level > 0, slot % pass_slots, -1), after

    def _pages(self, static: I64, slot: I64) -> I64:
        """Page << 1, and whether it is a store. Page 0 is none: a failed exclusive, a prefetch."""
        if self._stream.addresses.size == 0:
            return self._keys[:0]
        n = c.page_keys(self._stream.addresses, self._store, static, slot, self._keys)
        return self._keys[:n]

    def _edges(self, static: I64, after: I64) -> I64:
        """Branch << 32, and the static op that comes next."""
        return self._keys[: c.edge_keys(self._branch, static, after, self._keys)]

    def _lines(self, static: I64, slot: I64) -> I64:
        """Cache lines of loads that a peer gave."""
        slots = slot[(slot >= 0) & self._load[static]]
        given = slots[np.isin(self._stream.arrays.levels[slots], PEERS)]
        return (self._stream.addresses[given] >> np.uint64(LINE_SHIFT)).astype(np.int64)

    def _waits(self, ops: I64, static: I64, level: I64) -> I64:
        load = self._load[static]
        hashes = mix64_array(self._latency_key, ops[load])
        return waits.keys(self._stream, static[load], level[load], hashes, self._facts)


def _page_rows(keys: I64, times: I64) -> I64:
    found, at = np.unique(keys >> 1, return_inverse=True)
    out = np.zeros((found.size, 3), np.int64)
    out[:, 0] = found
    out[at, 1 + (keys & 1)] = times
    return out


def _edge_rows(keys: I64, times: I64) -> I64:
    return np.stack([keys >> NEXT_BITS, keys & (1 << NEXT_BITS) - 1, times], axis=1)


def _line_rows(keys: I64, times: I64) -> I64:
    return np.column_stack([keys, times])


_ROWS: dict[str, Callable[[I64, I64], I64]] = {
    PAGES: _page_rows,
    EDGES: _edge_rows,
    LINES: _line_rows,
    WAITS: waits.rows,
}


# --- the truth -----------------------------------------------------------------------------------


def _passing(stream: Stream, min_latency: int) -> I64:
    """Of 2^20 ops of each cell, how many pass the latency filter [S × LEVEL_STRIDE], by weight."""
    weight = _statics(stream)[:, 0]
    rows = (stream.rows()[:, None] + np.arange(LEVEL_STRIDE)).reshape(-1)
    share = laws.at_least(stream.latency(), min_latency)[rows] >> 20
    return np.asarray(share * np.repeat(weight, LEVEL_STRIDE), np.int64)


def _statics(stream: Stream) -> I64:
    T = stream.arrays.tables
    return np.asarray(T[T[STATIC] : T[STATIC] + 4 * stream.statics].reshape(-1, 4))


def _blocks(stream: Stream) -> I64:
    T = stream.arrays.tables
    return np.asarray(T[T[BLOCK] : T[BLOCK] + 4 * T[BLOCKS]].reshape(-1, 4))


def _true_pages(stream: Stream, passing: I64, times: int) -> I64:
    if stream.addresses.size == 0 or stream.arrays.execs.size == 0:
        return np.zeros((0, 3), np.int64)
    pages = _touched(stream.addresses)
    out = np.zeros((pages.size, 2), np.int64)
    accesses = np.flatnonzero(_statics(stream)[:, HAS_SLOT])
    firsts = np.searchsorted(accesses, _blocks(stream)[:, BLOCK_STATIC])
    stores = (stream.static_class == OpClass.STORE).astype(np.int64)
    recent = np.zeros(RECENT, np.int64)
    c.count_pages(
        stream.arrays, stream.addresses, pages, accesses, firsts, stores, passing, recent, out
    )
    known = (pages > 0) & (out.sum(axis=1) > 0)
    rows = np.column_stack([pages.astype(np.int64), _scaled(out, times)])
    return np.asarray(rows[known], np.int64)


def _touched(addresses: U64) -> U64:
    """Pages of addresses, ascending."""
    recent, found = np.zeros(RECENT, np.uint64), np.empty(_CHUNK, np.uint64)
    chunks = range(0, addresses.size, _CHUNK)
    parts = [
        np.unique(found[: c.new_pages(addresses[k : k + _CHUNK], recent, found)]) for k in chunks
    ]
    return np.unique(np.concatenate([np.zeros(1, np.uint64), *parts]))


def _true_lines(stream: Stream, passing: I64, times: int) -> I64:
    """Rows (line, loads that a peer gave), ascending, of one thread."""
    given = np.isin(stream.arrays.levels[:-1], PEERS)
    lines = np.unique(stream.addresses[given] >> np.uint64(LINE_SHIFT))
    out = np.zeros(lines.size, np.int64)
    loads = np.isin(stream.static_class, waits.LOADS).astype(np.int64)
    c.count_lines(stream.arrays, stream.addresses, lines, loads, given, passing, out)
    rows = np.column_stack([lines.astype(np.int64), _scaled(out, times)])
    return np.asarray(rows[out > 0], np.int64)


def _scaled(amounts: I64, times: int) -> I64:
    """amounts × times / 2^20, without overflow for amounts below 2^62 and times below 2^20."""
    high, low = amounts >> 20, amounts & (1 << 20) - 1
    return np.asarray(high * times + (low * times >> 20), np.int64)


def _true_edges(stream: Stream, passing: I64, times: int, branch_events: int) -> I64:
    if stream.arrays.execs.size == 0:
        return np.zeros((0, 4), np.int64)
    blocks = _blocks(stream)
    keys, counts = _pairs(stream.arrays.execs, len(blocks))
    before, after = keys // (1 << 32), keys % (1 << 32)
    branch = blocks[before, BLOCK_STATIC] + blocks[before, OP] - 1
    follower = blocks[after, BLOCK_STATIC]
    amount = counts * passing[branch * LEVEL_STRIDE]
    kept = (stream.static_class[branch] == OpClass.BRANCH) & (amount > 0)
    if branch_events & EV_NOT_TAKEN:
        fell = stream.static_pc[follower] == stream.static_pc[branch] + np.uint64(4)
        kept &= fell & (stream.static_payload[branch] & 1 != 0)
    if branch_events & EV_MISPREDICTED:
        amount = amount * MISPREDICT_PER_256 // 256
    payload = stream.static_payload[branch[kept]].astype(np.int64)
    rows = np.column_stack([branch[kept], follower[kept], _scaled(amount[kept], times), payload])
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def _pairs(execs: U64, blocks: int) -> tuple[I64, I64]:
    """Neighbouring block executions of a pass that is repeated: block << 32 | next, and times."""
    found: dict[int, int] = {}
    keys, times = np.empty((2, min(_CHUNK, execs.size)), np.int64)
    for k in range(0, execs.size, _CHUNK):
        rows = np.zeros(blocks + 1, np.int64)
        n = c.count_pairs(execs, k, rows, np.full(blocks, -1), keys, times)
        order = np.argsort(keys[:n])
        for key, count in zip(keys[order].tolist(), times[order].tolist(), strict=True):
            found[key] = found.get(key, 0) + count
    return np.array(list(found), np.int64), np.array(list(found.values()), np.int64)
