"""Core presets: the numbers of a core, each with its source.

Fidelity note. A preset holds what a core's caches, costs and SPE records are; `sim.workload.timing`
says what is modelled with it. Only caches, costs, data sources and event bits act in a run. Clock,
record size and counter width are facts to show: a scenario sets `cpu.clock` and `spe.counter_bits`
itself, and the records of every core are written in the 64-byte slot, but Kunpeng's, which are
packed (`spe.record`). PMSIDR.Interval is known of no core and a setting (`spe.min_interval`).
Neoverse N1 rests on Arm's white paper and on published measurements of Graviton2. For the others
few numbers were found: what is missing is N1's figure, marked UNVERIFIED. UNVERIFIED for all cores
are waits, throughputs, everything about atomics, and the event bits of a level. No erratum comes
with a preset: N1 1694299 shifts samples to branch targets, by how much is not published
(`spe.target_bias_per_mille`). What a line costs that another core gives is an estimate, the same
for all cores; it acts only where threads share memory (`sim.workload.sharing`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sim.units import TICKS_PER_CYCLE
from sim.workload.timing import (
    PEERS,
    CacheGeometry,
    CorePreset,
    LevelFacts,
    MemLevel,
    OpCost,
    Source,
    TimingClass,
)

NEAR_WAIT, SLC_WAIT, DRAM_WAIT = (18, 130), (30, 200), (65, 600)
"""Median and 99th percentile of the wait, cycles."""
ATOMIC_EXTRA = 6
"""Cycles that an atomic takes and costs more than a load."""


def get_preset(name: str) -> CorePreset:
    """The preset called `name`; ValueError names the nearest one."""
    if name in PRESETS:
        return PRESETS[name]
    close = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise ValueError(f"unknown core {name!r}; {hint}(known: {', '.join(PRESETS)})")


# --- sources -----------------------------------------------------------------------------------

_PAPER = "Arm white paper 'The Arm Neoverse N1 Platform' (Pellegrini et al.)"
_LEARN = "learn.arm.com 'Characterize the memory subsystem'"
_GRAVITON2 = f"{_LEARN}, Graviton2 (Neoverse N1, 2.5 GHz)"
_GRAVITON4 = f"{_LEARN}, Graviton4 (Neoverse V2)"
_RECORDS = "Neoverse-class SPE records (tests of perf_data_converter and of telemetry-solution)"
_CPUTYPE = "Linux arch/arm64/include/asm/cputype.h"

_WAIT = Source("fit: 20 cycles median in flight over an L1 mix, an estimate", unverified=True)
_WAIT_MISS = Source(
    "fit: waits grow with the miss, so that DRAM is 350 cycles in the median, an estimate",
    unverified=True,
)
_GUESS = Source("estimate: no publication found", unverified=True)
_AS_N1 = Source("no figure found: Neoverse N1's, in cycles", unverified=True)


def _between(where: str, bandwidth: str, low_cycles: str, high_cycles: int) -> Source:
    """Throughput of a load that misses: between a streaming and a pointer-chasing core."""
    return Source(
        f"geometric mean of a full stream ({bandwidth} in 64 B lines: {low_cycles} cycles, "
        f"{where}) and dependent loads ({high_cycles} cycles); real code lies between",
        unverified=True,
    )


# --- costs -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cost:
    """Throughput in ticks and floor in cycles, each with its source."""

    ticks: int
    floor: int
    ticks_from: Source
    floor_from: Source


@dataclass(frozen=True, slots=True)
class _Costs:
    """What sets one core's costs apart; loads and stores by level, L1 to DRAM."""

    other: _Cost
    branch: _Cost
    fp_simd: _Cost
    loads: tuple[_Cost, _Cost, _Cost, _Cost]
    stores: tuple[_Cost, _Cost, _Cost, _Cost]


