"""KVM's paths on real runs: traps, pins, faults, injections and refusals emerge."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from sim.kvm.hypervisor import Hypervisor
from sim.ledger import OpLabel, TimeCause
from sim.linux.aux import Geometry
from sim.machine.machine import ENGINES, Machine
from sim.machine.run import Run
from sim.machine.spec import MachineSpec, UnmapSpec
from sim.policies.bundle import Bundle
from sim.policies.stages import KvmCosts, Stages, View
from sim.results import RunResult, VcpuResult
from sim.scenario.models.scenario import Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.workload.arrays import Stream
from tests.rigs.machines import machine_of, simulated, synthetic, vary

PAGE = 4096
TICKS_PER_OP = 64
RECORDS = PAGE // 64  # of one page: the window of an 8 KiB AUX area
PASS = RECORDS * 1025 * TICKS_PER_OP  # about the work ticks that fill it


def _loop(ops: int = 500_000, **kind: Any) -> Phase:
    return Phase(name="loop", length=100, iterations=ops // 100, cpi_millis=1000, **kind)


STREAM = synthetic(_loop())


def _spec(
    design: str, stream: Stream = STREAM, policies: dict[str, Any] | None = None, **changes: Any
) -> MachineSpec:
    """An arm with an 8 KiB AUX area, windows of one page, no ordinary exits."""
    # the stream is given: of these settings the workload is not used
    settings = Settings(workload=Synthetic(kind="synthetic", phases=(_loop(100),)))
    small = {"aux": Geometry(2 * PAGE, PAGE, PAGE), "exits": None, "irq_latency": (64,)}
    return machine_of(design, settings, stream, policies, **(small | changes))


def _ops(vcpu: VcpuResult) -> dict[OpLabel, int]:
    return vcpu.ledgers.ops.by_label


def _logged(vcpu: VcpuResult) -> Counter[str]:
    return Counter(what for _, what, _ in vcpu.log)


@dataclass
class _Watched:
    """A machine whose driver operations report their traps, in order."""

    machine: Machine
    calls: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for vcpu in self.machine.vcpus:
            kvm = vcpu.hypervisor
            assert kvm is not None
            for name in ("start", "stop", "irq"):
                setattr(vcpu.event, name, self._counted(name, getattr(vcpu.event, name), kvm))

    def _counted(self, name: str, operation: Any, kvm: Hypervisor) -> Any:
        def wrapped() -> Any:
            before = kvm.traps
            yield from operation()
            self.calls.append((name, kvm.traps - before))

        return wrapped

    def run(self) -> RunResult:
        return self.machine.run()


def _watch(spec: MachineSpec, stream: Stream = STREAM, engine: str = "fast") -> _Watched:
    return _Watched(Machine(spec, (stream,), Run("arm", 7, 0, True, True), ENGINES[engine]))


# --- traps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_start_2_buffer_full_5_stop_3_traps(engine: str) -> None:
    """Trap counts emerge from the driver's register traffic (3.4), and nothing else traps."""
    watched = _watch(_spec("v6"), engine=engine)
    vcpu = watched.run().vcpus[0]
    assert vcpu.stops == len(vcpu.written) // RECORDS > 5
    assert watched.calls == [("start", 2), *[("irq", 5)] * vcpu.stops, ("stop", 3)]
    assert vcpu.traps == 2 + 5 * vcpu.stops + 3
    costs = _spec("v6").vm.kvm
    assert vcpu.ledgers.time.stopped[TimeCause.TRAP] == vcpu.traps * costs.trap


def test_baremetal_does_not_trap() -> None:
    """The same driver on bare metal: no trap, no exit, no KVM time."""
    vcpu = simulated(_spec("baremetal"), STREAM, seed=7).vcpus[0]
    spent = {cause for cause, ticks in vcpu.ledgers.time.stopped.items() if ticks}
    assert vcpu.stops > 5
    assert vcpu.traps == 0
    assert spent == {TimeCause.HANDLER, TimeCause.GUEST_KERNEL}


