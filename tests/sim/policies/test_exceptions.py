"""FEAT_SPE_EXC and FEAT_SPE_nVM: who takes an event, what masks it, where its syndrome is, and
what is left to walk and to pin.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from sim.host.pressure import Touch
from sim.kvm.tables import no_tables
from sim.ledger import OpLabel, TimeCause
from sim.linux.aux import Geometry
from sim.linux.driver import OFF
from sim.machine.machine import ENGINES, Machine
from sim.policies.exceptions import EXCEPTIONS
from sim.policies.stages import Fault
from sim.results import RunResult, VcpuResult
from sim.scenario.models.scenario import Settings
from sim.scenario.models.workloads import Phase
from sim.spe.buffer import BSC_FULL, CLEAR, EC_BUFFER, EC_STAGE2_ABORT, Pmbsr, Stop
from sim.spe.reference import SampleTimer
from sim.spe.register_port import Reg
from sim.spe.spu import Spu
from sim.workload.arrays import Stream
from tests.rigs.machines import agreed, machine_of, simulated, synthetic
from tests.rigs.small_machine import (
    PAGE,
    RUN,
    STREAM,
    WORK,
    faults_of,
    often,
    ran,
    spec,
    stopped,
)

USER, KERNEL, MASKED = 3000, 1500, 1500
KERNEL_CODE = synthetic(
    Phase(name="user", length=100, iterations=USER // 100, cpi_millis=1000),
    Phase(name="kernel", length=100, iterations=KERNEL // 100, cpi_millis=1000, el=1),
    Phase(
        name="masked", length=100, iterations=MASKED // 100, cpi_millis=1000, el=1, irq_masked=True
    ),
    repeat=60,
    exclude_kernel=False,
)
"""A program whose kernel is profiled; a third of its kernel runs with interrupts masked."""
PASS = USER + KERNEL + MASKED
SMALL: dict[str, Any] = {
    "aux": Geometry(2 * PAGE, 256, 256),
    "exits": None,
    "interval": 512,
    "period": 512,
    "irq_latency": (64 * 100,),
    "random_start": False,
    "memlock": 1 << 40,
    "memory": 64 * PAGE,
}
"""Full every 4 records, 2,050 ops, with 100 ops from S = 1 to the core."""
FREE: dict[str, Any] = {"memlock": 1 << 40}


def _ran(design: str, exceptions: str, stream: Stream = KERNEL_CODE, **changes: Any) -> RunResult:
    settings = Settings.model_validate({"workload": {"kind": "synthetic", "phases": [_PHASE]}})
    spec = machine_of(design, settings, stream, {"exceptions": exceptions}, **(SMALL | changes))
    return agreed(spec, stream)


_PHASE = {"name": "x", "length": 100, "iterations": 1}


def _taken(vcpu: VcpuResult) -> list[tuple[int, int]]:
    """Of each full buffer: the op at which the event reached the core, and where it was taken."""
    reached, taken, op = [], [], 0
    for _, what, value in vcpu.log:
        if what in ("PMBIRQ", "VIRQ"):
            taken.append(value)
        if what == "FULL":
            op = 0
        if what == "irq_delivery_full":
            op = value
        if what == "PMBIRQ_AT_CORE":
            reached.append(op + 100)
    return list(zip(reached, taken, strict=False))


# --- what masks it ---------------------------------------------------------------------------


@pytest.mark.parametrize("design", ["baremetal", "v6"])
@pytest.mark.parametrize("exceptions", ["profiling", "profiling_el0"])
def test_who_takes_a_full_buffer_when(design: str, exceptions: str) -> None:
    """By hand, for each of them: KE = 1 takes it at once, in masked code too; KE = 0 at the next op
    of EL0. In a VM as on bare metal, since EL1 takes it there too."""
    vcpu = _ran(design, exceptions).vcpus[0]
    events = _taken(vcpu)
    assert len(events) > 100
    waiting = USER + (KERNEL if exceptions == "profiling" else 0)
    assert any(op % PASS >= waiting for op, _ in events)
    for reached, taken in events:
        in_kernel = reached % PASS >= USER
        waits = in_kernel and exceptions == "profiling_el0"
        assert taken == ((reached // PASS + 1) * PASS if waits else reached)


def test_irq_masked_vanishes_on_bare_metal() -> None:
    """PSTATE.I holds PMBIRQ; no profiling exception of a kernel that lets it in."""
    masked = {
        value.word: _ran("baremetal", value.word).vcpus[0].ledgers.ops.by_label[OpLabel.IRQ_MASKED]
        for value in EXCEPTIONS
    }
    assert masked["profiling"] == 0
    assert 0 < masked["pmbirq"] < masked["profiling_el0"]


def test_nothing_waits_in_a_guest_but_for_itself() -> None:
    """A virtual interrupt waits for PSTATE.I; EL1's own exception does not, and is none."""
    labels = [_ran("v6", word).vcpus[0].ledgers.ops.by_label for word in ("pmbirq", "profiling")]
    assert labels[0][OpLabel.VIRQ_DELIVERY] > 0
    assert labels[1][OpLabel.VIRQ_DELIVERY] == labels[1][OpLabel.IRQ_MASKED] == 0