_LEVELS = (MemLevel.L1, MemLevel.L2, MemLevel.SLC, MemLevel.DRAM, *PEERS)
_LOAD_WAITS = (NEAR_WAIT, NEAR_WAIT, SLC_WAIT, DRAM_WAIT, SLC_WAIT, SLC_WAIT)
_PEER_CORE = Source(
    "estimate: no figure found; between L2 and SLC, as the request stays within the cluster",
    unverified=True,
)
_PEER_CLUSTER = Source(
    "fit: with the wait 160 cycles, as the one published record with this data source has from "
    "issue to completion (Altra: TOT 501, ISSUE 337, data source 12; a report to Ampere's kernel)",
    unverified=True,
)
_PEER_RATE = Source(
    "geometric mean of the SLC's streaming rate and the floor, as for other levels", unverified=True
)
_PEER_STORE = Source("estimate: no figure found; SLC's and DRAM's costs of a store", True)
_PEER_LOADS = (
    _Cost(640, 40, _PEER_RATE, _PEER_CORE),
    _Cost(1664, 130, _PEER_RATE, _PEER_CLUSTER),
)
_PEER_STORES = (
    _Cost(384, 6, _PEER_STORE, _PEER_STORE),
    _Cost(640, 10, _PEER_STORE, _PEER_STORE),
)


def _rows(costs: _Costs) -> tuple[OpCost, ...]:
    """Costs of every class and level. An access that made none costs what an L1 hit does."""
    none = MemLevel.NONE
    classes = (
        (TimingClass.OTHER, costs.other),
        (TimingClass.BRANCH, costs.branch),
        (TimingClass.FP_SIMD, costs.fp_simd),
    )
    loads = tuple(_accesses(TimingClass.LOAD, (*costs.loads, *_PEER_LOADS), _LOAD_WAITS))
    stores = (*costs.stores, *_PEER_STORES)
    return (
        *(_row(op_class, none, cost, NEAR_WAIT) for op_class, cost in classes),
        *loads,
        *_accesses(TimingClass.STORE, stores, (NEAR_WAIT,) * len(_LEVELS)),
        *(_atomic(load) for load in loads),
    )


def _accesses(
    op_class: TimingClass, costs: tuple[_Cost, ...], waits: tuple[tuple[int, int], ...]
) -> Iterator[OpCost]:
    yield _row(op_class, MemLevel.NONE, costs[0], waits[0])
    for level, cost, wait in zip(_LEVELS, costs, waits, strict=True):
        yield _row(op_class, level, cost, wait)


def _row(op_class: TimingClass, level: MemLevel, cost: _Cost, wait: tuple[int, int]) -> OpCost:
    wait_from = _WAIT if wait == NEAR_WAIT else _WAIT_MISS
    return OpCost(
        op_class, level, cost.ticks, cost.floor, *wait, cost.ticks_from, cost.floor_from, wait_from
    )


def _atomic(load: OpCost) -> OpCost:
    """An atomic is a load and a serialised update; far atomics are not told apart."""
    return replace(
        load,
        op_class=TimingClass.ATOMIC,
        throughput_ticks=load.throughput_ticks + ATOMIC_EXTRA * TICKS_PER_CYCLE,
        floor_cycles=load.floor_cycles + ATOMIC_EXTRA,
        throughput_from=_GUESS,
        floor_from=_GUESS,
    )


# --- records -----------------------------------------------------------------------------------

EV_L1D_ACCESS, EV_L1D_REFILL, EV_TLB_ACCESS = 1 << 2, 1 << 3, 1 << 4
EV_LLC_ACCESS, EV_LLC_MISS = 1 << 8, 1 << 9
"""Event bits that a memory level implies (Arm ARM, Events packet)."""


def _levels(data_sources: tuple[int, ...], packet: Source) -> tuple[LevelFacts, ...]:
    bits = Source(
        "bit numbers: Arm ARM, Events packet; which of them the core sets at a level is inferred "
        "from their names, and from one record of Altra with a peer cluster's line",
        unverified=True,
    )
    l1 = EV_L1D_ACCESS | EV_TLB_ACCESS
    l2 = l1 | EV_L1D_REFILL
    slc = l2 | EV_LLC_ACCESS
    beyond = slc | EV_LLC_MISS
    events = (l1, l2, slc, beyond, slc, beyond)
    return tuple(
        LevelFacts(level, source, bits_set, packet, bits)
        for level, source, bits_set in zip(_LEVELS, data_sources, events, strict=True)
    )


_NEOVERSE_LEVELS = _levels(
    (0, 8, 11, 14, 9, 12), Source("Neoverse data source encoding, Linux tools/perf arm-spe-decoder")
)
_COUNT_SIZE = Source(f"{_RECORDS}: 12 bits; this core's CountSize assumed", unverified=True)
_FLAGS = Source(
    "no figure found; SBSA level 7 asks for PMBIDR_EL1.F = 1, below it is open", unverified=True
)
_ONE_CORE = Source("no figure found; a core a mesh port assumed", unverified=True)
_SLOT = Source(f"{_RECORDS}; this core's PMSIDR_EL1.MaxSize assumed", unverified=True)


