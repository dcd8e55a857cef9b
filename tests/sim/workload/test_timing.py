"""The cache model against a list-of-lists oracle, and the laws of the timing tables."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from functools import cache
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sim import draws, laws
from sim.units import TICKS_PER_CYCLE
from sim.workload import timing
from sim.workload.arrays import LEVEL_STRIDE
from sim.workload.presets import get_preset
from sim.workload.timing import (
    TIMING_CLASSES,
    CacheGeometry,
    CorePreset,
    MemLevel,
    TimingClass,
    access,
    cold_caches,
    memory_levels,
)

N1 = get_preset("neoverse-n1")
LINE = 64
HEAP = 1 << 40
U64 = NDArray[np.uint64]


def _tiny(l1d: tuple[int, int], l2: tuple[int, int], slc: tuple[int, int]) -> CorePreset:
    a, b, c = (CacheGeometry(sets, ways, LINE) for sets, ways in (l1d, l2, slc))
    return replace(N1, l1d=a, l2=b, slc=c)


TINY = _tiny((2, 2), (4, 2), (8, 4))


class LruOracle:
    """A set-associative LRU cache written for reading, not for speed."""

    def __init__(self, geometry: CacheGeometry) -> None:
        self.geometry = geometry
        self.sets: dict[int, list[int]] = {}

    def hit(self, address: int) -> bool:
        line = address // self.geometry.line_bytes
        held = self.sets.setdefault(line % self.geometry.sets, [])
        found = line in held
        if found:
            held.remove(line)
        held.append(line)
        del held[: -self.geometry.ways]
        return found


def _oracle_levels(addresses: list[int], preset: CorePreset, passes: int) -> list[int]:
    caches = [LruOracle(geometry) for geometry in preset.caches]
    levels: list[int] = []
    for _ in range(passes):
        levels = []
        for address in addresses:
            missed = 0
            while address and missed < len(caches) and not caches[missed].hit(address):
                missed += 1
            levels.append(missed + 1 if address else 0)
    return levels


def _u64(values: list[int]) -> U64:
    return np.array(values, np.uint64)


def _walk(size_bytes: int, stride: int = LINE) -> U64:
    return np.arange(HEAP, HEAP + size_bytes, stride, dtype=np.uint64)


# Few lines, so that sets overflow; 0 is "no access"; 1..63 share line 0 with it; high lines too.
ADDRESSES = st.lists(
    st.one_of(
        st.just(0),
        st.integers(1, 48 * LINE - 1),
        st.integers((1 << 64) - 8 * LINE, (1 << 64) - 1),
    ),
    max_size=300,
)
GEOMETRY = st.tuples(st.sampled_from([1, 2, 4, 8]), st.integers(1, 5))


@settings(deadline=None, max_examples=300)
@given(ADDRESSES, GEOMETRY, GEOMETRY, GEOMETRY, st.integers(1, 3))
def test_levels_equal_the_lru_oracle(
    addresses: list[int],
    l1d: tuple[int, int],
    l2: tuple[int, int],
    slc: tuple[int, int],
    passes: int,
) -> None:
    """Any geometry, any addresses, any number of passes: the oracle's levels."""
    preset = _tiny(l1d, l2, slc)
    got = memory_levels(_u64(addresses), None, preset, passes=passes)
    assert got.tolist() == _oracle_levels(addresses, preset, passes)


@settings(deadline=None, max_examples=100)
@given(ADDRESSES, st.lists(st.integers(0, 300), max_size=6))
def test_chunks_equal_the_whole(addresses: list[int], cuts: list[int]) -> None:
    """A stream fed in pieces, empty ones included, gets the levels and the state of the whole."""
    stream = _u64(addresses)
    whole, pieces = cold_caches(TINY), cold_caches(TINY)
    expected = access(whole, stream)
    got = [access(pieces, part) for part in np.split(stream, sorted(cuts))]
    assert np.array_equal(np.concatenate(got), expected)
    assert all(
        np.array_equal(getattr(whole, name), getattr(pieces, name)) for name in ("l1d", "l2", "slc")
    )


@settings(deadline=None, max_examples=200)
@given(ADDRESSES)
def test_repeated_stream_settles_cache_by_cache(addresses: list[int]) -> None:
    """L1 hits are steady from pass 2, L2 hits from pass 3, all levels from pass 4."""
    stream = _u64(addresses)
    second, third, fourth, fifth = (
        memory_levels(stream, None, TINY, passes=n) for n in (2, 3, 4, 5)
    )
    assert np.array_equal(second == MemLevel.L1, fifth == MemLevel.L1)
    assert np.array_equal(third == MemLevel.L2, fifth == MemLevel.L2)
    assert np.array_equal(fourth, fifth)