@pytest.mark.parametrize("design", ["baremetal", "v6"])
def test_it_is_asynchronous_still(design: str) -> None:
    """J1.1.1.50: 100 ops run on after each S = 1, as with PMBIRQ."""
    run = _ran(design, "profiling")
    full = run.vcpus[0].blackouts["full"]
    assert full.ops == 100 * full.count
    assert full.count > 100


def test_an_exception_forces_its_exit() -> None:
    """`interrupt: next_exit` is about interrupts; EL2 takes an exception when it comes."""
    changes: dict[str, Any] = {**often(Touch.ZAP), **FREE}
    late = ran("unpinned", {"exceptions": "profiling", "interrupt": "next_exit"}, **changes)
    at_once = ran("unpinned", {"exceptions": "profiling"}, **changes)
    assert late.vcpus[0].ledgers.as_dict() == at_once.vcpus[0].ledgers.as_dict()
    assert late.vcpus[0].ledgers.ops.by_label[OpLabel.IRQ_WAIT_FOR_EXIT] == 0


# --- what it costs ---------------------------------------------------------------------------


def test_a_full_buffer_costs_no_exit_and_no_injection() -> None:
    """By hand: what v6 spends more on each is exit, the host's interrupt, entry and injection."""
    v6, exc = ran("v6", **FREE), ran("spe-exc", **FREE)
    costs = machine_of("v6", Settings(workload=_workload()), KERNEL_CODE).vm.kvm
    fulls = v6.vcpus[0].blackouts["full"].count
    assert fulls == exc.vcpus[0].blackouts["full"].count > 2
    saved = costs.exit + costs.host_irq + costs.entry
    assert stopped(v6, TimeCause.HANDLER) - stopped(exc, TimeCause.HANDLER) == fulls * saved
    assert (stopped(v6, TimeCause.INJECT), stopped(exc, TimeCause.INJECT)) == (
        fulls * costs.inject,
        0,
    )
    for cause in (TimeCause.TRAP, TimeCause.WALK, TimeCause.PIN, TimeCause.MAP, TimeCause.UNPIN):
        assert stopped(v6, cause) == stopped(exc, cause)
    assert v6.vcpus[0].written[:, 0].tolist() == exc.vcpus[0].written[:, 0].tolist()


def _workload() -> Any:
    return Settings.model_validate({"workload": {"kind": "synthetic", "phases": [_PHASE]}}).workload


def test_a_fault_costs_the_host_no_interrupt() -> None:
    """EL2 takes it itself: exit and entry, and the fix."""
    changes: dict[str, Any] = {**often(Touch.ZAP), **FREE}
    irq, exc = (
        ran("unpinned", {"exceptions": word}, **changes) for word in ("pmbirq", "profiling")
    )
    faults = [run.vcpus[0].blackouts["fault"].count for run in (irq, exc)]
    assert min(faults) > 10
    costs = machine_of("unpinned", Settings(workload=_workload()), KERNEL_CODE).vm.kvm
    assert stopped(exc, TimeCause.FAULT) == faults[1] * costs.fault
    driver = stopped(exc, TimeCause.HANDLER) - faults[1] * (costs.exit + costs.entry)
    fulls = exc.vcpus[0].blackouts["full"].count
    assert (
        driver
        == fulls
        * machine_of("unpinned", Settings(workload=_workload()), KERNEL_CODE).event.driver.handler
    )


# --- where the syndrome is -------------------------------------------------------------------


class _Sampler:
    """What an SPU asks of its sampler here."""

    pointer = limit = cut = 0

    def collisions(self) -> int:
        return 0


def test_a_guest_cannot_clear_a_fault() -> None:
    """PMBSR_EL2 and PMBSR_EL1 are two registers; S of either stops profiling and holds the line."""
    lines: list[bool] = []
    spu = Spu(
        lambda stop: _Sampler(),  # type: ignore[arg-type, return-value]
        lambda stop, op: None,
        lines.append,
        fsc=lambda pointer: Fault.TRANSLATION.value | 3,
        splits=True,
    )
    spu.pmscr = True
    spu.write_pmblimitr(PAGE, enable=True)
    assert spu.armed
    spu.stopped(Stop.FAULT, 0)
    assert spu.pmbsr_el2 == Pmbsr(s=True, ec=EC_STAGE2_ABORT, mss=0b000111)
    assert spu.read_pmbsr() == CLEAR
    spu.write_pmbsr(CLEAR)
    assert (spu.armed, lines) == (False, [True])
    spu.stopped(Stop.FULL, 0)
    assert spu.read_pmbsr() == Pmbsr(s=True, ec=EC_BUFFER, mss=BSC_FULL)
    spu.clear_pmbsr_el2()
    assert (spu.armed, lines) == (False, [True, True])
    spu.write_pmbsr(CLEAR)
    assert (spu.armed, lines) == (True, [True, True, False])


