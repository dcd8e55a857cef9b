"""Timing of an op: where its data was, how long it is in flight, what it costs the core.

Fidelity note. Modelled: one core's L1D, L2 and system-level cache, set-associative, true LRU,
write-allocate, filled together on a miss ("mostly inclusive": an eviction below does not invalidate
above); per (class, memory level) a *throughput* (ticks of work time per op: what the core loses, so
that Σ gives IPC) and a *latency* (ticks from dispatch to completion, as SPE's TOTAL counts it: a
floor plus a lognormal wait for operands and a pipe). Throughput never exceeds latency. What other
cores do to a line is modelled for threads that share memory only (`sim.workload.sharing`).

Not modelled: hardware prefetch (so a streaming walk misses once a line here and hardly ever on the
machine), write-streaming mode, write-back traffic, instruction fetches in L2, TLBs, other cores'
share of the SLC (the whole SLC is ours, as on an idle host), physical and hashed set indexing (sets
are chosen by virtual line number), accesses that cross a line (the first line counts), replacement
other than LRU, data dependence between neighbouring ops, clock changes (cycles of the mesh and of
DRAM were converted once, at 3.0 GHz).

Sources are data: every number of a preset is a row of `CorePreset.facts()` with its source and an
`unverified` flag; the presets themselves are in `sim.workload.presets`.

Calibrated by: `OpCost.throughput_ticks` (to IPC 1.5 on ordinary code that hits L1),
`OpCost.wait_cycles` and `wait_p99_cycles` (to 20 cycles median in flight, 350 for DRAM). A result
that hangs on them needs a sweep of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import laws
from sim.draws import njit, njit_inner
from sim.units import TICKS_PER_CYCLE
from sim.workload.arrays import LEVEL_STRIDE

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
U8 = NDArray[np.uint8]

CACHE_MODEL_VERSION = 1
"""Part of the address of a stream's index: raise it when any op may get another level."""

TIMING_CLASSES = 8
"""Classes in every (class, level) table; six are used."""


class MemLevel(IntEnum):
    """Where an access found its data; NONE = the op made no data access."""

    NONE = 0
    L1 = 1
    L2 = 2
    SLC = 3
    DRAM = 4
    PEER_CORE = 5
    """The cache of another core of the same cluster; only where threads share memory."""
    PEER_CLUSTER = 6
    """The cache of a core of another cluster; likewise."""


PEERS = (MemLevel.PEER_CORE, MemLevel.PEER_CLUSTER)
"""Where another core gave the line: what `perf c2c` calls a peer."""


