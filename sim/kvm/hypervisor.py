"""KVM on one vCPU: traps, exits, the pin path and the fault path.

The guest's buffer registers live in memory; the hardware gets PMBLIMITR.E only while the virtual
buffer is enabled and stage 2 is live (RFC v6 26/35). Each vCPU has one hypervisor process; the vCPU
hands it a request (a trap, PMBIRQ, an ordinary exit) and waits until the guest is entered again.

Fidelity note. Modelled: enable edges (PMBLIMITR.E with S = 0, S cleared with E = 1), disable
edges, virtual PMBSR, forced exit on PMBIRQ, injection and its wait for guest unmasking, the fault
responses `fix_and_resume` and `inject_error`, KVM_EXIT_RLIMIT and both retries. A fault that KVM
fixes never waits for the guest. With `pmbsr_sync: irq_only` a trap can overtake the
maintenance interrupt and read a stale PMBSR; KVM drops an event whose buffer the guest has disabled
by then (an assumption: injecting it would leave the guest with an interrupt that nobody clears).
A window in discard mode pins nothing (assumption). Not modelled: lock contention, huge pages, dirty
logging, memslot changes. The host's handling of a PMBIRQ that it does not own is `t_host_irq`,
UNVERIFIED.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from simpy.events import Event

from sim import uapi
from sim.cpu import Cpu, VmKilledError
from sim.engine import Process
from sim.kvm.memlock import Account
from sim.kvm.policies import (
    Effect,
    KvmCosts,
    Stages,
    View,
    on_disable,
    on_enable,
    on_stage2_fault,
)
from sim.kvm.tables import Stage2
from sim.ledger import TimeCause
from sim.scenario.model import Policies
from sim.spe.buffer import (
    BSC_SIZE,
    CLEAR,
    EC_BUFFER,
    EC_STAGE1_ABORT,
    EC_STAGE2_ABORT,
    FSC_EXTERNAL_ABORT,
    Pmbsr,
)
from sim.spe.port import Limit, Reg, Value
from sim.units import div_up
from sim.vmm import Answer, answer_exit


class HostView(Protocol):
    """What the host does to guest memory, as far as KVM triggers it."""

    def window_enabled(self, vcpu: int, first: int, last: int) -> None:
        """A window of buffer pages has been enabled (unmap: per_window)."""


@dataclass(slots=True)
class Vm:
    """What the vCPUs of a VM share."""

    policies: Policies
    costs: KvmCosts
    account: Account
    host: HostView
    max_buffer: int
    cpus: list[Cpu] = field(default_factory=list)
    killed: bool = False

    def kill(self) -> None:
        """The VMM destroys the VM: every vCPU ends where it is."""
        self.killed = True
        for cpu in self.cpus:
            cpu.kill()


class Hypervisor:
    """One vCPU's KVM thread; the `Platform` of its CPU and the `Registers` port of its driver."""

    virtual = True

    def __init__(self, vm: Vm, cpu: Cpu, stage2: Stage2) -> None:
        self.vm, self.cpu, self.stage2 = vm, cpu, stage2
        self._engine = cpu.engine
        self._spu = cpu.spu
        self.pmbptr = 0
        self.pmblimitr = Limit(0, enable=False)
        self.pmbsr: Pmbsr = CLEAR
        self.traps = 0
        self._window = stage2.window(0, 0)
        self._pinned = self._window
        self._fault_page = 0
        self._request: Callable[[], Process] | None = None
        self._asked: Event = self._engine.signal()
        self._entered: Event = self._engine.signal()

    # --- the process ---------------------------------------------------------------------

    def run(self) -> Process:
        """PROCESS hypervisor: serve one exit after the other."""
        while True:
            yield self._asked
            self._asked = self._engine.signal()
            request = self._request
            assert request is not None
            yield from request()
            self._entered.succeed()

    def _exit(self, request: Callable[[], Process]) -> Process:
        """Leave the guest; come back when it has been entered again."""
        self._request = request
        self._entered = self._engine.signal()
        self._asked.succeed()
        yield self._entered
        if self.vm.killed:
            raise VmKilledError

    def _spend(self, cause: TimeCause, ticks: int) -> Process:
        return self.cpu.spend(cause, ticks)

    def _run_stages(self, stages: Stages) -> Process:
        """Spend each stage's ticks and apply its effect; effect-less stages are one timeout."""
        try:
            stage = next(stages)
            while True:
                yield from self._spend(stage.cause, stage.ticks)
                done = yield from self._apply(stage.effect)
                if self.vm.killed:
                    return
                stage = stages.send(done)
        except StopIteration:
            return

    # --- Platform ------------------------------------------------------------------------

    def pmbirq(self) -> Process:
        """PMBIRQ is taken at EL2."""
        yield from self._exit(self._on_pmbirq)

    def ordinary_exit(self) -> Process:
        """A timer, IPI or MMIO exit; drains the SPU, looks at PMBSR if it is pending."""
        yield from self._exit(self._on_ordinary_exit)

    # --- Registers -----------------------------------------------------------------------

    def write(self, reg: Reg, value: Value) -> Process:
        """A trapped MSR."""
        self.traps += 1
        yield from self._exit(lambda: self._on_write(reg, value))

    def read(self, reg: Reg) -> Generator[Event, Any, Value]:
        """A trapped MRS."""
        self.traps += 1
        yield from self._exit(self._on_read)
        match reg:
            case Reg.PMBPTR:
                return self.pmbptr
            case Reg.PMBLIMITR:
                return self.pmblimitr
            case Reg.PMBSR:
                return self.pmbsr

    # --- requests ------------------------------------------------------------------------

    def _on_read(self) -> Process:
        yield from self._trap()

    def _trap(self) -> Process:
        """A trapped access; a stop that PMBIRQ has not reported yet is dealt with first, unless
        PMBSR is only brought up to date by PMBIRQ (`pmbsr_sync: irq_only`): then it stays stale.
        """
        yield from self._spend(TimeCause.TRAP, self.vm.costs.trap)
        if self._spu.pmbsr.s and self.vm.policies.pmbsr_sync == "every_exit":
            yield from self._management_event()
        self._collect()

    def _on_write(self, reg: Reg, value: Value) -> Process:
        yield from self._trap()
        was = self._buffer_enabled()
        match reg, value:
            case Reg.PMBPTR, int():
                self.pmbptr = value
            case Reg.PMBLIMITR, Limit():
                self.pmblimitr = value
            case Reg.PMBSR, Pmbsr():
                self.pmbsr = value
                self._spu.write_pmbsr(value)
        self.cpu.virq = self.pmbsr.s
        yield from self._edges(was)

    def _edges(self, was: bool) -> Process:
        """ProfilingBufferEnabled() = E = 1 and S = 0; act on its edges."""
        enabled = self._buffer_enabled()
        if was and not enabled:
            yield from self._disable_edge()
        if enabled:
            if not was:
                yield from self._enable_edge()
            if self.vm.killed or not self._buffer_enabled():
                return
            self._spu.write_pmbptr(self.pmbptr)
            self._spu.write_pmblimitr(self.pmblimitr.offset, enable=True)

    def _buffer_enabled(self) -> bool:
        return self.pmblimitr.enable and not self.pmbsr.s

    def _enable_edge(self) -> Process:
        self.vm.account.counts.enables += 1
        granule = self.stage2.tables.granule
        if self.pmblimitr.discard:  # nothing is written: nothing to walk, pin or map
            return
        first, last = self.pmbptr // granule, div_up(self.pmblimitr.offset, granule)
        self._window = self.stage2.window(first, last)
        self.stage2.note_zaps(first, last)
        if (last - first) * granule > self.vm.max_buffer:
            yield from self._inject(Pmbsr(s=True, ec=EC_BUFFER, mss=BSC_SIZE))
            return
        yield from self._run_stages(on_enable(self.vm.policies, self.vm.costs, self._view()))
        if not self.vm.killed:
            self.vm.host.window_enabled(self.cpu.index, first, last)

    def _disable_edge(self) -> Process:
        self._spu.write_pmblimitr(self.pmblimitr.offset, enable=False)
        yield from self._run_stages(on_disable(self.vm.policies, self.vm.costs, self._view()))

    def _on_ordinary_exit(self) -> Process:
        yield from self._spend(TimeCause.ORDINARY_EXIT, self.vm.costs.ordinary_exit)
        if self.cpu.gic.arrived:
            yield from self._management_event()

    def _on_pmbirq(self) -> Process:
        costs = self.vm.costs
        yield from self._spend(TimeCause.HANDLER, costs.exit + costs.host_irq)
        if self._spu.pmbsr.s:
            yield from self._management_event()
        if not self.vm.killed:
            yield from self._spend(TimeCause.HANDLER, costs.entry)

    def _management_event(self) -> Process:
        """Hardware S = 1: take PMBSR into memory, then respond."""
        status = self._spu.read_pmbsr()
        self._collect()
        self._spu.write_pmblimitr(self.pmblimitr.offset, enable=False)
        self._spu.write_pmbsr(CLEAR)
        if not self.pmblimitr.enable:  # irq_only: the guest has closed the buffer in the meantime
            return
        if status.ec == EC_STAGE2_ABORT:
            yield from self._stage2_fault(status)
            return
        yield from self._disable_for(status)
        yield from self._inject(status)

    def _stage2_fault(self, status: Pmbsr) -> Process:
        self._fault_page = self.pmbptr // self.stage2.tables.granule
        self.stage2.note_fault(self._fault_page)
        policies = self.vm.policies
        if policies.stage2_fault == "inject_error":
            yield from self._disable_for(status)
        yield from self._run_stages(on_stage2_fault(policies, self.vm.costs, self._view()))
        if policies.stage2_fault == "fix_and_resume":
            self._spu.write_pmblimitr(self.pmblimitr.offset, enable=True)

    def _disable_for(self, status: Pmbsr) -> Process:
        """S = 1 is a disable edge; the guest will see `status`."""
        was = self._buffer_enabled()
        self.pmbsr = status
        if was:
            yield from self._disable_edge()

    def _inject(self, status: Pmbsr) -> Process:
        """Raise the virtual PPI; it waits in the guest for PSTATE.I."""
        self.pmbsr = status
        yield from self._spend(TimeCause.INJECT, self.vm.costs.inject)
        self.cpu.virq = True

    def _collect(self) -> None:
        """The hardware's write pointer becomes the guest's (psb csync has drained)."""
        if self._spu.limit_enable:
            self.pmbptr = self._spu.sampler.pointer

    # --- effects -------------------------------------------------------------------------

    def _view(self) -> View:
        window = self._window
        return View(
            window_pages=window.last - window.first,
            table_pages=window.tables,
            unmapped_pages=self.stage2.unmapped(window.pages).size,
            pinned_pages=self._pinned.pages.size,
            missing_pages=len(self.stage2.missing(self._fault_page)),
            to_pin=self._to_pin(),
        )

    def _apply(self, effect: Effect) -> Generator[Event, Any, bool]:
        """Apply one effect; False only for a charge that must be tried again."""
        match effect:
            case Effect.CHARGE:
                return (yield from self._charge())
            case Effect.PIN:
                self._pin()
            case Effect.MAP:
                for page in self.stage2.unmapped(self._pinned.pages):
                    self.stage2.map(int(page))
            case Effect.UNPIN:
                self._unpin()
            case Effect.UNMAP:
                self._unmap_window()
            case Effect.MAP_FAULTING:
                self._map_faulting()
            case Effect.INJECT_ABORT:
                self._inject_abort()
            case Effect.NONE:
                pass
        return True

    def _charge(self) -> Generator[Event, Any, bool]:
        """Charge the window; over the limit KVM_RUN returns KVM_EXIT_RLIMIT to the VMM."""
        account, granule = self.vm.account, self.stage2.tables.granule
        held = int(np.count_nonzero(self.stage2.pins)) + self._to_pin()
        excess = account.pin(self.cpu.index, held * granule)
        if not excess:
            return True
        if self.vm.policies.charge == "incremental":
            excess = min(excess, granule)
        account.counts.exits += 1
        account.counts.excess_bytes_max = max(account.counts.excess_bytes_max, excess)
        self.cpu.log("KVM_EXIT_RLIMIT", excess)
        run = uapi.kvm_run_rlimit(excess)
        yield from self._spend(TimeCause.VMM, self.vm.costs.vmm_exit)
        answer = answer_exit(run, account, self.vm.policies)
        yield from self._spend(TimeCause.VMM, self.vm.costs.setrlimit)
        if answer is Answer.KILL:
            self.vm.kill()
        return False

    def _to_pin(self) -> int:
        return int(np.count_nonzero(self.stage2.pins[self._window.pages] == 0))

    def _pin(self) -> None:
        self.vm.account.counts.pinned_pages += self._to_pin()
        self._pinned = self._window
        self.stage2.pins[self._pinned.pages] = 1
        self.cpu.log("PINNED_PAGES", self._pinned.pages.size)

    def _unpin(self) -> None:
        self.stage2.pins[self._pinned.pages] = 0
        self._pinned = self.stage2.window(0, 0)
        self.cpu.log("PINNED_PAGES", 0)
        self.vm.account.unpin(self.cpu.index)

    def _unmap_window(self) -> None:
        for page in self._window.pages:
            self.stage2.unmap(int(page))

    def _map_faulting(self) -> None:
        missing = self.stage2.missing(self._fault_page)
        pages = missing if self.vm.policies.fix_scope == "walk" else missing[:1]
        for page in pages:
            self.stage2.map(page)

    def _inject_abort(self) -> None:
        """v5: a synthetic external abort, reported as a stage 1 abort."""
        self.pmbsr = Pmbsr(s=True, ec=EC_STAGE1_ABORT, mss=FSC_EXTERNAL_ABORT, ea=True)
        self.cpu.virq = True
