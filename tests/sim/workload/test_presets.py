"""Core presets: laws that hold for each, what sets them apart, and that the engines agree."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from sim import laws
from sim.machine.machine import simulate
from sim.machine.resolve import machine_spec
from sim.machine.run import Run
from sim.results import RunResult
from sim.scenario.files.loader import stock_folder
from sim.scenario.models.quantities import ConstantLatency
from sim.scenario.models.scenario import DESIGNS, Arm, Cpu, Settings
from sim.scenario.models.workloads import LevelMix, OpMix, Phase, Synthetic
from sim.units import TICKS_PER_CYCLE
from sim.workload.arrays import LEVEL_STRIDE
from sim.workload.index import index_key
from sim.workload.presets import PRESETS, get_preset
from sim.workload.synthetic import synthetic_stream
from sim.workload.timing import (
    TIMING_CLASSES,
    CacheGeometry,
    CorePreset,
    MemLevel,
    TimingClass,
    memory_levels,
)

CORES = sorted(PRESETS)
KIB, MIB = 1 << 10, 1 << 20


def _latency(core: CorePreset) -> NDArray[np.int64]:
    return core.latency_laws().reshape(TIMING_CLASSES, LEVEL_STRIDE, laws.STRIDE)


def _throughput(core: CorePreset) -> NDArray[np.int64]:
    return core.throughput_ticks().reshape(TIMING_CLASSES, LEVEL_STRIDE)


# --- laws ------------------------------------------------------------------------------------


def test_scenarios_know_every_core_and_no_other() -> None:
    """`cpu.core` and the presets are one list."""
    assert sorted(get_args(Cpu.model_fields["core"].annotation)) == CORES
    assert {name: preset.name for name, preset in PRESETS.items()} == {n: n for n in CORES}


@pytest.mark.parametrize("name", CORES)
def test_tables_are_valid(name: str) -> None:
    """1 ≤ throughput ≤ shortest latency; farther memory lasts and costs more, in all its law."""
    core = get_preset(name)
    latency, throughput = _latency(core), _throughput(core)
    assert (throughput >= 1).all()
    shortest = [[laws.shortest(law) for law in row] for row in latency]
    assert (throughput <= np.array(shortest)).all()
    for op_class in (TimingClass.LOAD, TimingClass.STORE, TimingClass.ATOMIC):
        near_to_far = slice(MemLevel.L1, MemLevel.DRAM + 1)
        assert (np.diff(throughput[op_class, near_to_far]) > 0).all()
        for cycles in range(0, 2000, 50):
            above = laws.at_least(latency[op_class, near_to_far], cycles * TICKS_PER_CYCLE)
            assert (np.diff(above) >= 0).all()


@pytest.mark.parametrize("name", CORES)
def test_every_number_has_a_source(name: str) -> None:
    """Each numeric field, level and cost is a fact of its own; fits and waits are UNVERIFIED."""
    core = get_preset(name)
    facts = core.sources
    assert len(facts) == len(list(core.facts()))
    assert all(fact.source and isinstance(fact.value, int) for fact in facts.values())
    numeric = {
        f.name for f in fields(core) if isinstance(getattr(core, f.name), int | CacheGeometry)
    }
    assert {cited for cited, _ in core.cited} == numeric
    for fact in facts.values():
        if any(word in fact.source for word in ("estimate", "assumed", "no figure found", "fit:")):
            assert fact.unverified, fact.name
        if ".wait" in fact.name or ".throughput" in fact.name or fact.name.startswith("atomic."):
            assert fact.unverified, fact.name


# --- differences -----------------------------------------------------------------------------


def test_caches_have_the_published_sizes() -> None:
    """L1D, L2 and the shared cache, bytes."""
    sizes = {name: [cache.size_bytes for cache in PRESETS[name].caches] for name in CORES}
    assert sizes == {
        "neoverse-n1": [64 * KIB, 1 * MIB, 32 * MIB],
        "neoverse-v1": [64 * KIB, 1 * MIB, 32 * MIB],
        "neoverse-v2": [64 * KIB, 2 * MIB, 36 * MIB],
        "kunpeng-920": [64 * KIB, 512 * KIB, 32 * MIB],
    }


def test_working_sets_fall_into_the_cache_that_holds_them() -> None:
    """768 KiB misses Kunpeng's L2 alone; 1.5 MiB hits V2's alone; 34 MiB hits V2's SLC alone."""

    def level_of(size: int, name: str) -> int:
        walk = np.arange(1 << 40, (1 << 40) + size, 64, dtype=np.uint64)
        return int(np.bincount(memory_levels(walk, None, get_preset(name))).argmax())

    found = {size: [level_of(size, name) for name in CORES] for size in (768 * KIB, 1536 * KIB)}
    assert CORES == ["kunpeng-920", "neoverse-n1", "neoverse-v1", "neoverse-v2"]
    assert found == {768 * KIB: [3, 2, 2, 2], 1536 * KIB: [3, 3, 3, 2]}
    assert [level_of(34 * MIB, name) for name in ("neoverse-n1", "neoverse-v2")] == [4, 3]