class TimingClass(IntEnum):
    """What an op costs. 0 to 4 are the op classes of A64; FP/SIMD ops without memory are 5."""

    OTHER = 0
    LOAD = 1
    STORE = 2
    ATOMIC = 3
    BRANCH = 4
    FP_SIMD = 5


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number comes from; `unverified` = no publication gives it, so sweep it."""

    text: str
    unverified: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """One number of a preset, with its unit and source: a row for tables and reports."""

    name: str
    value: int
    unit: str
    source: str
    unverified: bool


@dataclass(frozen=True, slots=True)
class CacheGeometry:
    """A set-associative cache; sets and line size are powers of two."""

    sets: int
    ways: int
    line_bytes: int

    def __post_init__(self) -> None:
        for name in ("sets", "line_bytes"):
            value = getattr(self, name)
            if value < 1 or value & (value - 1):
                raise ValueError(f"{name} = {value}; a cache needs a power of two")
        if self.ways < 1:
            raise ValueError(f"ways = {self.ways}; a cache needs at least one")

    @property
    def size_bytes(self) -> int:
        """Capacity."""
        return self.sets * self.ways * self.line_bytes


@dataclass(frozen=True, slots=True)
class LevelFacts:
    """What a record says of an access that found its data at `level`."""

    level: MemLevel
    data_source: int
    events: int
    data_source_from: Source
    events_from: Source


@dataclass(frozen=True, slots=True)
class OpCost:
    """Costs of one (class, level). Latency = floor + lognormal wait (median, 99th percentile)."""

    op_class: TimingClass
    level: MemLevel
    throughput_ticks: int
    floor_cycles: int
    wait_cycles: int
    wait_p99_cycles: int
    throughput_from: Source
    floor_from: Source
    wait_from: Source


@dataclass(frozen=True, slots=True)
class CorePreset:
    """A core with its caches: geometry, latencies, throughputs, and what its records say."""

    name: str
    source: str
    midr: int
    clock_hz: int
    record_bytes: int
    counter_max: int
    flag_updates: int
    """PMBIDR_EL1.F."""
    cluster_cores: int
    """Cores whose transfers do not cross the mesh; cores are numbered cluster by cluster."""
    l1d: CacheGeometry
    l2: CacheGeometry
    slc: CacheGeometry
    levels: tuple[LevelFacts, ...]
    costs: tuple[OpCost, ...]
    cited: tuple[tuple[str, Source], ...]

    def __post_init__(self) -> None:
        if len({g.line_bytes for g in self.caches}) != 1:
            raise ValueError(f"{self.name}: all caches must have one line size")

    @property
    def caches(self) -> tuple[CacheGeometry, CacheGeometry, CacheGeometry]:
        """L1D, L2, SLC: the order in which an access asks."""
        return self.l1d, self.l2, self.slc

    @property
    def sources(self) -> dict[str, Fact]:
        """Every number of this preset by name (`l2.ways`, `load.dram.floor`, …)."""
        return {fact.name: fact for fact in self.facts()}

    def facts(self) -> Iterator[Fact]:
        """Every number of this preset with its unit, source and `unverified` flag."""
        yield from _core_facts(self)
        yield from _level_facts(self.levels)
        yield from _cost_facts(self.costs)

    def throughput_ticks(self) -> I64:
        """Ticks that an op costs the core, flat by class × 8 + level; at least one."""
        return np.array([cost.throughput_ticks for cost in _cells(self)], np.int64)

    def latency_laws(self) -> I64:
        """`sim.laws` of ticks in flight, flat by (class × 8 + level) × laws.STRIDE + cell.

        ValueError if a throughput is beyond them: only whoever uses a core waits for its laws.
        """
        _check_throughput(self)
        return np.concatenate([_latency(cost) for cost in _cells(self)])

    def level_events(self) -> I64:
        """Event bits that an access at each level sets, [8]; op bits (retired, …) not included."""
        return self._by_level("events")

    def level_source(self) -> I64:
        """Data source packet of a load at each level, [8]; 0 where there is none, and for L1D."""
        return self._by_level("data_source")

    def _by_level(self, name: str) -> I64:
        out = np.zeros(LEVEL_STRIDE, np.int64)
        for facts in self.levels:
            out[facts.level] = getattr(facts, name)
        return out


# --- tables ------------------------------------------------------------------------------------


def _cells(preset: CorePreset) -> list[OpCost]:
    """One cost per cell of the 8 × 8 table. A cell that no op can be in costs what its class costs
    without an access; an unused class costs what OTHER does."""
    given = {(int(cost.op_class), int(cost.level)): cost for cost in preset.costs}
    other = given[TimingClass.OTHER, MemLevel.NONE]
    cells = []
    for op_class in range(TIMING_CLASSES):
        plain = given.get((op_class, MemLevel.NONE), other)
        cells += [given.get((op_class, level), plain) for level in range(LEVEL_STRIDE)]
    return cells


def _latency(cost: OpCost) -> I64:
    """The law of a cell's ticks in flight: floor + lognormal(median, 99th percentile)."""
    floor, median, p99 = cost.floor_cycles, cost.wait_cycles, cost.wait_p99_cycles
    return laws.lognormal(*(cycles * TICKS_PER_CYCLE for cycles in (floor, median, p99)))


def _check_throughput(preset: CorePreset) -> None:
    """1 ≤ throughput ≤ shortest latency, in every cell: an op cannot cost more than it lasts."""
    for cost in preset.costs:
        shortest = laws.shortest(_latency(cost))
        if not 1 <= cost.throughput_ticks <= shortest:
            raise ValueError(
                f"{preset.name}: {_cell_name(cost)} costs {cost.throughput_ticks} ticks; "
                f"it must be 1 to {shortest}, its shortest latency"
            )


def _cell_name(cost: OpCost) -> str:
    return f"{cost.op_class.name.lower()}.{cost.level.name.lower()}"


def _core_facts(preset: CorePreset) -> Iterator[Fact]:
    for name, source in preset.cited:
        value = getattr(preset, name)
        if isinstance(value, CacheGeometry):
            parts = ((f"{name}.{f.name}", getattr(value, f.name)) for f in fields(value))
        else:
            parts = (pair for pair in ((name, value),))
        for part, number in parts:
            yield Fact(part, number, _unit_of(part), source.text, source.unverified)