def test_stop_with_a_pending_event_takes_4_traps_and_retracts_the_interrupt() -> None:
    """S = 1 on its way at a switch: stop() handles it, the PPI is never taken, nothing is lost."""
    switch = PASS + 200_000
    late: dict[str, Any] = {"irq_latency": (1_000_000,), "away_ticks": 2_000_000}
    spec = _spec("v6", policies={"pmbsr_sync": "every_exit"}, switch_ticks=switch, **late)
    watched = _watch(spec)
    vcpu = watched.run().vcpus[0]
    log = _logged(vcpu)
    assert log["FULL"] == log["SWITCH"] > 3
    assert watched.calls == [("start", 2), *[("stop", 4), ("start", 2)] * log["FULL"], ("stop", 3)]
    assert log["PMBIRQ_AT_CORE"] == log["VIRQ"] == 0
    assert vcpu.ledgers.delivery.delivered == len(vcpu.written)


def test_switches_are_a_disable_and_an_enable_edge() -> None:
    """6.8: every switch out and in costs stop's 3 and start's 2 traps, an unpin and a pin."""
    spec = _spec("v6", switch_ticks=1_000_000, away_ticks=64)
    watched = _watch(spec)
    run = watched.run()
    switches = _logged(run.vcpus[0])["SWITCH"]
    calls = Counter(watched.calls)
    assert switches > 20
    assert calls[("start", 2)] == 1 + switches
    assert run.rlimit.enables == 1 + switches + calls[("irq", 5)]


# --- pins ------------------------------------------------------------------------------------


@pytest.fixture
def edges(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, View]]:
    """Every edge that KVM acts on, with what it saw."""
    seen: list[tuple[str, View]] = []

    def watched(name: str) -> None:
        hook = getattr(Bundle, name)

        def replacement(design: Bundle, costs: KvmCosts, view: View) -> Stages:
            seen.append((name, view))
            yield from hook(design, costs, view)

        monkeypatch.setattr(Bundle, name, replacement)

    watched("on_enable")
    watched("on_disable")
    return seen


def test_v6_pins_at_every_enable_edge(edges: list[tuple[str, View]]) -> None:
    """Enable and disable edges alternate; each enable pins the window and its 4 tables anew."""
    run = simulated(_spec("v6"), STREAM, seed=7)
    stops = run.vcpus[0].stops
    assert [name for name, _ in edges] == ["on_enable", "on_disable"] * (stops + 1)
    enables = [view for name, view in edges if name == "on_enable"]
    assert {(v.window_pages, v.table_pages, v.to_pin, v.pinned_pages) for v in enables} == {
        (1, 4, 5, 0)
    }
    assert {view.pinned_pages for name, view in edges if name == "on_disable"} == {5}
    assert run.rlimit.pinned_pages == 5 * (stops + 1)


def test_unpin_never_pins_each_page_once(edges: list[tuple[str, View]]) -> None:
    """Both windows are pinned once; afterwards enabling pins nothing."""
    run = simulated(_spec("v6", policies={"unpin": "never"}), STREAM, seed=7)
    pinned = [view.to_pin for name, view in edges if name == "on_enable"]
    assert pinned[:2] == [5, 1]
    assert set(pinned[2:]) == {0}
    assert run.rlimit.pinned_pages == 6


def test_pin_costs_are_itemised() -> None:
    """Walk, pin and map times are pages × cost, at each enable edge."""
    spec = _spec("v6")
    run = simulated(spec, STREAM, seed=7)
    edge, stopped = run.rlimit.enables, run.vcpus[0].ledgers.time.stopped
    assert stopped[TimeCause.WALK] == edge * 4 * spec.vm.kvm.walk_table
    assert stopped[TimeCause.PIN] == edge * (spec.vm.kvm.charge + 5 * spec.vm.kvm.pin)
    assert stopped[TimeCause.MAP] == edge * 5 * spec.vm.kvm.map_present
    assert stopped[TimeCause.UNPIN] == edge * 5 * spec.vm.kvm.unpin
    assert edge == run.vcpus[0].stops + 1


def test_a_cold_window_is_mapped_before_profiling_begins() -> None:
    """v6 maps at the edge, so a cold start loses no op; without pinning it does."""
    pinned, unpinned = (
        simulated(_spec(d, warm=False), STREAM, seed=7).vcpus[0] for d in ("v6", "unpinned")
    )
    assert _logged(pinned)["FAULT"] == 0
    assert _logged(unpinned)["FAULT"] == 2
    assert _ops(unpinned)[OpLabel.IRQ_DELIVERY_FAULT] > 0