@pytest.mark.parametrize(
    ("cache", "fits", "misses"),
    [
        ("l1d", MemLevel.L1, MemLevel.L2),
        ("l2", MemLevel.L2, MemLevel.SLC),
        ("slc", MemLevel.SLC, MemLevel.DRAM),
    ],
)
def test_stride_walk_hits_what_holds_it(cache: str, fits: MemLevel, misses: MemLevel) -> None:
    """A walk as large as a cache always hits it; one twice as large thrashes LRU: no hit at all."""
    size = getattr(N1, cache).size_bytes
    assert set(memory_levels(_walk(size), None, N1)) == {fits}
    assert set(memory_levels(_walk(2 * size), None, N1)) == {misses}


def test_first_pass_is_cold() -> None:
    """With one pass, every line comes from DRAM once; the rest of the line hits L1."""
    levels = memory_levels(_walk(4096, stride=8), None, N1, passes=1)
    first_of_line = np.arange(levels.size) % (LINE // 8) == 0
    assert np.array_equal(levels, np.where(first_of_line, MemLevel.DRAM, MemLevel.L1))


def test_conflict_misses() -> None:
    """Lines one way-size apart share a set: `ways` of them hit L1, one more never does."""
    way_bytes = N1.l1d.sets * LINE
    assert way_bytes == 16 << 10
    assert set(memory_levels(_walk(4 * way_bytes, way_bytes), None, N1)) == {MemLevel.L1}
    assert set(memory_levels(_walk(5 * way_bytes, way_bytes), None, N1)) == {MemLevel.L2}


def test_no_access_is_no_access() -> None:
    """Address 0 is NONE and leaves the caches alone, though it lies in line 0."""
    assert memory_levels(_u64([8, 0, 8]), None, N1, passes=1).tolist() == [4, 0, 1]
    assert memory_levels(_u64([0, 8]), None, N1, passes=1).tolist() == [0, 4]
    assert memory_levels(_u64([]), None, N1).tolist() == []


def test_stores_allocate_like_loads() -> None:
    """Write-allocate: `is_store` changes no level."""
    stream = _walk(256 << 10)
    stores = np.arange(stream.size) % 3 == 0
    assert np.array_equal(memory_levels(stream, stores, N1), memory_levels(stream, None, N1))


def test_levels_are_reproducible() -> None:
    """Two runs over the same stream agree bit for bit, and the result is u1."""
    stream = np.random.default_rng(7).integers(0, 1 << 26, 200_000, dtype=np.uint64)
    one, two = (memory_levels(stream, None, N1) for _ in range(2))
    assert one.dtype == np.uint8
    assert np.array_equal(one, two)


def _mixed_working_sets(n: int) -> U64:
    """Random accesses to four working sets, the last one spread thinly over few sets of the SLC."""
    draw = draws.mix64_array(1, np.arange(n))
    sizes = np.array([32 << 10, 512 << 10, 4 << 20, 256 << 20], np.uint64)
    which = draw % np.uint64(4)
    inside = (draw >> np.uint64(8)) % sizes[which]
    inside[which == 3] &= ~np.uint64(1023)
    return np.asarray(np.uint64(HEAP) + (which << np.uint64(32)) + inside)


def test_golden_level_counts() -> None:
    """Golden: levels of a fixed stream. If they change, raise CACHE_MODEL_VERSION, print
    `np.bincount(levels)` and paste it here (the oracle above made these)."""
    counts = np.bincount(memory_levels(_mixed_working_sets(400_000), None, N1))
    assert timing.CACHE_MODEL_VERSION == 1
    assert counts.tolist() == [0, 56201, 126247, 124281, 93271]


def test_wrong_arguments_say_so() -> None:
    """Zero passes, a mask of another length and an impossible cache are refused."""
    stream = _u64([64, 128])
    with pytest.raises(ValueError, match="at least once"):
        memory_levels(stream, None, N1, passes=0)
    with pytest.raises(ValueError, match=r"is_store has shape \(3,\)"):
        memory_levels(stream, np.zeros(3, np.uint8), N1)
    with pytest.raises(ValueError, match=r"out has shape \(1,\)"):
        access(cold_caches(N1), stream, np.zeros(1, np.uint8))
    with pytest.raises(ValueError, match="sets = 3; a cache needs a power of two"):
        CacheGeometry(3, 4, 64)
    with pytest.raises(ValueError, match="at least one"):
        CacheGeometry(4, 0, 64)
    with pytest.raises(ValueError, match="one line size"):
        replace(N1, l2=CacheGeometry(1024, 8, 128))


def test_unknown_core_names_the_nearest() -> None:
    """A misspelt core is answered with the right one and the list."""
    with pytest.raises(ValueError, match="did you mean 'neoverse-n1'"):
        get_preset("neoverse-n11")
    with pytest.raises(ValueError, match=r"unknown core 'x'; \(known: neoverse-n1, "):
        get_preset("x")


@cache
def _laws() -> NDArray[np.int64]:
    return N1.latency_laws().reshape(TIMING_CLASSES, LEVEL_STRIDE, laws.STRIDE)


def _cycles(cell: tuple[int, int], share: float) -> float:
    """Cycles that a share of the ops of a cell do not exceed, by bisection of its law."""
    low, high = 0, 1 << 31
    while low < high:
        middle = (low + high) // 2
        above = laws.at_least(_laws()[cell], middle + 1)[0] / laws.DRAWS
        low, high = (low, middle) if above <= 1 - share else (middle + 1, high)
    return low / TICKS_PER_CYCLE


def _throughput() -> NDArray[np.int64]:
    return N1.throughput_ticks().reshape(TIMING_CLASSES, LEVEL_STRIDE)


def test_tables_are_integers_of_the_agreed_shape() -> None:
    """int64, flat, 8 × 8 and a law for each: what compiled code indexes."""
    for table, size in ((N1.throughput_ticks(), 64), (N1.latency_laws(), 64 * laws.STRIDE)):
        assert table.dtype == np.int64
        assert table.shape == (size,)
    assert N1.level_events().shape == N1.level_source().shape == (LEVEL_STRIDE,)


def test_throughput_never_exceeds_latency() -> None:
    """1 ≤ throughput ≤ the shortest latency, in every cell, used or not."""
    assert (_throughput() >= 1).all()
    shortest = [[laws.shortest(law) for law in row] for row in _laws()]
    assert (_throughput() <= np.array(shortest)).all()


def test_a_preset_that_breaks_the_law_is_refused() -> None:
    """Positive control: throughput of one tick more than the shortest latency, and of zero."""
    first, *rest = N1.costs
    shortest = laws.shortest(_laws()[first.op_class, first.level])
    replace(N1, costs=(replace(first, throughput_ticks=shortest), *rest)).latency_laws()
    for ticks in (shortest + 1, 0):
        wrong = replace(N1, costs=(replace(first, throughput_ticks=ticks), *rest))
        with pytest.raises(ValueError, match=r"other\.none costs"):
            wrong.latency_laws()


def test_farther_memory_lasts_and_costs_more() -> None:
    """For loads, stores and atomics both tables rise from L1 to DRAM, no latency ever falls."""
    near_to_far = slice(MemLevel.L1, MemLevel.DRAM + 1)
    for op_class in (TimingClass.LOAD, TimingClass.STORE, TimingClass.ATOMIC):
        assert (np.diff(_throughput()[op_class, near_to_far]) > 0).all()
        for share in (0.01, 0.5, 0.99, 0.9999):
            cycles = [_cycles((op_class, level), share) for level in range(1, 5)]
            assert cycles == sorted(cycles)


def test_cells_without_a_cost_of_their_own() -> None:
    """Unused classes cost what OTHER costs, unused levels what no access costs."""
    throughput, latency = _throughput(), _laws()
    assert (throughput[6:] == throughput[TimingClass.OTHER, 0]).all()
    assert (latency[6:] == latency[TimingClass.OTHER, 0]).all()
    assert (throughput[:, len(MemLevel) :] == throughput[:, :1]).all()
    assert (throughput[TimingClass.BRANCH] == throughput[TimingClass.BRANCH, 0]).all()


def test_a_law_follows_its_lognormal() -> None:
    """Floor + median at the middle, floor + p99 at 99 %, and the law's own tail at 1e-4."""
    for cost in N1.costs:
        cell = cost.op_class, cost.level
        assert _cycles(cell, 0.5) == pytest.approx(cost.floor_cycles + cost.wait_cycles, rel=1e-3)
        p99 = cost.floor_cycles + cost.wait_p99_cycles
        assert _cycles(cell, 0.99) == pytest.approx(p99, rel=2e-3)
        sigma = math.log(cost.wait_p99_cycles / cost.wait_cycles) / NormalDist().inv_cdf(0.99)
        wait = cost.wait_cycles * math.exp(sigma * NormalDist().inv_cdf(1 - 1e-4))
        assert _cycles(cell, 1 - 1e-4) == pytest.approx(cost.floor_cycles + wait, rel=5e-3)


# other / load / store / branch shares of three recorded programs
MIXES = {
    "sqlite": (0.420, 0.268, 0.097, 0.215),
    "python": (0.448, 0.255, 0.107, 0.190),
    "gzip": (0.556, 0.199, 0.060, 0.185),
}
CELLS = (
    (TimingClass.OTHER, MemLevel.NONE),
    (TimingClass.LOAD, MemLevel.L1),
    (TimingClass.STORE, MemLevel.L1),
    (TimingClass.BRANCH, MemLevel.NONE),
)


@pytest.mark.parametrize("name", MIXES)
def test_calibration_ipc(name: str) -> None:
    """Ordinary code that hits L1 runs at IPC 1.5 ± 5 %, the default of the parameter table."""
    ticks = sum(share * _throughput()[cell] for share, cell in zip(MIXES[name], CELLS, strict=True))
    assert TICKS_PER_CYCLE / ticks == pytest.approx(1.5, rel=0.05)


@pytest.mark.parametrize("name", MIXES)
def test_calibration_time_in_flight(name: str) -> None:
    """The same code is 20 ± 1 cycles in flight in the median; a load from DRAM 350 ± 5."""
    shares = MIXES[name]

    def above(cycles: int) -> float:
        tables = np.stack([_laws()[cell] for cell in CELLS])
        return float(laws.at_least(tables, cycles * TICKS_PER_CYCLE) @ shares / laws.DRAWS)

    median = next(cycles for cycles in range(1000) if above(cycles + 1) < 0.5 * sum(shares))
    assert median == pytest.approx(20, abs=1)
    assert _cycles((TimingClass.LOAD, MemLevel.DRAM), 0.5) == pytest.approx(350, abs=5)


def test_few_latencies_reach_the_end_of_the_counter() -> None:
    """TOTAL saturates for about one access of memory in 100,000: a tail, and no artefact of it."""
    beyond = laws.at_least(_laws().reshape(-1, laws.STRIDE), N1.counter_max * TICKS_PER_CYCLE)
    assert 0 < beyond.max() / laws.DRAWS < 3e-5


def test_records_of_a_level() -> None:
    """Data source and events per level: Neoverse's encoding, farther levels add bits."""
    assert N1.level_source()[: len(MemLevel)].tolist() == [0, 0, 8, 11, 14, 9, 12]
    events = N1.level_events().tolist()
    assert [hex(bits) for bits in events[:5]] == ["0x0", "0x14", "0x1c", "0x11c", "0x31c"]
    assert [hex(bits) for bits in events[5:7]] == ["0x11c", "0x31c"]  # peers: as far as SLC, DRAM
    assert events[7:] == [0]


def test_every_number_has_a_source() -> None:
    """Each numeric field, level and cost appears as a fact with a source; waits are flagged."""
    facts = N1.sources
    assert len(facts) == len(list(N1.facts()))
    assert all(fact.source and isinstance(fact.value, int) for fact in facts.values())
    cited = {name for name, _ in N1.cited}
    numeric = {f.name for f in fields(N1) if isinstance(getattr(N1, f.name), int | CacheGeometry)}
    assert cited == numeric
    assert facts["l2.ways"].value == 8
    assert not facts["load.dram.floor"].unverified
    assert all(fact.unverified for name, fact in facts.items() if ".wait" in name)
    assert all(fact.unverified for name, fact in facts.items() if ".throughput" in name)


def test_enums_are_the_agreed_codes() -> None:
    """Codes that other modules and files rely on."""
    near_to_far = ["NONE", "L1", "L2", "SLC", "DRAM"]
    assert [level.name for level in MemLevel] == [*near_to_far, "PEER_CORE", "PEER_CLUSTER"]
    assert ",".join(c.name for c in TimingClass) == "OTHER,LOAD,STORE,ATOMIC,BRANCH,FP_SIMD"
    assert [int(c) for c in TimingClass] == [0, 1, 2, 3, 4, 5]
    assert N1.l1d.size_bytes == 64 << 10
    assert N1.l2.size_bytes == 1 << 20
    assert N1.slc.size_bytes == 32 << 20
