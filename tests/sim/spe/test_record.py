"""Records: every field is a function of the op, the key and the stream."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sim import draws, laws
from sim.results import RECORD_DT
from sim.scenario.models.workloads import LevelMix, OpMix, Phase, Synthetic
from sim.spe.record import CoreFacts, expand, physical
from sim.workload.arrays import OP
from sim.workload.presets import get_preset
from sim.workload.synthetic import synthetic_stream

N1 = get_preset("neoverse-n1")
FACTS = CoreFacts(N1.level_events(), N1.level_source(), 4095)
KEY = draws.key(1, 0, 0, "latency")
EVEN = LevelMix(l1=1, l2=1, slc=1, dram=1)
STREAM = synthetic_stream(
    Synthetic(
        kind="synthetic",
        phases=(
            Phase(
                name="user",
                length=80,
                iterations=20,
                mix=OpMix(other=1, load=1, store=1, branch=1, atomic=1),
                levels=EVEN,
            ),
            Phase(name="kernel", length=30, iterations=10, el=1),
        ),
        repeat=2,
    ),
    core="neoverse-n1",
    exclude_kernel=False,
    micro_ops=False,
)
LOAD, STORE, ATOMIC, BRANCH = 1, 2, 3, 4


def _rows(ops: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([ops, 1_000 + 64 * ops, 2_000 + 64 * ops], axis=1)


def _expand(ops: NDArray[np.int64], facts: CoreFacts = FACTS, key: int = KEY) -> NDArray[np.void]:
    return expand(STREAM, _rows(ops), facts, key, vcpu=3, tid=77)


EVERY = _expand(np.arange(STREAM.ops))
CLASS = STREAM.static_class[EVERY["insn"]]


def test_place_and_times_are_the_samples() -> None:
    """vcpu, tid, op, static op, level, EL and times, checked against the stream's own look-up."""
    assert EVERY.dtype == RECORD_DT
    assert (set(EVERY["vcpu"]), set(EVERY["tid"])) == ({3}, {77})
    for op in range(0, STREAM.ops, 37):
        place = STREAM.seek(OP, op)
        record = EVERY[op]
        assert (record["op"], record["insn"], record["level"]) == (op, place.static, place.level)
        assert record["el"] == (0 if op % (STREAM.ops // 2) < 1600 else 1)
        assert (record["t_select"], record["t_write"]) == (1_000 + 64 * op, 2_000 + 64 * op)
        assert record["op_payload"] == STREAM.static_payload[place.static]


def test_total_is_the_latency_in_cycles() -> None:
    """What the sampler drew, in whole cycles, saturated at CountSize."""
    narrow = _expand(np.arange(STREAM.ops), CoreFacts(FACTS.level_events, FACTS.level_source, 40))
    latency, rows = STREAM.latency().tolist(), STREAM.rows()
    for record, small in zip(EVERY[::53], narrow[::53], strict=True):
        row = int(rows[record["insn"]]) + int(record["level"])
        cycles = laws.draw(latency, row * laws.STRIDE, KEY, int(record["op"])) // 64
        assert record["total"] == min(cycles, 4095)
        assert small["total"] == min(cycles, 40)
    assert (EVERY["total"] > 40).any()
    assert narrow["issue"].max() <= 40
    assert (EVERY["issue"] <= EVERY["total"]).all()


def test_addresses_belong_to_memory_ops_and_targets_to_branches() -> None:
    """VA, PA and XLAT iff the op accesses memory; a target iff it is a branch."""
    memory = np.isin(CLASS, (LOAD, STORE, ATOMIC))
    assert 0 < memory.sum() < memory.size
    for name in ("va", "pa", "xlat"):
        assert ((EVERY[name] > 0) == memory).all(), name
    assert ((EVERY["level"] > 0) == memory).all()
    assert ((EVERY["target"] > 0) == (CLASS == BRANCH)).all()


def test_two_pages_never_share_a_frame() -> None:
    """The physical address keeps the offset in the page, and page → frame is one to one."""
    pages = np.unique(draws.mix64_array(7, np.arange(200_000)) >> np.uint64(28))
    frames = physical(pages << np.uint64(12) | np.uint64(0x678))
    assert np.unique(frames).size == pages.size
    assert set((frames & np.uint64(0xFFF)).tolist()) == {0x678}
    assert (frames >> np.uint64(48) == 0).all()
    assert (frames >> np.uint64(12) != pages).mean() > 0.99


def test_a_branch_goes_where_its_exception_level_went_next() -> None:
    """The target is the next op of the same level; PC + 4 and "not taken" where that is next."""
    branches = OpMix(other=0, load=0, store=0, branch=1, atomic=0)
    stream = synthetic_stream(
        Synthetic(
            kind="synthetic",
            phases=(
                Phase(name="user", length=3, iterations=4, mix=branches),
                Phase(name="kernel", length=5, iterations=2, el=1, mix=branches),
            ),
            repeat=3,
        ),
        core="neoverse-n1",
        exclude_kernel=False,
        micro_ops=False,
    )
    every = expand(stream, _rows(np.arange(stream.ops)), FACTS, KEY, vcpu=0, tid=1)
    pc = stream.static_pc[every["insn"]]
    jumped = crossed = 0
    for op, record in enumerate(every):
        later = [k for k in range(op + 1, stream.ops) if every["el"][k] == record["el"]]
        went = pc[later[0]] if later else pc[op] + np.uint64(4)
        assert record["target"] == went
        assert bool(record["events"] >> 6 & 1) == (went == pc[op] + np.uint64(4))
        jumped += int(went != pc[op] + np.uint64(4))
        crossed += int(bool(later) and later[0] > op + 1)
    assert jumped > 10
    assert crossed >= 4  # code of the other level lies between


def test_events_follow_the_memory_level() -> None:
    """Retired always; the level's bits; misprediction on some branches and nothing else."""
    extra = (EVERY["events"] & ~np.uint32(1 << 6)) - 2 - FACTS.level_events[EVERY["level"]]
    assert set(extra[CLASS != BRANCH].tolist()) == {0}
    assert set(extra[CLASS == BRANCH].tolist()) == {0, 1 << 7}
    share = (extra[CLASS == BRANCH] > 0).mean()
    assert 0 < share < 0.06  # 5 of 256


def test_loads_name_their_data_source() -> None:
    """The core preset's data source by level."""
    loads = EVERY[CLASS == LOAD]
    assert (loads["source"] == FACTS.level_source[loads["level"]]).all()
    assert len(set(loads["source"].tolist())) == 4


def test_only_loads_have_a_data_source() -> None:
    """Arm ARM, perf: the data source packet is for loads (atomics load too)."""
    assert set(EVERY["source"][CLASS == STORE].tolist()) == {0}


@settings(deadline=None)
@given(st.permutations(range(0, STREAM.ops, 97)))
def test_records_do_not_depend_on_their_neighbours(ops: list[int]) -> None:
    """Any subset in any order (K > 1 writes out of order) has the records of the whole."""
    records = _expand(np.array(ops, np.int64))
    assert (records == EVERY[ops]).all()


def test_the_key_decides_what_is_drawn_and_nothing_else() -> None:
    """Another key: other latencies and addresses, the same ops, classes, levels."""
    other = _expand(np.arange(STREAM.ops), key=KEY + 1)
    for name in ("op", "insn", "level", "el", "op_payload", "source", "target"):  # not the noise
        assert (other[name] == EVERY[name]).all()
    for name in ("total", "issue", "va"):
        assert (other[name] != EVERY[name]).any()


def test_no_records_no_work() -> None:
    """An empty run has records of the right type."""
    assert _expand(np.zeros(0, np.int64)).dtype == RECORD_DT
    assert _expand(np.zeros(0, np.int64)).size == 0
