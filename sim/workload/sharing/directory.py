"""Who gave each access its line, where the threads of a process share memory.

Fidelity note. Modelled: a MESI directory over cache lines. Thread k runs on core k, which has an
L1D and an L2 of its own; the system-level cache is one for all; sizes and LRU are those of
`sim.workload.timing`. Threads take turns by simulated time: the next access is that of the thread
whose clock is least (at a tie, of the lower number), and it takes the ticks of its level, so that a
thread that waits for lines falls back. All begin together; the group runs twice in a row, from cold
caches, and the second run counts, again from a common start.

* A load that misses gets its line from the core that has it alone (M or E, which a core may leave
  for one another without telling), and both then share it; else from the SLC; else from the nearest
  sharer; else from memory.
* A store or an atomic takes the line for itself. Where others hold it, it waits for the farthest of
  them, whether it has a copy or not: its level is that of a peer. An atomic is such a store,
  whether or not it succeeds (CAS) or is done far away.
* *Near* is the same cluster (`CorePreset.cluster_cores`): `PEER_CORE`; else `PEER_CLUSTER`.

Not modelled: store buffers and store-to-load forwarding (a store's line is there at once), hardware
prefetch, write-back traffic and its occupancy, the snoop filter's size (a line that fell out of a
core's L1D and L2 is simply not there; the core is not asked), two chips (`REMOTE` never comes),
accesses that cross a line (the first line counts), exclusive monitors, and times at which a thread
waited in the kernel: recorded streams have no time, and what they spun for each other is the
recording's. The levels are found once, by the clocks of a core that nobody profiles (baremetal,
no sample, no interrupt), and every arm has them: an arm that stops a core changes its clock, not
who had the line.

Source: Arm Neoverse N1 TRM and CMN-600 TRM for MESI, snooping and the data sources (perf's
arm-spe decoder names them); costs of a transfer are UNVERIFIED (`sim.workload.presets`).
Calibrated by: `CorePreset.cluster_cores` and the costs of the two peer levels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit, njit_inner
from sim.workload.timing import CacheState, CorePreset, MemLevel, cold_caches, touch

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
U8 = NDArray[np.uint8]
DIRECTORY_VERSION = 1
"""Part of the address of a group's index: raise it when any access may get another level."""
CHUNK = 1 << 20
"""Accesses between two words of progress."""
PASSES = 2
"""A stream that is repeated has no cold start but its first (`sim.workload.timing`)."""
_NOBODY = -1
_EMPTY = np.uint64((1 << 64) - 1)
_L1, _L2, _SLC, _DRAM = (int(n) for n in (MemLevel.L1, MemLevel.L2, MemLevel.SLC, MemLevel.DRAM))
_NEAR, _FAR = int(MemLevel.PEER_CORE), int(MemLevel.PEER_CLUSTER)
Told = Callable[[int, int], None]
"""told(done, total) accesses."""


@dataclass(frozen=True, slots=True)
class Accesses:
    """One thread's accesses in program order [M]: address (0: none was made), ticks of the ops
    since the access before, timing row, and whether it takes the line for itself (0/1)."""

    address: U64
    gap: I64
    row: U8
    owns: U8


class Caches(NamedTuple):
    """Lines held [T, sets, ways], and by all [sets, ways]; most recently used first."""

    l1d: U64
    l2: U64
    slc: U64


class Directory(NamedTuple):
    """By number of line: who has it alone (-1: nobody), and a bit for every core that took it."""

    owner: I64
    sharers: U64


class Group(NamedTuple):
    """Accesses of all threads one after another, those of thread k from `start[k]` on."""

    line: U64
    number: NDArray[np.int32]
    """Which of the group's lines it is; -1: no access was made."""
    gap: I64
    row: U8
    owns: U8
    start: I64


def shared_levels(
    threads: Sequence[Accesses],
    preset: CorePreset,
    told: Told = lambda done, total: None,
    *,
    passes: int = PASSES,
) -> list[U8]:
    """Memory level of each access of each thread [M], of the last of `passes` runs of the group.

    O(accesses × threads).
    """
    group = _group(threads, preset)
    caches = _caches(preset, len(threads))
    lines = int(group.number.max(initial=-1)) + 1
    directory = Directory(np.full(lines, _NOBODY, np.int64), np.zeros(lines, np.uint64))
    levels = np.zeros(group.line.size, np.uint8)
    total, row_ticks = passes * levels.size, preset.throughput_ticks()
    for turn in range(passes):
        at, clocks = group.start[:-1].copy(), np.zeros(len(threads), np.int64)
        for done in range(0, levels.size, CHUNK):
            told(turn * levels.size + done, total)
            _run(
                group,
                caches,
                directory,
                preset.cluster_cores,
                row_ticks,
                at,
                clocks,
                CHUNK,
                levels,
            )
    told(total, total)
    return np.split(levels, group.start[1:-1])


def _group(threads: Sequence[Accesses], preset: CorePreset) -> Group:
    shift = np.uint64(preset.l1d.line_bytes.bit_length() - 1)
    address = np.concatenate([thread.address for thread in threads])
    line = np.ascontiguousarray(address >> shift)
    _, number = np.unique(line, return_inverse=True)
    return Group(
        line=line,
        number=np.where(address == 0, -1, number).astype(np.int32),
        gap=np.concatenate([thread.gap for thread in threads]),
        row=np.concatenate([thread.row for thread in threads]),
        owns=np.concatenate([thread.owns for thread in threads]),
        start=np.cumsum([0, *(thread.address.size for thread in threads)]).astype(np.int64),
    )