def test_unmap_on_unpin_makes_every_window_cold() -> None:
    """What is unmapped at unpin is mapped again, cold, at the next enable edge."""
    spec = _spec("v6", policies={"unmap_on_unpin": True})
    run = simulated(spec, STREAM, seed=7)
    stopped, edges = run.vcpus[0].ledgers.time.stopped, run.rlimit.enables
    unmapped_before = 5 * (edges - 1)
    # The second page is warm at its first window; the tables and it are cold from then on.
    cold = unmapped_before - 1
    assert stopped[TimeCause.MAP] == (
        cold * spec.vm.kvm.map_cold + (5 * edges - cold) * spec.vm.kvm.map_present
    )


# --- stage 2 faults --------------------------------------------------------------------------


@pytest.mark.parametrize(("scope", "faults"), [("walk", 2), ("page", 6)])
def test_fix_scope_decides_how_many_faults_a_cold_buffer_costs(scope: str, faults: int) -> None:
    """Cold 2-page ring, 4 tables: `walk` faults once a page, `page` once a page or table."""
    spec = _spec("unpinned", policies={"fix_scope": scope}, warm=False)
    watched = _watch(spec)
    vcpu = watched.run().vcpus[0]
    log = _logged(vcpu)
    assert log["FAULT"] == vcpu.ledgers.selections.lost_at_fault == faults
    assert vcpu.ledgers.time.stopped[TimeCause.FAULT] == 6 * spec.vm.kvm.fault
    assert Counter(name for name, _ in watched.calls)["irq"] == log["FULL"]


def test_a_fault_that_kvm_fixes_never_waits_for_the_guest() -> None:
    """In code that never unmasks interrupts the fault is fixed; the full buffer is not handled."""
    masked = synthetic(_loop(irq_masked=True))
    vcpu = simulated(_spec("unpinned", masked, warm=False), masked, seed=7).vcpus[0]
    log = _logged(vcpu)
    assert (log["FAULT"], log["FULL"]) == (1, 1)
    assert all(op == masked.ops for _, what, op in vcpu.log if what == "VIRQ")  # not before the end
    assert len(vcpu.written) == RECORDS
    assert _ops(vcpu)[OpLabel.VIRQ_DELIVERY] > 300_000
    assert _ops(vcpu)[OpLabel.IRQ_MASKED] == 0


def test_masked_code_holds_the_interrupt_at_el1_and_the_virtual_one_in_a_vm() -> None:
    """The same masked stretch is `irq_masked` on bare metal and `virq_delivery` in a VM."""
    stretches = synthetic(
        Phase(name="open", length=100, iterations=10, cpi_millis=1000),
        Phase(name="masked", length=100, iterations=10, irq_masked=True, cpi_millis=1000),
        repeat=400,
    )
    metal, guest = (
        _ops(simulated(_spec(design, stretches), stretches, seed=7).vcpus[0])
        for design in ("baremetal", "v6")
    )
    assert metal[OpLabel.IRQ_MASKED] > 0
    assert metal[OpLabel.VIRQ_DELIVERY] == 0
    assert guest[OpLabel.VIRQ_DELIVERY] > 0
    assert guest[OpLabel.IRQ_MASKED] == 0


def test_injected_error_is_fatal_until_the_next_switch_in() -> None:
    """v5's answer: one fault, then the buffer is off; in task mode each switch-in revives it."""
    spec = _spec("unpinned-error", unmap=UnmapSpec("per_window"))
    once = simulated(spec, STREAM, seed=7).vcpus[0]
    assert once.stops == _logged(once)["FAULT"] == 1
    assert len(once.written) == 0
    assert _ops(once)[OpLabel.EVENT_DISABLED] > 490_000

    watched = _watch(vary(spec, switch_ticks=4_100_000, away_ticks=64))
    task = watched.run().vcpus[0]
    log = _logged(task)
    assert log["FAULT"] == 1 + log["SWITCH"] > 5
    # FATAL: R PMBSR, R PMBPTR, W PMBLIMITR = 0, W PMBSR = 0; its stop() finds no open transaction.
    assert watched.calls == [("start", 2), ("irq", 4), ("stop", 1)] * (1 + log["SWITCH"])
    assert set(task.blackouts) == {"disabled"}