@pytest.mark.parametrize(("exceptions", "raised"), [("profiling", False), ("pmbirq", True)])
def test_kvm_does_not_report_what_the_hardware_does(exceptions: str, raised: bool) -> None:
    """A guest that writes PMBLIMITR with S = 1 pending keeps the line that KVM drives; PMBSR_EL1
    drives its own."""
    machine = Machine(spec("v6", {"exceptions": exceptions}, **FREE), (STREAM,), RUN, SampleTimer)
    hypervisor, spu = machine.vcpus[0].hypervisor, machine.vcpus[0].spu
    assert hypervisor is not None
    spu.pmbsr = hypervisor.pmbsr = Pmbsr(s=True, ec=EC_BUFFER, mss=BSC_FULL)
    machine.engine.run(machine.engine.process(hypervisor._on_write(Reg.PMBLIMITR, OFF)))
    assert machine.vcpus[0].cpu.virq is raised


def test_a_bounce_buffer_is_el2s_own() -> None:
    """Its full buffer is EL2's to copy, exception or not."""
    small = {**FREE, "bounce": PAGE // 2}
    irq, exc = (
        ran("bounce-buffer", {"exceptions": word}, **small) for word in ("pmbirq", "profiling")
    )
    refills = irq.vcpus[0].blackouts["bounce_full"].count
    assert refills == exc.vcpus[0].blackouts["bounce_full"].count > 2
    assert stopped(irq, TimeCause.COPY) == stopped(exc, TimeCause.COPY)
    assert stopped(exc, TimeCause.INJECT) == 0 < stopped(irq, TimeCause.INJECT)


# --- FEAT_SPE_nVM ----------------------------------------------------------------------------


def test_intermediate_physical_pointers_need_no_tables() -> None:
    """By hand: a window of two pages pins two, v6 six, and nothing is walked."""
    free: dict[str, Any] = {**FREE, "max_buffer": 1 << 62}  # nothing is charged before
    v6, nvm = ran("v6", **free), ran("spe-nvm", **free)
    enables = v6.rlimit.enables
    assert enables == nvm.rlimit.enables > 2
    assert nvm.rlimit.pinned_pages == 2 * enables
    assert v6.rlimit.pinned_pages == (2 + 4) * enables
    assert stopped(nvm, TimeCause.WALK) == 0 < stopped(v6, TimeCause.WALK)
    assert max(point.locked_bytes for point in nvm.locked) == 2 * PAGE
    assert v6.vcpus[0].written[:, 0].tolist() == nvm.vcpus[0].written[:, 0].tolist()


def test_no_table_can_be_missing() -> None:
    """After a real unmap a fix maps the page alone; with stage 1 its four tables too."""
    gone: dict[str, Any] = {"memslot_changes": WORK // 20, **FREE}
    va, ipa = (ran("unpinned", {"pointers": word}, **gone) for word in ("va", "ipa"))
    costs = machine_of("unpinned", Settings(workload=_workload()), KERNEL_CODE).vm.kvm
    assert stopped(ipa, TimeCause.FAULT) == faults_of(ipa) * costs.fault
    assert stopped(va, TimeCause.FAULT) > faults_of(va) * costs.fault
    assert no_tables(4 * PAGE, PAGE).walk == ((),) * 4


def test_the_buffer_is_one_piece_of_guest_memory() -> None:
    """NUMA balancing takes it in one burst; nobody can have it scattered."""
    settings = Settings.model_validate(
        {
            "workload": {"kind": "synthetic", "phases": [_PHASE]},
            "driver": {"aux": "128KiB"},
            "buffer": {"physical": "scattered"},
            "host": {"unmap": "published"},
        }
    )
    pieces = [
        machine_of(design, settings, KERNEL_CODE).host.unmap.piece for design in ("v6", "spe-nvm")
    ]
    assert pieces == [1, 32]


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_both_features_are_deterministic_in_each_engine(engine: str) -> None:
    """The two together, on code that is masked, with pages that go: records in order, no law
    broken."""
    settings = Settings(workload=_workload())
    both = {"exceptions": "profiling_el0", "pointers": "ipa", "notifiers": "honour_all"}
    spec = machine_of("v6", settings, KERNEL_CODE, both, **SMALL, **often(Touch.ZAP))
    run = simulated(spec, KERNEL_CODE, engine=engine)
    ops = run.vcpus[0].written[:, 0].tolist()
    assert all(one < other for one, other in pairwise(ops))
    assert run.vcpus[0].blackouts["fault"].count > 10