def _caches(preset: CorePreset, cores: int) -> Caches:
    one: CacheState = cold_caches(preset)
    l1d, l2 = (np.repeat(cache[None], cores, axis=0) for cache in (one.l1d, one.l2))
    return Caches(l1d, l2, one.slc)


# --- caches --------------------------------------------------------------------------------------


@njit_inner
def _has(cache: Any, line: Any) -> Any:
    """Is the line there? It is not used by that."""
    held = cache[np.int64(line & np.uint64(cache.shape[0] - 1))]
    found = False
    for way in range(held.size):
        found |= held[way] == line
    return found


@njit_inner
def _drop(cache: Any, line: Any) -> None:
    """Take a line away, if it is there; the others keep their order."""
    held = cache[np.int64(line & np.uint64(cache.shape[0] - 1))]
    for way in range(held.size):
        if held[way] == line:
            for after in range(way, held.size - 1):
                held[after] = held[after + 1]
            held[held.size - 1] = _EMPTY
            return


# --- directory -----------------------------------------------------------------------------------


@njit_inner
def _others(caches: Any, directory: Any, core: Any, line: Any, number: Any) -> Any:
    """A bit for each other core that really has the line; those that lost it are forgotten."""
    one = np.uint64(1)
    mask = directory.sharers[number] & ~(one << np.uint64(core))
    left = np.uint64(0)
    other = 0
    while mask >> np.uint64(other) != 0:
        bit = one << np.uint64(other)
        if mask & bit != 0 and (_has(caches.l1d[other], line) or _has(caches.l2[other], line)):
            left |= bit
        other += 1
        if other == 64:
            break
    directory.sharers[number] = left | (directory.sharers[number] & (one << np.uint64(core)))
    return left


@njit_inner
def _giver(others: Any, core: Any, cluster: Any, farthest: Any) -> Any:
    """Level of the nearest or of the farthest of the others, of which there is one at least."""
    near, far = False, False
    for other in range(64):
        if others >> np.uint64(other) & np.uint64(1) != 0:
            if other // cluster == core // cluster:
                near = True
            else:
                far = True
    if farthest:
        return _FAR if far else _NEAR
    return _NEAR if near else _FAR


@njit_inner
def _invalidate(caches: Any, others: Any, line: Any) -> None:
    """The others lose the line."""
    for other in range(64):
        if others >> np.uint64(other) & np.uint64(1) != 0:
            _drop(caches.l1d[other], line)
            _drop(caches.l2[other], line)


@njit_inner
def _load(caches: Any, directory: Any, core: Any, cluster: Any, line: Any, number: Any) -> Any:
    """Level of a load."""
    if touch(caches.l1d[core], line):
        return _L1
    if touch(caches.l2[core], line):
        return _L2
    others = _others(caches, directory, core, line, number)
    owner = directory.owner[number]
    owned = owner >= 0 and owner != core and others >> np.uint64(owner) & np.uint64(1) != 0
    directory.owner[number] = core if others == 0 else _NOBODY
    directory.sharers[number] = others | np.uint64(1) << np.uint64(core)
    kept = touch(caches.slc, line)
    if owned:
        return _giver(others, core, cluster, False)
    if kept:
        return _SLC
    if others != 0:
        return _giver(others, core, cluster, False)
    return _DRAM


@njit_inner
def _own(caches: Any, directory: Any, core: Any, cluster: Any, line: Any, number: Any) -> Any:
    """Level of a store or an atomic, which takes the line for itself."""
    level: Any = np.int64(0)
    if touch(caches.l1d[core], line):
        level = _L1
    elif touch(caches.l2[core], line):
        level = _L2
    if level != 0 and directory.owner[number] == core:
        return level
    others = _others(caches, directory, core, line, number)
    directory.owner[number] = core
    directory.sharers[number] = np.uint64(1) << np.uint64(core)
    if level == 0:
        level = _SLC if touch(caches.slc, line) else _DRAM
    if others != 0:
        _invalidate(caches, others, line)
        level = _giver(others, core, cluster, True)
    return level


@njit_inner
def _next(group: Any, at: Any, clocks: Any) -> Any:
    """The thread whose next access begins first; -1 if none has one left."""
    chosen, earliest = -1, np.int64(0)
    for thread in range(at.size):
        if at[thread] < group.start[thread + 1]:
            begins = clocks[thread] + group.gap[at[thread]]
            if chosen < 0 or begins < earliest:
                chosen, earliest = thread, begins
    return chosen


@njit
def _run(
    group: Any,
    caches: Any,
    directory: Any,
    cluster: Any,
    row_ticks: Any,
    at: Any,
    clocks: Any,
    most: Any,
    levels: Any,
) -> None:
    """Up to `most` further accesses of the group; `at`, `clocks`, caches and directory go on."""
    for _ in range(most):
        core = _next(group, at, clocks)
        if core < 0:
            return
        k = at[core]
        level = np.int64(0)
        if group.number[k] >= 0:
            if group.owns[k] != 0:
                level = _own(caches, directory, core, cluster, group.line[k], group.number[k])
            else:
                level = _load(caches, directory, core, cluster, group.line[k], group.number[k])
        levels[k] = level
        clocks[core] += group.gap[k] + row_ticks[np.int64(group.row[k]) + level]
        at[core] = k + 1
