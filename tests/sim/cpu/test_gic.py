"""S = 1 pending at a context switch: who sees it first, as sequences of the event log.

The switch comes after the buffer is full and before PMBIRQ has reached the core.
"""

from __future__ import annotations

from typing import Any

import pytest

from sim.ledger import OpLabel, TimeCause
from sim.linux.aux import AuxFlag, Geometry
from sim.machine.machine import ENGINES, Machine
from sim.machine.run import Run
from sim.machine.spec import MachineSpec
from sim.machine.vcpu import Vcpu
from sim.scenario.models.quantities import ConstantLatency
from sim.scenario.models.scenario import Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.workload.synthetic import synthetic_stream
from tests.rigs.machines import machine_of, vary

PAGE = 4096
TICKS = 64
GAP = 1025
SWITCH = (64 * GAP + 1500) * TICKS
"""Work between two switches: a window of 64 records is full before it."""

WORKLOAD = Synthetic(
    kind="synthetic",
    phases=(
        Phase(
            name="loop",
            length=100,
            iterations=8_000,
            cpi_millis=1000,
            latency=ConstantLatency.model_validate({"kind": "constant", "value": "2000cycles"}),
        ),
    ),
)
"""Every sample takes longer than the interval: each second one collides, so that COLL is set."""
STREAM = synthetic_stream(WORKLOAD, core="neoverse-n1", exclude_kernel=True, micro_ops=False)
SHOWN = ("FULL", "SWITCH", "PMBIRQ_AT_CORE", "PMBIRQ", "LATE_PMBIRQ", "VIRQ", "RUN")
FLIGHT = 1_000_000
"""Ticks from S = 1 to the core: longer than stop() takes, shorter than the task is away."""


def _spec(design: str, sync: str = "every_exit", **changes: Any) -> MachineSpec:
    fixed: dict[str, Any] = {
        "exits": None,
        "irq_latency": (FLIGHT,),
        "aux": Geometry(2 * PAGE, PAGE, PAGE),
        "switch_ticks": 2 * SWITCH,
        "away_ticks": 2_000_000,
        "random_start": False,
    }
    settings, policies = Settings(workload=WORKLOAD), {"pmbsr_sync": sync}
    return machine_of(design, settings, STREAM, policies, **(fixed | changes))


