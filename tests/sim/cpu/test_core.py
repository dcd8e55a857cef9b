"""Time slices in work and in wall time, halted vCPUs, ordinary exits, exclude_kernel, next_exit."""

from __future__ import annotations

from typing import Any

import pytest

from sim.cpu.core import MAX_IDLE_SLICES
from sim.ledger import OpLabel, TimeCause
from sim.linux.aux import Geometry
from sim.machine.machine import ENGINES
from tests.rigs.machines import simulated, vary
from tests.sim.cpu.built import LOOP, PAGE, SLICES, built, switches


def test_the_work_clock_switches_at_the_same_ops_in_every_arm() -> None:
    """switch.clock: work."""
    ops = [
        [op for _, op in switches(simulated(*built(design, switch=SLICES)).vcpus[0])]
        for design in ("baremetal", "v6", "unpinned")
    ]
    assert ops[0] == ops[1] == ops[2]
    assert len(ops[0]) == 6


WALL: dict[str, Any] = {
    "vm": {"exits": "none"},
    "switch": SLICES | {"clock": "guest_wall"},
    "driver": {"aux": "default-unprivileged"},
}


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_wall_slices_begin_at_the_switch_in(engine: str) -> None:
    """guest_wall: a switch comes a slice after the task was chosen, start() included."""
    spec, stream = built("v6", **WALL)
    vcpu = simulated(spec, stream, engine=engine).vcpus[0]
    times = [t for t, _ in switches(vcpu)]
    begun = [t for t, what, _ in vcpu.log if what == TimeCause.TASK_OFF_CPU.value]
    assert len(times) > 6
    for begin, end in zip(begun, times[1:], strict=False):
        assert end == begin + spec.task.away_ticks + spec.task.switch_ticks


def test_wall_slices_leave_less_work_where_starting_costs_more() -> None:
    """The pin path eats the slice: v6 needs more switches than baremetal for the same stream."""
    runs = {design: simulated(*built(design, **WALL)) for design in ("baremetal", "v6")}
    counts = {design: len(switches(run.vcpus[0])) for design, run in runs.items()}
    assert counts["v6"] > counts["baremetal"]
    assert {run.ended_because for run in runs.values()} == {""}
    assert len({run.vcpus[0].ended_at_op for run in runs.values()}) == 1


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_an_arm_whose_pin_exceeds_its_slice_is_ended(engine: str) -> None:
    """The no-progress guard: a reason, ended_at_op, and ledgers that still close."""
    slow = {"clock": "guest_wall", "every": "20us", "away": "10us"}
    spec, stream = built("v6", vm={"exits": "none"}, switch=slow)
    result = simulated(spec, stream, engine=engine)
    vcpu = result.vcpus[0]
    assert "no progress" in result.ended_because
    assert vcpu.ended_at_op == vcpu.ledgers.ops.executed < stream.ops // 100
    assert len(switches(vcpu)) == MAX_IDLE_SLICES
    assert vcpu.ledgers.time.wall > MAX_IDLE_SLICES * spec.task.switch_ticks
    baremetal = simulated(*built("baremetal", switch=slow), engine=engine)
    assert baremetal.ended_because == ""
    assert baremetal.vcpus[0].ended_at_op == stream.ops