# --- Neoverse N1 -------------------------------------------------------------------------------


def _n1_costs() -> _Costs:
    llvm = "LLVM AArch64SchedNeoverseN1.td, after the Neoverse N1 Software Optimization Guide"
    fit = Source(
        "fit: IPC 1.5, itself an estimate, on the mixes of three recorded programs in "
        "L1; bounded below by the 4-wide decoder, 16 ticks",
        unverified=True,
    )
    l1 = Source(f"{_PAPER}: 4 cycles load to use; 1.6 ns, {_GRAVITON2}")
    l2 = Source(f"{_PAPER}: 11 cycles with 1 MiB; 5.4 ns = 13.5 cycles, {_GRAVITON2}")
    slc = Source(f"28.8 ns pointer chase × 3.0 GHz, {_GRAVITON2}")
    dram = Source(f"95.0 ns pointer chase × 3.0 GHz, {_GRAVITON2}; AnandTech 2020: 81 ns")
    line = Source(f"64 B at the level's streaming bandwidth, {_GRAVITON2}", unverified=True)
    return _Costs(
        other=_Cost(32, 1, fit, Source(f"{llvm}: WriteI 1 cycle")),
        branch=_Cost(64, 1, fit, Source(f"{llvm}: WriteBr 1 cycle")),
        fp_simd=_Cost(48, 3, fit, Source(f"{llvm}: 2 to 4 cycles, FP multiply 3")),
        loads=(
            _Cost(48, 4, fit, l1),
            _Cost(320, 11, _between(_GRAVITON2, "73.4 GB/s", "2.2", 11), l2),
            _Cost(1344, 86, _between(_GRAVITON2, "35.9 GB/s", "5.3", 86), slc),
            _Cost(3264, 285, _between(_GRAVITON2, "20.9 GB/s", "9.2", 285), dram),
        ),
        stores=(
            _Cost(40, 1, fit, Source(f"{llvm}: WriteST 1 cycle")),
            _Cost(192, 3, line, line),
            _Cost(384, 6, line, line),
            _Cost(640, 10, line, line),
        ),
    )


def _neoverse_n1() -> CorePreset:
    sysfs = f"sysfs of {_GRAVITON2}"
    return CorePreset(
        name="neoverse-n1",
        source="Neoverse N1 r3p1 at 3.0 GHz, 1 MiB L2, 32 MiB SLC (Ampere Altra, Graviton2)",
        midr=0x413FD0C1,
        clock_hz=3_000_000_000,
        record_bytes=64,
        counter_max=0xFFF,
        flag_updates=1,
        cluster_cores=2,
        l1d=CacheGeometry(sets=256, ways=4, line_bytes=64),
        l2=CacheGeometry(sets=2048, ways=8, line_bytes=64),
        slc=CacheGeometry(sets=32768, ways=16, line_bytes=64),
        levels=_NEOVERSE_LEVELS,
        costs=_rows(_n1_costs()),
        cited=(
            ("midr", Source("MIDR_EL1 in public boot logs of Altra; r3p1")),
            ("clock_hz", Source("estimate: 2.6 to 3.5 GHz, Altra and Kunpeng", True)),
            ("record_bytes", Source(f"{_RECORDS}; kernel log of an SPEv1.1 64-CPU server")),
            ("counter_max", _COUNT_SIZE),
            ("flag_updates", _FLAGS),
            (
                "cluster_cores",
                Source(
                    "AnandTech 2021, Altra Max: two cores a DSU; Graviton2 may differ",
                    unverified=True,
                ),
            ),
            ("l1d", Source(f"{_PAPER}: 64 KiB, 4-way; {sysfs}")),
            ("l2", Source(f"{_PAPER}: up to 1 MiB, 8-way; {sysfs}")),
            ("slc", Source(f"{sysfs}: 32 MiB, 16-way, shared by 64 cores; Altra has 32 MiB too")),
        ),
    )


# --- Neoverse V1 -------------------------------------------------------------------------------