def _unit_of(name: str) -> str:
    if name.endswith("bytes"):
        return "B"
    return "Hz" if name.endswith("_hz") else "1"


def _level_facts(levels: tuple[LevelFacts, ...]) -> Iterator[Fact]:
    for facts in levels:
        name = facts.level.name.lower()
        for what in ("data_source", "events"):
            source: Source = getattr(facts, f"{what}_from")
            value = getattr(facts, what)
            yield Fact(f"{name}.{what}", value, "1", source.text, source.unverified)


def _cost_facts(costs: tuple[OpCost, ...]) -> Iterator[Fact]:
    for cost in costs:
        for what, value, unit, source in (
            ("throughput", cost.throughput_ticks, "tick", cost.throughput_from),
            ("floor", cost.floor_cycles, "cycle", cost.floor_from),
            ("wait", cost.wait_cycles, "cycle", cost.wait_from),
            ("wait_p99", cost.wait_p99_cycles, "cycle", cost.wait_from),
        ):
            yield Fact(f"{_cell_name(cost)}.{what}", value, unit, source.text, source.unverified)


# --- caches ------------------------------------------------------------------------------------

_EMPTY = np.uint64((1 << 64) - 1)
"""A way that holds nothing; no line number is that large."""


@dataclass(frozen=True, slots=True)
class CacheState:
    """Lines held by each cache [sets, ways], most recently used first; changed in place."""

    line_shift: int
    l1d: U64
    l2: U64
    slc: U64


def cold_caches(preset: CorePreset) -> CacheState:
    """Caches that hold nothing."""
    l1d, l2, slc = (np.full((g.sets, g.ways), _EMPTY, np.uint64) for g in preset.caches)
    return CacheState(preset.l1d.line_bytes.bit_length() - 1, l1d, l2, slc)


def access(state: CacheState, addresses: U64, out: U8 | None = None) -> U8:
    """Level of each access in program order; `state` moves on, so a stream may come in chunks."""
    addresses = np.ascontiguousarray(addresses, np.uint64)
    levels = np.empty(addresses.size, np.uint8) if out is None else out
    if levels.shape != addresses.shape:
        raise ValueError(f"out has shape {levels.shape}, addresses {addresses.shape}")
    _walk(addresses, levels, state.line_shift, state.l1d, state.l2, state.slc)
    return levels


def memory_levels(
    addresses: U64,
    is_store: U8 | NDArray[np.bool_] | None,
    preset: CorePreset,
    *,
    passes: int = 2,
) -> U8:
    """Memory level of each slot [M] in program order; address 0 (no access) is `MemLevel.NONE`.

    Caches start cold and the stream runs `passes` times; the levels are the last pass's. A stream
    that the simulator repeats has no cold start but its first, so the default is the second pass.
    Its L1 hits are then exactly those of every later pass; L2's settle with the third and the
    SLC's with the fourth, each seeing only the misses above it.

    `is_store` does not change a level, as stores allocate like loads; it is in the signature for a
    write-streaming model and may be None.
    """
    if passes < 1:
        raise ValueError(f"passes = {passes}; the stream must run at least once")
    if is_store is not None and is_store.shape != addresses.shape:
        raise ValueError(f"is_store has shape {is_store.shape}, addresses {addresses.shape}")
    state = cold_caches(preset)
    levels = access(state, addresses)
    for _ in range(passes - 1):
        access(state, addresses, levels)
    return levels


@njit_inner
def touch(lines: Any, line: Any) -> bool:
    """Look `line` up and make it the most recent of its set; False if it was not there."""
    held = lines[np.int64(line & np.uint64(lines.shape[0] - 1))]
    moved = held[0]
    if moved == line:
        return True
    held[0] = line
    for way in range(1, held.size):
        moved, held[way] = held[way], moved
        if moved == line:
            return True
    return False


@njit
def _walk(addresses: Any, levels: Any, line_shift: int, l1d: Any, l2: Any, slc: Any) -> None:
    """Levels of `addresses`, one after the other; a miss fills every cache that missed."""
    shift = np.uint64(line_shift)
    for k in range(addresses.size):
        line = addresses[k] >> shift
        if addresses[k] == 0:
            levels[k] = 0
        elif touch(l1d, line):
            levels[k] = 1
        elif touch(l2, line):
            levels[k] = 2
        elif touch(slc, line):
            levels[k] = 3
        else:
            levels[k] = 4