def test_slices_with_progress_never_end_an_arm() -> None:
    """Just over 1 % of each slice is left to the task: slow, but it ends with the stream."""
    spec, stream = built("v6", **WALL)
    begun = simulated(spec, stream).vcpus[0].log
    start = next(t for t, what, _ in begun if what == "START")
    cost = next(t for t, what, _ in begun if what == "RUN" and t > start) - start
    assert simulated(vary(spec, switch_ticks=cost + cost // 20), stream).ended_because == ""
    ended = simulated(vary(spec, switch_ticks=cost + cost // 200), stream)
    assert "no progress" in ended.ended_because


# --- next_exit -------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_next_exit_waits_for_an_ordinary_exit(engine: str) -> None:
    """2019: S = 1 is noticed at the next natural exit; until then all ops are lost."""
    loop = LOOP | {"iterations": 100_000}
    keys: dict[str, Any] = {
        "vm": {"exits": "heavy"},
        "workload": {"kind": "synthetic", "phases": [loop]},
    }
    small = Geometry(2 * PAGE, PAGE, PAGE)
    waiting, stream = built("v6", {"interrupt": "next_exit"}, **keys)
    forced, _ = built("v6", **keys)
    vcpu = simulated(vary(waiting, aux=small), stream, engine=engine).vcpus[0]
    other = simulated(vary(forced, aux=small), stream, engine=engine).vcpus[0]
    lost = vcpu.ledgers.ops.by_label[OpLabel.IRQ_WAIT_FOR_EXIT]
    mean = lost / vcpu.stops
    gap_ops = 3e9 / 15_000  # ops between two exits at CPI 1: exponential, so this is the mean wait
    assert 0.5 * gap_ops < mean < 1.6 * gap_ops
    assert other.ledgers.ops.by_label[OpLabel.IRQ_WAIT_FOR_EXIT] == 0
    assert "PMBIRQ" not in {what for _, what, _ in vcpu.log}
    assert len(vcpu.written) < len(other.written)


def test_next_exit_without_exits_loses_everything_after_the_first_full() -> None:
    """Nothing else ends the blackout, until the end of the run."""
    spec, stream = built("unpinned", {"interrupt": "next_exit"}, vm={"exits": "none"})
    vcpu = simulated(vary(spec, aux=Geometry(2 * PAGE, PAGE, PAGE)), stream).vcpus[0]
    assert vcpu.stops == 1
    assert len(vcpu.written) == PAGE // 64
    assert vcpu.ledgers.ops.by_label[OpLabel.IRQ_WAIT_FOR_EXIT] > stream.ops // 2


# --- exclude_kernel --------------------------------------------------------------------------

MIXED = {
    "kind": "synthetic",
    "repeat": 20,
    "phases": [
        LOOP | {"iterations": 600},
        LOOP | {"name": "kernel", "el": 1, "iterations": 200, "irq_masked": True},
    ],
}


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("design", ["baremetal", "v6"])
def test_exclude_kernel_takes_kernel_ops_out_of_the_population(design: str, engine: str) -> None:
    """On: EL1 ops use up no interval and are never recorded; off: they are ops like the others."""
    counts = {}
    for exclude in (True, False):
        spec, stream = built(
            design, workload=MIXED, spe={"exclude_kernel": exclude}, vm={"exits": "none"}
        )
        vcpu = simulated(
            vary(spec, aux=Geometry(1 << 20, PAGE, 1 << 19)), stream, engine=engine
        ).vcpus[0]
        kernel = (vcpu.written[:, 0] % 80_000 >= 60_000).sum()
        outside = vcpu.ledgers.ops.by_label[OpLabel.NOT_IN_POPULATION]
        counts[exclude] = (outside, kernel > 0, vcpu.ledgers.selections.selected)
    assert counts[True][:2] == (stream.ops // 4, False)
    assert counts[False][:2] == (0, True)
    assert abs(counts[True][2] - 0.75 * counts[False][2]) <= 2


def test_kernel_ops_lost_with_interrupts_masked_count_only_if_profiled() -> None:
    """A full buffer in masked kernel code is loss only where EL1 is in the population."""
    lost = {}
    for exclude in (True, False):
        spec, stream = built("baremetal", workload=MIXED, spe={"exclude_kernel": exclude})
        vcpu = simulated(vary(spec, aux=Geometry(2 * PAGE, PAGE, PAGE)), stream).vcpus[0]
        lost[exclude] = vcpu.ledgers.ops.by_label[OpLabel.IRQ_MASKED]
    assert lost[True] == 0 < lost[False]
