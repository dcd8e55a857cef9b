"""When pinned and baremetal records are identical, and by how much they differ elsewhere.

Under one hardware law, without masked code, with a reader that keeps up, no S = 1 pending at a
switch and no ordinary exits, a stop costs both arms the same ops: the op ids of the records are
identical. Elsewhere the difference in selections is that of the profiled ops, within one per
restart of the counter.
"""

from __future__ import annotations

import random

import pytest

from sim.ledger import OpLabel
from sim.linux.aux import Geometry
from sim.linux.driver import DriverRules
from sim.machine.machine import simulate
from sim.machine.run import Run
from sim.machine.spec import MachineSpec, UnmapSpec
from sim.results import VcpuResult
from sim.scenario.models.scenario import DESIGNS, Policies
from sim.spe.select import Jitter
from sim.workload.arrays import POP, Stream
from tests.exact import random_machines as made
from tests.rigs.machines import table, vary

VIRTUAL = ("v6", "unpinned")
SMALL_WINDOWS = Geometry(8192, 256, 512)
"""Eight records a window: a buffer-full stop every few samples."""
SEEDS = range(9000, 9100)


def _unmasked(seed: int, dense: bool) -> Stream:
    """A random stream in which interrupts are never masked."""
    for attempt in range(100):
        stream = made.stream(random.Random(1000 * seed + attempt), dense)
        if stream.never_masked:
            return stream
    raise AssertionError("no stream without masked code")


def _calm(seed: int, stream: Stream, dense: bool) -> MachineSpec:
    """A random machine under the conditions of the exact test."""
    spec = made.spec(random.Random(seed), stream, dense)
    return vary(
        spec,
        policies=DESIGNS["baremetal"][0],
        vcpus=1,
        exits=None,
        warm=True,
        unmap=UnmapSpec("never"),
        switch_ticks=0,
        max_buffer=1 << 62,
        memlock=1 << 40,
        memlock_hard=1 << 62,
        aux=SMALL_WINDOWS,
        rules=DriverRules(),
        reader=None,
        snapshot=False,
        wall_slices=False,
        halted=False,
        **made.CALM,
    )


def _run(spec: MachineSpec, policies: Policies, stream: Stream, seed: int) -> VcpuResult:
    run = Run("x", seed, 0, keep_records=True, keep_log=True)
    return simulate(vary(spec, policies=policies), (stream,), run).vcpus[0]


def _pair(
    spec: MachineSpec, design: str, stream: Stream, seed: int
) -> tuple[VcpuResult, VcpuResult]:
    bare = _run(spec, DESIGNS["baremetal"][0], stream, seed)
    return bare, _run(spec, DESIGNS[design][0], stream, seed)


def _waits_at_a_switch(result: VcpuResult) -> bool:
    """Has a stop been pending when the task left the CPU?"""
    pending = False
    for _, what, _ in result.log:
        if what in ("FULL", "FAULT"):
            pending = True
        elif what == "SWITCH" and pending:
            return True
        elif what == "PMBIRQ":
            pending = False
    return False


@pytest.mark.parametrize("design", VIRTUAL)
@pytest.mark.parametrize("dense", [True, False])
def test_records_are_identical(design: str, dense: bool) -> None:
    """Op ids, profile, ops ledger and selections ledger; wall time differs."""
    stops = 0
    for seed in SEEDS:
        stream = _unmasked(seed, dense)
        bare, virtual = _pair(_calm(seed, stream, dense), design, stream, seed)
        assert virtual.written[:, 0].tolist() == bare.written[:, 0].tolist(), seed
        assert virtual.profile.tolist() == bare.profile.tolist()
        assert virtual.ledgers.ops == bare.ledgers.ops
        assert virtual.ledgers.selections == bare.ledgers.selections
        assert virtual.ledgers.time.running == bare.ledgers.time.running
        stops += bare.stops
    assert stops > 80


@pytest.mark.parametrize("design", VIRTUAL)
def test_switches_change_nothing_unless_a_stop_is_pending(design: str) -> None:
    """Context switches at the same work times, in the same places of the stream."""
    compared, switches = 0, 0
    for seed in SEEDS:
        stream = _unmasked(seed, dense=True)
        ticks = random.Random(seed).choice([1600, 5000, 20_000])
        spec = vary(_calm(seed, stream, dense=True), switch_ticks=ticks, away_ticks=640)
        bare, virtual = _pair(spec, design, stream, seed)
        if _waits_at_a_switch(bare):
            continue
        assert virtual.written[:, 0].tolist() == bare.written[:, 0].tolist(), seed
        assert virtual.ledgers.ops == bare.ledgers.ops
        compared += 1
        switches += sum(what == "SWITCH" for _, what, _ in bare.log)
    assert compared >= 20
    assert switches > 100