def _run(spec: MachineSpec, engine: str = "fast") -> tuple[Vcpu, list[str]]:
    """The vCPU after its run, and what happens from the first FULL on."""
    machine = Machine(spec, (STREAM,), Run("arm", 7, 0, True, True), ENGINES[engine])
    machine.run()
    vcpu = machine.vcpus[0]
    names = [what for _, what, _ in vcpu.log if what in SHOWN]
    return vcpu, names[names.index("FULL") :]


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("design", ["baremetal", "v6"])
def test_stop_handles_it_and_the_interrupt_is_retracted(design: str, engine: str) -> None:
    """stop() reads S = 1, ends the transaction with its flags and clears S: nothing is taken."""
    vcpu, sequence = _run(_spec(design), engine)
    assert sequence[:3] == ["FULL", "SWITCH", "RUN"]
    assert vcpu.event.spurious == 0
    assert vcpu.ring.rows()["flags"][0] == AuxFlag.COLLISION
    assert vcpu.ledgers.time.stopped[TimeCause.HANDLER] == 0
    assert vcpu.ledgers.delivery.delivered == vcpu.ledgers.selections.written


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_an_interrupt_too_close_to_recall_is_spurious(engine: str) -> None:
    """Signalled before stop() cleared S, taken after start(): S = 0, and nothing else changes."""
    vcpu, sequence = _run(_spec("baremetal", irq_retract=FLIGHT), engine)
    calm, _ = _run(_spec("baremetal"), engine)
    late = [what for _, what, _ in vcpu.log].count("LATE_PMBIRQ")
    assert sequence[:4] == ["FULL", "SWITCH", "LATE_PMBIRQ", "RUN"]
    assert vcpu.event.spurious == late
    handler = _spec("baremetal").event.driver.handler
    assert vcpu.ledgers.time.stopped[TimeCause.HANDLER] == handler * late
    assert vcpu.ledgers.ops == calm.ledgers.ops
    assert vcpu.ring.rows()["flags"].tolist() == calm.ring.rows()["flags"].tolist()


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_spurious_interrupt_of_a_vm_ends_at_the_hypervisor(engine: str) -> None:
    """KVM exits, finds the hardware's S = 0 and enters again; the guest hears nothing."""
    vcpu, sequence = _run(_spec("v6", irq_retract=FLIGHT), engine)
    late = [what for _, what, _ in vcpu.log].count("LATE_PMBIRQ")
    costs = _spec("v6").vm.kvm
    assert sequence[:4] == ["FULL", "SWITCH", "LATE_PMBIRQ", "RUN"]
    assert vcpu.event.spurious == 0
    assert vcpu.ledgers.time.stopped[TimeCause.HANDLER] == late * (
        costs.exit + costs.host_irq + costs.entry
    )


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_trap_that_overtakes_the_interrupt_reads_a_stale_pmbsr(engine: str) -> None:
    """irq_only: stop() sees S = 0 and takes 3 traps, not 4; no flag; S meets the next window.

    The task is back before the interrupt is: nothing is sampled until then. The event lands on the
    buffer that start() has opened: an empty transaction that carries the old one's COLLISION, and
    another window at the cost of one more handler.
    """
    late: dict[str, Any] = {"away_ticks": TICKS, "irq_latency": (3 * FLIGHT,)}
    vcpu, sequence = _run(_spec("v6", "irq_only", **late), engine)
    synced, calm = _run(_spec("v6", **late), engine)
    assert calm[:4] == ["FULL", "SWITCH", "RUN", "FULL"]
    after = ["RUN", "PMBIRQ_AT_CORE", "PMBIRQ", "VIRQ", "RUN"]
    assert sequence[:7] == ["FULL", "SWITCH", *after]
    rows = vcpu.ring.rows()
    assert rows["size"][:2].tolist() == [PAGE, 0]
    assert rows["flags"][:2].tolist() == [0, AuxFlag.COLLISION]
    lost = OpLabel.IRQ_DELIVERY_FULL
    assert vcpu.ledgers.ops.by_label[lost] > synced.ledgers.ops.by_label[lost]
    assert vcpu.hypervisor is not None
    stale = sequence.count("VIRQ")
    switches = sequence.count("SWITCH")
    assert vcpu.hypervisor.traps == 2 + (3 + 2) * switches + 5 * stale + 3


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_an_interrupt_that_has_reached_the_core_is_not_overtaken(engine: str) -> None:
    """irq_only, but PMBIRQ arrives before stop()'s first trap: the host takes it first."""
    spec = _spec("v6", "irq_only")
    full = next(t for t, what, _ in _run(spec, engine)[0].log if what == "FULL")
    switch = next(t for t, what, _ in _run(spec, engine)[0].log if what == "SWITCH")
    arrives = (switch - full + spec.event.driver.stop // 2,)
    vcpu, sequence = _run(vary(spec, irq_latency=arrives), engine)
    assert sequence[:4] == ["FULL", "SWITCH", "PMBIRQ_AT_CORE", "RUN"]
    assert vcpu.ring.rows()["flags"][0] == AuxFlag.COLLISION


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_late_event_of_a_closed_buffer_is_dropped(engine: str) -> None:
    """irq_only, PMBIRQ comes while the task is away: no interrupt, and COLLISION is never told."""
    vcpu, sequence = _run(_spec("v6", "irq_only"), engine)
    synced, _ = _run(_spec("v6"), engine)
    assert sequence[:4] == ["FULL", "SWITCH", "PMBIRQ_AT_CORE", "RUN"]
    assert "VIRQ" not in sequence
    assert vcpu.event.spurious == 0
    assert set(vcpu.ring.rows()["flags"].tolist()) == {0}
    assert AuxFlag.COLLISION in synced.ring.rows()["flags"]
    assert vcpu.ledgers.ops == synced.ledgers.ops


@pytest.mark.parametrize("design", ["baremetal", "v6"])
def test_a_stale_collision_lands_on_the_next_full_event(design: str) -> None:
    """COLL is looked at only with S = 1: a stop() without S leaves it for a later transaction."""
    spec = _spec(design, irq_latency=(TICKS,), switch_ticks=20 * GAP * TICKS)
    vcpu, _ = _run(spec)
    rows = vcpu.ring.rows()
    flags = rows["flags"].tolist()
    assert set(flags) == {0, AuxFlag.COLLISION}
    ends = {t for t, what, _ in vcpu.log if what in ("SWITCH", "END")}
    assert len(ends) > flags.count(0) - 1 > 3
    fulls = [what for _, what, _ in vcpu.log].count("FULL")
    assert flags.count(AuxFlag.COLLISION) == fulls > 0