def test_an_injected_error_is_a_disable_edge(edges: list[tuple[str, View]]) -> None:
    """A pinned design that answers a fault with an error unpins before the guest sees it."""
    policies = {"stage2_fault": "inject_error", "notifiers": "honour_all"}
    run = simulated(_spec("v6", policies=policies, unmap=UnmapSpec("per_record")), STREAM, seed=7)
    assert _logged(run.vcpus[0])["FAULT"] == 1
    assert [name for name, _ in edges] == ["on_enable", "on_disable"]
    assert edges[1][1].pinned_pages == 5


@pytest.mark.parametrize(("design", "injected"), [("unpinned", 0), ("unpinned-error", 1)])
def test_a_fault_pending_at_stop_is_seen_by_the_guest_only_if_injected(
    design: str, injected: int
) -> None:
    """KVM deals with it at the first trapped access: fixed silently, or one more W PMBSR."""
    spec = _spec(design, unmap=UnmapSpec("per_window"), irq_latency=(10_000_000,))
    watched = _watch(vary(spec, switch_ticks=200_000, away_ticks=64))
    log = _logged(watched.run().vcpus[0])
    assert log["FAULT"] > 100
    assert log["PMBIRQ_AT_CORE"] == log["VIRQ"] == 0
    assert Counter(watched.calls)["stop", 4] == injected * log["FAULT"]


def test_per_record_faults_lose_every_other_record() -> None:
    """Each write takes its page away, so the next one faults; only each page's first is free."""
    spec = _spec("unpinned", unmap=UnmapSpec("per_record"))
    selections = simulated(spec, STREAM, seed=7).vcpus[0].ledgers.selections
    assert selections.lost_at_fault > 200
    assert 0 <= selections.written - selections.lost_at_fault <= 2


# --- configuration and limits ----------------------------------------------------------------


def test_an_oversize_window_is_a_buffer_event_and_no_exit() -> None:
    """A window over MaxBuffSize: management event, fatal to the driver, no KVM_EXIT_RLIMIT."""
    spec = _spec("v6", aux=Geometry(4 * PAGE, PAGE, 2 * PAGE), max_buffer=PAGE)
    watched = _watch(spec)
    run = watched.run()
    vcpu = run.vcpus[0]
    assert watched.calls == [("start", 2), ("irq", 4), ("stop", 1)]
    assert (run.rlimit.exits, run.rlimit.enables, run.rlimit.pinned_pages) == (0, 1, 0)
    assert run.rlimit.oversize_windows == 1
    assert vcpu.stops == len(vcpu.written) == 0
    assert _ops(vcpu)[OpLabel.PROFILED] == 0
    assert vcpu.ledgers.time.stopped[TimeCause.INJECT] == spec.vm.kvm.inject


@pytest.mark.parametrize(
    "design", ["unpinned", "v3-mlock", "v5-memslot-lock", "bounce-buffer", "v7-guest-memfd"]
)
def test_only_v6_has_a_largest_window(design: str) -> None:
    """No other series has the attribute: vm.max_buffer changes nothing there, and everything once
    the design has a limit."""
    large: dict[str, Any] = {
        "aux": Geometry(4 * PAGE, PAGE, 2 * PAGE),
        "memory": 64 * PAGE,
        "memlock": 1 << 40,
        "max_buffer": PAGE,
    }
    run = simulated(_spec(design, **large), STREAM, seed=7)
    assert run.rlimit.oversize_windows == 0
    assert len(run.vcpus[0].written) > 0
    free = simulated(_spec(design, **large | {"max_buffer": 1 << 62}), STREAM, seed=7)
    assert run.vcpus[0].ledgers == free.vcpus[0].ledgers
    limited = simulated(
        _spec(design, policies={"window_limit": "max_buffer"}, **large), STREAM, seed=7
    )
    assert limited.rlimit.oversize_windows > 0
    assert len(limited.vcpus[0].written) == 0


