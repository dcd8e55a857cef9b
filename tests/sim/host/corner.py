"""Machines in an awkward moment: a guest of 64 pages that may lock what it wants."""

from __future__ import annotations

from typing import Any

from sim.ledger import TimeCause
from sim.machine.machine import ENGINES, Machine
from sim.machine.spec import MachineSpec
from tests.rigs.small_machine import PAGE, RUN, STREAM, spec

TABLES = 4


def roomy(design: str, policies: dict[str, Any] | None = None, **changes: Any) -> MachineSpec:
    """A guest of 64 pages that may lock what it wants."""
    fixed = {"memory": 64 * PAGE, "memlock": 1 << 40, "random_start": False}
    return spec(design, policies, **(fixed | changes))


def machine_of(
    design: str, policies: dict[str, Any] | None = None, engine: str = "fast", **changes: Any
) -> Machine:
    return Machine(roomy(design, policies, **changes), (STREAM,), RUN, ENGINES[engine])


def names_of(machine: Machine) -> list[str]:
    return [what for _, what, _ in machine.vcpus[0].log]


def after(machine: Machine) -> Machine:
    machine.run()
    return machine


def time_of(machine: Machine, cause: TimeCause) -> int:
    return machine.vcpus[0].ledgers.time.stopped[cause]


def faults_at(machine: Machine) -> int:
    return machine.vcpus[0].ledgers.selections.lost_at_fault