def _as_n1(
    costs: tuple[_Cost, _Cost, _Cost, _Cost], l1: _Cost
) -> tuple[_Cost, _Cost, _Cost, _Cost]:
    """Costs of the levels beyond L1 as N1 has them, without a source."""
    _, l2, slc, dram = (replace(cost, ticks_from=_AS_N1, floor_from=_AS_N1) for cost in costs)
    return l1, l2, slc, dram


def _v1_costs() -> _Costs:
    llvm = "LLVM AArch64SchedNeoverseV1.td"
    fit = Source(
        "estimate: N1's fit with 1.5 times its IPC, Arm's claim for V1 (not read again)",
        unverified=True,
    )
    n1 = _n1_costs()
    return _Costs(
        other=_Cost(21, 1, fit, Source(f"{llvm}: V1Write_1c_1I")),
        branch=_Cost(43, 1, fit, Source(f"{llvm}: V1Write_1c_1B")),
        fp_simd=_Cost(32, 3, fit, _AS_N1),
        loads=_as_n1(n1.loads, _Cost(32, 4, fit, Source(f"{llvm}: V1Write_4c_1L"))),
        stores=_as_n1(n1.stores, _Cost(27, 1, fit, Source(f"{llvm}: V1Write_1c_1L01"))),
    )


def _neoverse_v1() -> CorePreset:
    graviton3 = "WikiChip, AWS Graviton3"
    return CorePreset(
        name="neoverse-v1",
        source="Neoverse V1 r1p1 at 2.6 GHz, 1 MiB L2, 32 MiB SLC (Graviton3)",
        midr=0x411FD401,
        clock_hz=2_600_000_000,
        record_bytes=64,
        counter_max=0xFFF,
        flag_updates=1,
        cluster_cores=1,
        l1d=CacheGeometry(sets=256, ways=4, line_bytes=64),
        l2=CacheGeometry(sets=2048, ways=8, line_bytes=64),
        slc=CacheGeometry(sets=32768, ways=16, line_bytes=64),
        levels=_NEOVERSE_LEVELS,
        costs=_rows(_v1_costs()),
        cited=(
            ("midr", Source(f"part 0xd40: {_CPUTYPE}; r1p1: lscpu in {graviton3}")),
            ("clock_hz", Source(f"{graviton3}: 2,600 MHz")),
            ("record_bytes", _SLOT),
            ("counter_max", _COUNT_SIZE),
            ("flag_updates", _FLAGS),
            ("cluster_cores", _ONE_CORE),
            ("l1d", Source(f"{graviton3}: 64 KiB; ways assumed as N1's", True)),
            ("l2", Source(f"{graviton3}: 1 MiB; ways assumed as N1's", True)),
            ("slc", Source(f"{graviton3}: 32 MiB; ways assumed as N1's", True)),
        ),
    )


# --- Neoverse V2 -------------------------------------------------------------------------------


def _v2_costs() -> _Costs:
    fit = Source(
        "estimate: V1's with 1.13 times its IPC (The Next Platform, 28 Nov 2023)", unverified=True
    )
    line = Source(
        f"64 B at the level's streaming bandwidth × 2.8 GHz, {_GRAVITON4}", unverified=True
    )
    return _Costs(
        other=_Cost(19, 1, fit, _AS_N1),
        branch=_Cost(38, 1, fit, _AS_N1),
        fp_simd=_Cost(28, 3, fit, _AS_N1),
        loads=(
            _Cost(28, 4, fit, _AS_N1),
            _Cost(288, 11, _between(_GRAVITON4, "95.1 GB/s", "1.9", 11), _AS_N1),
            _Cost(896, 86, _between(_GRAVITON4, "78.0 GB/s", "2.3", 86), _AS_N1),
            _Cost(2368, 285, _between(_GRAVITON4, "37.0 GB/s", "4.8", 285), _AS_N1),
        ),
        stores=(
            _Cost(24, 1, fit, _AS_N1),
            _Cost(128, 2, line, line),
            _Cost(192, 3, line, line),
            _Cost(320, 5, line, line),
        ),
    )