@pytest.mark.parametrize(("retry", "walks"), [("reexecute", 6), ("pending_on_entry", 1)])
def test_retry_decides_what_an_rlimit_exit_repeats(retry: str, walks: int) -> None:
    """Five one-page exits at the first enable: `reexecute` walks 5 times more."""
    spec = _spec(
        "v6",
        policies={"retry": retry, "charge": "incremental"},
        max_buffer=1 << 62,
        memlock=0,
    )
    run = simulated(spec, STREAM, seed=7)
    later = run.rlimit.enables - 1
    walked = run.vcpus[0].ledgers.time.stopped[TimeCause.WALK]
    assert run.rlimit.exits == 5
    assert walked == (walks + later) * 4 * spec.vm.kvm.walk_table
    assert run.vcpus[0].ledgers.time.stopped[TimeCause.VMM] == 5 * (
        spec.vm.kvm.vmm_exit + spec.vm.kvm.setrlimit
    )


# --- interrupts ------------------------------------------------------------------------------


def test_next_exit_waits_for_an_ordinary_exit() -> None:
    """2019's policy: what executes until the next exit is `irq_wait_for_exit`."""
    exits = (1_000_000,)
    forced = _ops(simulated(_spec("v6", exits=exits), STREAM, seed=7).vcpus[0])
    waiting = _ops(
        simulated(
            _spec("v6", policies={"interrupt": "next_exit"}, exits=exits), STREAM, seed=7
        ).vcpus[0]
    )
    assert forced[OpLabel.IRQ_WAIT_FOR_EXIT] == 0
    assert waiting[OpLabel.IRQ_WAIT_FOR_EXIT] > 1_000
    assert waiting[OpLabel.IRQ_MASKED] == 0


def test_ordinary_exits_cost_time_and_no_ops() -> None:
    """Timer and IPI exits: each costs its round trip; the samples are those of no exits."""
    spec = _spec("v6", exits=(1_000_000,))
    quiet, noisy = (
        simulated(vary(spec, exits=None), STREAM, seed=7).vcpus[0],
        simulated(spec, STREAM, seed=7).vcpus[0],
    )
    stopped = noisy.ledgers.time.stopped[TimeCause.ORDINARY_EXIT]
    assert noisy.ordinary_exits > 20
    assert stopped == noisy.ordinary_exits * spec.vm.kvm.ordinary_exit
    assert (noisy.written[:, 0] == quiet.written[:, 0]).all()


def test_buffer_full_path_has_the_parts_of_6_3() -> None:
    """One PMBIRQ exit per stop: exit, host IRQ, entry and the guest's handler; one injection."""
    spec = _spec("v6")
    vcpu = simulated(spec, STREAM, seed=7).vcpus[0]
    stopped = vcpu.ledgers.time.stopped
    path = spec.vm.kvm.exit + spec.vm.kvm.host_irq + spec.vm.kvm.entry + spec.event.driver.handler
    assert stopped[TimeCause.HANDLER] == vcpu.stops * path
    assert stopped[TimeCause.INJECT] == vcpu.stops * spec.vm.kvm.inject
    assert set(vcpu.blackouts) == {"full"}
    assert vcpu.blackouts["full"].count == vcpu.stops


def test_pinned_and_baremetal_record_the_same_ops() -> None:
    """The exact test: same hardware law, nothing masked, no exits: identical op ids."""
    metal, pinned = (
        simulated(_spec(design), STREAM, seed=7).vcpus[0] for design in ("baremetal", "v6")
    )
    assert metal.written[:, 0].tolist() == pinned.written[:, 0].tolist()
    assert pinned.ledgers.time.wall > metal.ledgers.time.wall


def test_killing_the_vm_settles_the_ledgers_of_running_vcpus() -> None:
    """vCPU 1's refused enable destroys the VM while vCPU 0 has an open window."""
    late = synthetic(_loop(100_000, el=1), _loop(100_000))
    policies = {"vmm": "refuse_kill"}
    spec = _spec("v6", late, policies, vcpus=2, max_buffer=1 << 62, memlock=7 * PAGE)
    spec = vary(spec, aux=Geometry(64 * PAGE, PAGE, 2 * PAGE))
    run = simulated(spec, synthetic(_loop(100), _loop(400_000)), late, seed=7)
    assert len(run.vcpus[0].written) > 50
    assert max(vcpu.ended_at_op for vcpu in run.vcpus) < 200_000
