"""One vCPU on a short loop, with a small AUX area and no ordinary exits: what tests of the host and
of KVM's corners begin with.
"""

from __future__ import annotations

from typing import Any

from sim.host.pressure import Touch
from sim.ledger import TimeCause
from sim.linux.aux import Geometry
from sim.machine.machine import simulate
from sim.machine.run import Run
from sim.machine.spec import MachineSpec, PressureSpec
from sim.results import RunResult
from sim.scenario.models.scenario import Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.workload.arrays import Stream
from sim.workload.synthetic import synthetic_stream
from tests.rigs.machines import machine_of

PAGE = 4096
WORK = 500_000 * 64
"""Ticks that the stream takes."""
STREAM = synthetic_stream(
    _WORKLOAD := Synthetic(
        kind="synthetic",
        phases=(Phase(name="loop", length=100, iterations=5_000, cpi_millis=1000),),
    ),
    core="neoverse-n1",
    exclude_kernel=True,
    micro_ops=False,
)
RUN = Run("arm", 5, 0, keep_records=True, keep_log=True)


def spec(
    design: str,
    policies: dict[str, Any] | None = None,
    pages: int = 32,
    stream: Stream = STREAM,
    **changes: Any,
) -> MachineSpec:
    """An AUX area of so many pages, windows of two; `changes` are fields of the machine."""
    fixed = {"exits": None, "irq_latency": (64,), "aux": Geometry(pages * PAGE, PAGE, 2 * PAGE)}
    settings = Settings(workload=_WORKLOAD)
    return machine_of(design, settings, stream, policies, **(fixed | changes))


def ran(design: str, policies: dict[str, Any] | None = None, **changes: Any) -> RunResult:
    """The run of such a machine."""
    return simulate(spec(design, policies, **changes), (STREAM,), RUN)


def faults_of(run: RunResult) -> int:
    """Records that the first vCPU lost because their page was not mapped."""
    return run.vcpus[0].ledgers.selections.lost_at_fault


def stopped(run: RunResult, cause: TimeCause, vcpu: int = 0) -> int:
    """Ticks that a cause stopped a vCPU."""
    return run.vcpus[vcpu].ledgers.time.stopped[cause]


# --- pressure --------------------------------------------------------------------------------


def often(touch: Touch, **changes: Any) -> dict[str, Any]:
    """A field of the machine: pressure on random pages, 2,000 times in its work."""
    return {"pressures": (PressureSpec("often", touch, (WORK // 2000,), **changes),)}