def test_pinning_hides_every_unmapping_and_a_cold_start() -> None:
    """v6 with `unmap_only` notifiers under any pressure still equals baremetal."""
    zaps = 0
    for seed in SEEDS:
        stream = _unmasked(seed, dense=True)
        spec = _calm(seed, stream, dense=True)
        pressure = (
            UnmapSpec("per_window"),
            UnmapSpec("per_record"),
            UnmapSpec("poisson", table((64, 640))),
        )[seed % 3]
        spec = vary(spec, warm=False, unmap=pressure)
        bare, virtual = _pair(spec, "v6", stream, seed)
        assert virtual.written[:, 0].tolist() == bare.written[:, 0].tolist(), seed
        assert "fault" not in virtual.blackouts
        result = simulate(vary(spec, policies=DESIGNS["unpinned"][0]), (stream,), Run("x", seed, 0))
        zaps += result.vcpus[0].stops > bare.stops
    assert zaps > 20  # a control: without the pin the same pressure faults


def test_masked_code_changes_labels_only() -> None:
    """A full buffer waits for the same unmasking in both arms: at EL1 PMBIRQ itself, in a VM the
    virtual interrupt. Without faults the records are still identical; the labels tell why."""
    waited = 0
    for seed in SEEDS:
        stream = made.stream(random.Random(seed), dense=True)
        bare, virtual = _pair(_calm(seed, stream, dense=True), "v6", stream, seed)
        assert virtual.written[:, 0].tolist() == bare.written[:, 0].tolist(), seed
        here, there = bare.ledgers.ops.by_label, virtual.ledgers.ops.by_label
        assert here[OpLabel.VIRQ_DELIVERY] == there[OpLabel.IRQ_MASKED] == 0
        assert here[OpLabel.IRQ_MASKED] == there[OpLabel.VIRQ_DELIVERY]
        waited += here[OpLabel.IRQ_MASKED] > 0
    assert waited >= 5


def test_another_law_tells_the_arms_apart() -> None:
    """A control: with a slower interrupt in one arm the records differ."""
    differing = 0
    for seed in SEEDS:
        stream = _unmasked(seed, dense=True)
        spec = vary(_calm(seed, stream, dense=True), irq_latency=(640,))
        bare = _run(spec, DESIGNS["baremetal"][0], stream, seed)
        slow = _run(vary(spec, irq_latency=(1280,)), DESIGNS["v6"][0], stream, seed)
        differing += slow.written[:, 0].tolist() != bare.written[:, 0].tolist()
    assert differing >= 5


# --- elsewhere ------------------------------------------------------------------------------


def _members(result: VcpuResult, stream: Stream) -> int:
    """q: members of the population executed while profiling was enabled."""
    lost = int(result.lost.sum())
    before = sum(
        stream.pop(op) for _, what, op in result.log[:100] if what == "START"
    )  # until the event's start
    return stream.pop(result.ended_at_op) - before - lost


@pytest.mark.parametrize("jitter", [Jitter.OFF, Jitter.ERND])
def test_selections_follow_the_ledgers(jitter: Jitter) -> None:
    """With masks, faults and failures the arms' selections differ as their profiled members do.

    Between two stops the grid is exact; a restart that finds COUNT = 0 saves one op.
    """
    compared, apart = 0, 0
    for seed in range(9100, 9300):
        r = random.Random(seed)
        stream = made.stream(r, dense=True)
        spec = made.spec(r, stream, dense=True)
        spec = vary(
            spec,
            vcpus=1,
            jitter=jitter,
            resync=False,
            period=spec.spu.interval,
            exits=None,
            switch_ticks=0,
            aux=SMALL_WINDOWS,
        )
        if jitter is Jitter.ERND and not spec.spu.jitter_mask:
            continue
        bare = _run(spec, DESIGNS["baremetal"][0], stream, seed)
        for design in set(DESIGNS) - {"baremetal"}:
            other = _run(spec, DESIGNS[design][0], stream, seed)
            members = _members(other, stream) - _members(bare, stream)
            found = other.ledgers.selections.selected - bare.ledgers.selections.selected
            assert abs(found - members / (spec.spu.interval + 1)) <= other.stops + bare.stops + 2, (
                seed,
                design,
            )
            compared += bare.stops > 0
            apart += found != 0
    assert compared > 100
    assert apart > 100


def test_profiled_label_agrees_with_the_population() -> None:
    """A control on `_members`: with unit weights q is the label's count."""
    for seed in range(9300, 9340):
        r = random.Random(seed)
        stream = made.stream(r, dense=True)
        if stream.size(POP) != stream.members(0, stream.ops):
            continue
        result = _run(made.spec(r, stream, dense=True), DESIGNS["v6"][0], stream, seed)
        found = _members(result, stream)
        assert found == result.ledgers.ops.by_label[OpLabel.PROFILED], seed