def test_wider_cores_spend_fewer_ticks() -> None:
    """Throughput of L1 code: V2 < V1 < N1 in every class; only Kunpeng's equals N1's."""
    cells = [(c, MemLevel.L1) for c in (TimingClass.LOAD, TimingClass.STORE)]
    cells += [(c, MemLevel.NONE) for c in (TimingClass.OTHER, TimingClass.BRANCH)]
    cost = {n: np.array([_throughput(PRESETS[n])[cell] for cell in cells]) for n in CORES}
    assert (cost["neoverse-v2"] < cost["neoverse-v1"]).all()
    assert (cost["neoverse-v1"] < cost["neoverse-n1"]).all()
    assert (cost["kunpeng-920"] == cost["neoverse-n1"]).all()


def test_only_neoverse_records_name_a_data_source() -> None:
    """Neoverse's encoding by level; Kunpeng's records have no such packet."""
    sources = {name: PRESETS[name].level_source()[:5].tolist() for name in CORES}
    assert sources.pop("kunpeng-920") == [0] * 5
    assert set(map(tuple, sources.values())) == {(0, 0, 8, 11, 14)}


def test_presets_are_distinct_processors() -> None:
    """No two share a MIDR; implementer and part are those of Linux's cputype.h."""
    parts = {name: (p.midr >> 24, p.midr >> 4 & 0xFFF) for name, p in PRESETS.items()}
    assert parts == {
        "neoverse-n1": (0x41, 0xD0C),
        "neoverse-v1": (0x41, 0xD40),
        "neoverse-v2": (0x41, 0xD4F),
        "kunpeng-920": (0x48, 0xD01),
    }


# --- runs ------------------------------------------------------------------------------------

LOOP = Phase(
    name="loop",
    length=61,
    iterations=4_000,
    mix=OpMix(other=4, load=6, store=3, branch=2, atomic=1, fp_simd=2),
    levels=LevelMix(l1=6, l2=2, slc=2, dram=2),
)
FIVE = ConstantLatency.model_validate({"kind": "constant", "value": "5cycles"})
SHORT = LOOP.model_copy(update={"name": "short", "latency": FIVE})
WORKLOAD = Synthetic(kind="synthetic", phases=(LOOP, SHORT))


def _run(core: str, engine: str) -> RunResult:
    chosen = Settings.model_validate(
        {
            "workload": WORKLOAD,
            "cpu": {"core": core},
            "spe": {"interval": "256ops", "min_interval": "256ops", "jitter": "on"},
            "driver": {"aux": "8KiB"},
        }
    )
    arm = Arm(name="v6", design="v6", policies=DESIGNS["v6"][0], settings=chosen)
    stream = synthetic_stream(WORKLOAD, core=core, exclude_kernel=True, micro_ops=False)
    run = Run("v6", 5, 0, True, True)
    return simulate(machine_spec(arm, stream), (stream,), run, engine)


@pytest.mark.parametrize("core", CORES)
def test_the_engines_agree(core: str) -> None:
    """Same records and same ledgers from `fast` and `reference`, with collisions in the run."""
    fast, reference = (_run(core, engine).vcpus[0] for engine in ("fast", "reference"))
    assert fast.written.shape[0] > 500
    assert np.array_equal(fast.written, reference.written)
    assert fast.ledgers == reference.ledgers
    assert fast.ledgers.selections.collided > 0


def test_the_core_changes_a_run() -> None:
    """Another core has other latencies, hence other records; and an index of its own."""
    mix = stock_folder() / "streams" / "mix.spestream"
    assert len({index_key(mix, PRESETS[name], False) for name in CORES}) == len(CORES)
    n1, v2 = (_run(name, "fast").vcpus[0] for name in ("neoverse-n1", "neoverse-v2"))
    again = _run("neoverse-n1", "fast").vcpus[0]
    assert not np.array_equal(n1.written, v2.written)
    assert np.array_equal(n1.written, again.written)
