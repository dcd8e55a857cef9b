"""`t_drain`: what draining the SPU costs at each exit of a vCPU whose buffer is enabled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sim.ledger import TimeCause
from sim.results import RunResult
from sim.scenario.models.scenario import Settings
from sim.scenario.models.workloads import Phase
from tests.rigs.machines import agreed, machine_of, synthetic, vary

DRAIN = 1000
LOOP = {"name": "loop", "length": 100, "iterations": 2000}
STREAM = synthetic(Phase.model_validate(LOOP))
SETTINGS = Settings.model_validate(
    {"workload": {"kind": "synthetic", "phases": [LOOP]}, "driver": {"aux": "8KiB"}}
)


def run(design: str, drain: int, **changes: Any) -> RunResult:
    """A design's run, in which both engines agree."""
    machine = machine_of(design, SETTINGS, STREAM, **changes)
    return agreed(vary(machine, kvm=replace(machine.vm.kvm, drain=drain)), STREAM)


def more(design: str, cause: TimeCause, **changes: Any) -> tuple[int, RunResult]:
    """Ticks of a cause that draining adds, and the run with it."""
    free, paid = run(design, 0, **changes), run(design, DRAIN, **changes)
    at = [each.vcpus[0].ledgers.time.stopped[cause] for each in (free, paid)]
    assert free.vcpus[0].ledgers.ops == paid.vcpus[0].ledgers.ops
    return at[1] - at[0], paid


def test_every_ordinary_exit_drains() -> None:
    """By hand: as many drains as exits, of a vCPU whose buffer is always enabled."""
    small = 64 * 4096  # exits happen all the while that its pages are made
    added, paid = more("v7-guest-memfd", TimeCause.ORDINARY_EXIT, exits=(10**6,), memory=small)
    assert paid.vcpus[0].ordinary_exits > 5
    assert added == DRAIN * paid.vcpus[0].ordinary_exits


def test_an_interrupt_drains_and_its_traps_do_not() -> None:
    """After PMBIRQ's exit the hardware's E is 0 until the handler enables the buffer again."""
    added, paid = more("v6", TimeCause.HANDLER, exits=None)
    assert paid.vcpus[0].stops > 1
    assert added == DRAIN * paid.vcpus[0].stops
    trapped, _ = more("v6", TimeCause.TRAP, exits=None)
    assert trapped == DRAIN  # the first access of the stop at the end


def test_faults_that_are_fixed_in_rounds_drain() -> None:
    """`sim.machine.rounds` has the same cost as the path that it stands for."""
    added, paid = more("unpinned", TimeCause.HANDLER, exits=None, warm=False)
    assert paid.vcpus[0].blackouts["fault"].count > 1
    assert added == DRAIN * paid.vcpus[0].stops


def test_nothing_is_drained_without_a_vm() -> None:
    """Bare metal has no exits."""
    free, paid = run("baremetal", 0), run("baremetal", DRAIN)
    assert free.vcpus[0].ledgers == paid.vcpus[0].ledgers