def _neoverse_v2() -> CorePreset:
    return CorePreset(
        name="neoverse-v2",
        source="Neoverse V2 at 2.8 GHz, 2 MiB L2, 36 MiB SLC (Graviton4)",
        midr=0x410FD4F0,
        clock_hz=2_800_000_000,
        record_bytes=64,
        counter_max=0xFFF,
        flag_updates=1,
        cluster_cores=1,
        l1d=CacheGeometry(sets=256, ways=4, line_bytes=64),
        l2=CacheGeometry(sets=4096, ways=8, line_bytes=64),
        slc=CacheGeometry(sets=32768, ways=18, line_bytes=64),
        levels=_NEOVERSE_LEVELS,
        costs=_rows(_v2_costs()),
        cited=(
            ("midr", Source(f"part 0xd4f: {_CPUTYPE}; revision r0p0 assumed", True)),
            ("clock_hz", Source("no figure found; estimate", True)),
            ("record_bytes", _SLOT),
            ("counter_max", _COUNT_SIZE),
            ("flag_updates", _FLAGS),
            ("cluster_cores", _ONE_CORE),
            ("l1d", Source(f"{_GRAVITON4}: 4-way, 64 B lines; 64 KiB assumed as N1's", True)),
            ("l2", Source(f"{_GRAVITON4}: 2 MB, 8-way, 64 B lines")),
            ("slc", Source(f"{_GRAVITON4}: 36 MB; ways chosen to make it", True)),
        ),
    )


# --- Kunpeng 920 -------------------------------------------------------------------------------


def _kunpeng_costs() -> _Costs:
    llvm = "LLVM AArch64SchedTSV110.td"
    fit = Source("estimate: N1's fit; TSV110 also dispatches 4 a cycle (LLVM)", unverified=True)
    n1 = _n1_costs()
    return _Costs(
        other=_Cost(32, 1, fit, Source(f"{llvm}: WriteI 1 cycle")),
        branch=_Cost(64, 1, fit, Source(f"{llvm}: WriteBr 1 cycle")),
        fp_simd=_Cost(48, 4, fit, Source(f"{llvm}: WriteVd 4 cycles; FP 2, FP multiply 5")),
        loads=_as_n1(n1.loads, _Cost(48, 4, fit, Source(f"{llvm}: WriteLD 4 cycles"))),
        stores=_as_n1(n1.stores, _Cost(40, 1, fit, Source(f"{llvm}: WriteST 1 cycle"))),
    )


def _kunpeng_920() -> CorePreset:
    wikichip = "WikiChip, TaiShan v110"
    return CorePreset(
        name="kunpeng-920",
        source="Kunpeng 920 (TaiShan v110) at 2.6 GHz, 512 KiB L2, 32 MiB L3 of one die",
        midr=0x481FD010,
        clock_hz=2_600_000_000,
        record_bytes=128,
        counter_max=0xFFF,
        flag_updates=1,
        cluster_cores=4,
        l1d=CacheGeometry(sets=256, ways=4, line_bytes=64),
        l2=CacheGeometry(sets=1024, ways=8, line_bytes=64),
        slc=CacheGeometry(sets=32768, ways=16, line_bytes=64),
        levels=_levels(
            (0,) * len(_LEVELS),
            Source("no data source packet in the Kunpeng-class record (LKML 20210626032115.16742)"),
        ),
        costs=_rows(_kunpeng_costs()),
        cited=(
            ("midr", Source(f"implementer 0x48, part 0xd01: {_CPUTYPE}; r1p0 assumed", True)),
            ("clock_hz", Source("WikiChip, Kunpeng 920-6426: 2,600 MHz")),
            (
                "record_bytes",
                Source("largest record, kernel log of a Kunpeng D06; real ones are 32 or 44 B"),
            ),
            ("counter_max", _COUNT_SIZE),
            ("flag_updates", _FLAGS),
            (
                "cluster_cores",
                Source("Linux commit c5e22feffdd7: clusters of 4 CPUs share an L3 tag"),
            ),
            ("l1d", Source(f"{wikichip}: 64 KiB, 64 B lines; ways assumed as N1's", True)),
            ("l2", Source(f"{wikichip}: 512 KiB a core; ways assumed as N1's", True)),
            (
                "slc",
                Source(
                    f"{wikichip}: 1 MiB a core; 32 cores a die (Chips and Cheese); ways and line "
                    "size assumed as N1's",
                    True,
                ),
            ),
        ),
    )


PRESETS: dict[str, CorePreset] = {
    preset.name: preset
    for preset in (_neoverse_n1(), _neoverse_v1(), _neoverse_v2(), _kunpeng_920())
}
