"""KVM on one vCPU: traps, exits, the pin path and the fault path.

The guest's buffer registers live in memory; the hardware gets PMBLIMITR.E only while the virtual
buffer is enabled and stage 2 is live (RFC v6 26/35). What an exit (a trap, PMBIRQ, an ordinary one)
leads to runs in the vCPU's own process until the guest is entered again, as KVM runs in its thread.

Fidelity note. Modelled: enable edges (PMBLIMITR.E with S = 0, S cleared with E = 1), disable edges,
virtual PMBSR, forced exit on PMBIRQ, injection and its wait for guest unmasking, the fault
responses and the fault status that they may look at, PMBSR.DL (a fix then voids all records since
the guest last wrote PMBPTR, at no cost of its own; an injected error passes it on),
KVM_EXIT_RLIMIT, both retries and the VMM's answers, a bounce buffer's copies and its own full. A
fault that KVM fixes never waits for the guest. With `traps: none` accesses cost nothing, but KVM
still keeps the guest's PMBSR in memory: it stands for a physical interrupt that stays masked until
the guest clears S. With `pmbsr_sync: irq_only` a trap can overtake the maintenance interrupt and
read a stale PMBSR; KVM drops an event whose buffer the guest has disabled by then (an assumption:
injecting it would leave the guest with an interrupt that nobody clears). A window in discard mode
pins nothing (assumption). An exit of a vCPU whose buffer is enabled drains the SPU, which takes
`t_drain`, UNVERIFIED (0 by default). Not modelled: huge pages. The host's handling of a PMBIRQ that
it does not own is `t_host_irq`, UNVERIFIED.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simpy.events import Event

from sim.cpu.gic import Gic
from sim.cpu.ports import GuestCpu, VmKilledError, Wait
from sim.engine import FOREVER, Kind, Process
from sim.host import uapi
from sim.host.vmm import answer_exit
from sim.kvm.pages import Pages
from sim.kvm.tables import Absence
from sim.kvm.vm import Vm
from sim.ledger import TimeCause
from sim.policies.answers import Answer, Reply
from sim.policies.exceptions import Masking
from sim.policies.stages import LEVELS, Effect, Fault, Hook, Lock, Outcome, Stages, View
from sim.spe.buffer import (
    BSC_FULL,
    BSC_SIZE,
    CLEAR,
    EC_BUFFER,
    EC_STAGE2_ABORT,
    Pmbsr,
    is_full,
)
from sim.spe.register_port import Limit, Reg, Value
from sim.spe.spu import Spu
from sim.units import div_up

_NO_PAGES = np.zeros(0, np.int64)
_FAULTS = {fault.value: fault for fault in Fault}
LIVELOCK_EXITS = 1000
"""KVM_EXIT_RLIMIT in a row, nothing changed in between: nothing will, so the run ends there."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """The VM goes on on another host; `remote`: its memory has yet to come (post-copy)."""

    remote: bool


class Hypervisor:
    """One vCPU's KVM thread; the `Platform` of its CPU and the `Registers` port of its driver."""

    virtual = True

    def __init__(self, vm: Vm, cpu: GuestCpu, spu: Spu, gic: Gic, pages: Pages) -> None:
        self.vm, self.cpu, self.pages, self.stage2 = vm, cpu, pages, pages.stage2
        self._engine = cpu.engine
        self._spu, self._gic = spu, gic
        self._spend = cpu.spend
        self._idle = vm.policies.idle_hooks
        self.next_exit_only = vm.policies.waits_for_exit
        self.virq_masking = vm.policies.exceptions.masking
        self._splits = vm.policies.splits
        self.pmbptr = 0
        self.pmblimitr = Limit(0, enable=False)
        self.pmbsr: Pmbsr = CLEAR
        self.traps = 0
        self._enables = 0
        self._last_enable: dict[int, int] = {}  # by vCPU visited: is a timer of `unpin: after` due?
        self._programmed = 0  # PMBPTR as the guest wrote it last
        self._copied = 0  # guest PMBPTR up to which a bounce buffer has been copied out
        self._reentries = 0
        self._fault_page = 0
        self._arrival: Arrival | None = None
        self._data_lost = False
        self._status = Fault.TRANSLATION.value  # FSC of the last stage 2 fault
        self._trapping = vm.policies.traps.each
        vm.booting += 1
        vm.cpus.append(cpu)
        vm.hypervisors.append(self)

    # --- exits ---------------------------------------------------------------------------

    def _enter(self) -> None:
        """The guest is entered again, if there is one."""
        if self.vm.killed:
            raise VmKilledError

    def _hook(self, hook: Hook) -> Wait:
        """What the design does here, as things stand."""
        if hook in self._idle:
            return ()
        return self._run_stages(hook(self.vm.costs, self._view()))

    def _run_stages(self, stages: Stages) -> Process:
        """Spend each stage's ticks and apply its effect; effect-less stages are one timeout."""
        try:
            stage = next(stages)
            while True:
                wait = 0
                if stage.lock is not Lock.NONE:
                    wait = self.vm.locks.wait(stage.lock, self._engine.now, stage.ticks)
                yield from self._spend(stage.cause, wait + stage.ticks)
                if stage.effect is Effect.CHARGE:
                    outcome = yield from self._charge()
                else:
                    self._apply(stage.effect)
                    outcome = Outcome.DONE
                if self.vm.killed:
                    return
                stage = stages.send(outcome)
        except StopIteration:
            return

    # --- Platform ------------------------------------------------------------------------

    @property
    def guest_takes(self) -> bool:
        """FEAT_SPE_EXC: all but a stage 2 fault is the guest's."""
        return self._splits and not self._spu.pmbsr_el2.s

    @property
    def masking(self) -> Masking:
        """No guest masks what EL2 takes."""
        return self.virq_masking if self.guest_takes else Masking.NOTHING

    def boot(self, *, profiled: bool) -> Process:
        """Before the vCPU first runs."""
        if profiled:
            yield from self._hook(self.vm.policies.on_configure)
        self.vm.booting -= 1
        if self.vm.booting == 0:
            self.vm.running.succeed()

    def pmbirq(self) -> Process:
        """PMBIRQ is taken at EL2."""
        yield from self._on_pmbirq()
        self._enter()

    def ordinary_exit(self) -> Process:
        """A timer, IPI or MMIO exit; drains the SPU, looks at PMBSR if it is pending."""
        yield from self._on_ordinary_exit()
        self._enter()

    def migrated(self) -> None:
        """The task comes back on the next vCPU; its AUX ring and its stage 2 are the same."""
        self.stage2.move_to((self.stage2.vcpu + 1) % self.cpu.plan.visits)

    def paused(self, cause: TimeCause, until: int) -> Process:
        """The vCPU thread is kept from running until then."""
        yield from self._on_pause(cause, until)
        self._enter()

    # --- Registers -----------------------------------------------------------------------

    def write(self, reg: Reg, value: Value) -> Process:
        """MSR; the design says whether it traps."""
        self.traps += self._trapping
        yield from self._on_write(reg, value)
        self._enter()

    def read(self, reg: Reg) -> Generator[Event, Any, Value]:
        """MRS; the design says whether it traps."""
        self.traps += self._trapping
        yield from self._on_read(reg)
        self._enter()
        match reg:
            case Reg.PMBPTR:
                return self.pmbptr
            case Reg.PMBLIMITR:
                return self.pmblimitr
            case Reg.PMBSR:
                return self.pmbsr

    # --- requests ------------------------------------------------------------------------

    def _on_read(self, reg: Reg) -> Process:
        yield from self._trap()
        if reg is Reg.PMBPTR:
            yield from self._hook(self.vm.policies.on_pmbptr_read)

    def _trap(self) -> Process:
        """A trapped access; a stop that PMBIRQ has not reported yet is dealt with first, unless
        PMBSR is only brought up to date by PMBIRQ (`pmbsr_sync: irq_only`) and that is on its
        way still: then it stays stale.
        """
        if self._trapping:
            yield from self._spend(TimeCause.TRAP, self.vm.costs.trap + self._drain())
        if self._sees_stop():
            yield from self._management_event()
        if self._splits:
            yield from self._notice()
        self._collect()

    @property
    def _stopped(self) -> bool:
        """S = 1 in hardware, of what is KVM's."""
        return self._spu.pmbsr_el2.s if self._splits else self._spu.pmbsr.s

    def _sees_stop(self) -> bool:
        """And KVM looks at it in this exit."""
        sync = self.vm.policies.pmbsr_sync
        return self._stopped and sync.looks(interrupted=self._gic.arrived)

    def _notice(self) -> Process:
        """FEAT_SPE_EXC: PMBSR_EL1 is the guest's own; that it has S = 1 is a disable edge."""
        if not self._spu.pmbsr.s or self.pmbsr.s:
            return
        self._collect()
        self._spu.write_pmblimitr(self.pmblimitr.offset, enable=False)
        yield from self._disable_for(self._spu.read_pmbsr())

    def _on_write(self, reg: Reg, value: Value) -> Process:
        yield from self._trap()
        was = self._buffer_enabled()
        match reg, value:
            case Reg.PMBPTR, int():
                self.pmbptr = self._programmed = self._copied = value
                self._spu.sampler.settle()
            case Reg.PMBLIMITR, Limit():
                self.pmblimitr = value
            case Reg.PMBSR, Pmbsr():
                self.pmbsr = value
                self._spu.write_pmbsr(value)
        self.cpu.virq = self.pmbsr.s and not (self._splits and self._spu.pmbsr.s)
        if was or self._buffer_enabled():
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
            self._spu.write_pmblimitr(self._hardware_limit(), enable=True)

    def _hardware_limit(self) -> int:
        """The guest's limit, or where KVM's own buffer is full before."""
        if not self.vm.policies.backing.bounces:
            return self.pmblimitr.offset
        return min(self.pmblimitr.offset, self.pmbptr + self.vm.sizes.bounce)

    def _buffer_enabled(self) -> bool:
        return self.pmblimitr.enable and not self.pmbsr.s

    def _enable_edge(self) -> Process:
        self.vm.account.counts.enables += 1
        self._enables += 1
        self._last_enable[self.stage2.vcpu] = self._enables
        granule = self.stage2.tables.granule
        if self.pmblimitr.discard:  # nothing is written: nothing to walk, pin or map
            return
        first, last = self.pmbptr // granule, div_up(self.pmblimitr.offset, granule)
        self.pages.open(first, last)
        if (last - first) * granule > self.vm.sizes.max_buffer:
            self.vm.account.counts.oversize_windows += 1
            yield from self._inject(Pmbsr(s=True, ec=EC_BUFFER, mss=BSC_SIZE))
            return
        yield from self._hook(self.vm.policies.on_enable)
        if self.vm.dirty_logging and self.vm.policies.backing.exits_under_dirty_log:
            yield from self._spend(TimeCause.VMM, self.vm.costs.vmm_exit)
        if not self.vm.killed:
            self.vm.host.window_enabled(self.cpu.index, first, last)

    def _disable_edge(self) -> Process:
        self._spu.write_pmblimitr(self.pmblimitr.offset, enable=False)
        yield from self._hook(self.vm.policies.on_disable)
        timed = self.vm.sizes.unpin_after < FOREVER and self.vm.policies.backing.pins_windows
        if timed and self.stage2.pins.any():
            generation, vcpu = self._enables, self.stage2.vcpu
            self._engine.call(
                self.vm.sizes.unpin_after,
                Kind.STAGE,
                self.cpu.index,
                lambda _: self._unpin_later(generation, vcpu),
            )

    def _unpin_later(self, generation: int, vcpu: int) -> None:
        """The timer of `unpin: after`: the host's work, on no vCPU's time."""
        if generation == self._last_enable[vcpu] and not self.vm.killed:
            self.pages.unpin(vcpu)
            if self.vm.policies.unmap_on_unpin:
                self._spu.sampler.before_change()
                self.pages.unmap_unpinned()
                self._spu.sampler.on_change()

    def _drain(self) -> int:
        """Ticks of PSB CSYNC and DSB at an exit: only while the hardware's E is set (v5 30/38)."""
        return self.vm.costs.drain if self._spu.limit_enable else 0

    def _on_ordinary_exit(self) -> Process:
        ticks = self.vm.costs.ordinary_exit + self._drain()
        yield from self._spend(TimeCause.ORDINARY_EXIT, ticks)
        if self._sees_stop():
            yield from self._management_event()

    def _on_pause(self, cause: TimeCause, until: int) -> Process:
        """The vCPU thread leaves its CPU: SPE state is saved (22/35), so a pending S = 1 is too."""
        ticks = self.vm.costs.ordinary_exit + self._drain()
        yield from self._spend(TimeCause.ORDINARY_EXIT, ticks)
        if self._stopped:
            yield from self._management_event()
        if self._splits:
            yield from self._notice()
        arrival, anew = self._arrival, False
        if arrival is not None and cause is TimeCause.DOWNTIME:
            self._arrival = None
            anew = self._leave_host(arrival)
        yield from self._spend(cause, until - self._engine.now)
        if anew and self._buffer_enabled():
            yield from self._edges(was=False)

    def arrive(self, *, remote: bool) -> None:
        """The VM goes on on another host as soon as this vCPU has left the source."""
        self._arrival = Arrival(remote)
        if self.cpu.ended_at >= 0:  # it has left already
            self._leave_host(self._arrival)

    def _leave_host(self, arrival: Arrival) -> bool:
        """On the destination stage 2 is empty, unless all memory is populated before the VM runs
        there. True if the window has to be made ready anew."""
        sampler, absent = self._spu.sampler, self.stage2.absent
        absent.clear()  # what was swapped out has been read and sent
        if self.vm.policies.backing.populates:
            sampler.before_change()
            self.pages.map_all()
            sampler.on_change()
            return False
        self.drop_stage2()
        if arrival.remote:
            absent.update(dict.fromkeys(range(self.stage2.mapped.size), Absence.REMOTE))
        self._collect()
        self._spu.write_pmblimitr(self.pmblimitr.offset, enable=False)
        return True

    def drop_stage2(self) -> int:
        """Every entry and pin goes; returns how many buffer pages were mapped."""
        sampler = self._spu.sampler
        sampler.before_change()
        gone = self.pages.drop()
        sampler.on_change()
        self.pages.uncharge(self._last_enable)
        return gone

    def _on_pmbirq(self) -> Process:
        costs = self.vm.costs
        ticks = self.vm.policies.exceptions.exit_ticks(costs) + self._drain()
        yield from self._spend(TimeCause.HANDLER, ticks)
        if self._stopped:
            yield from self._management_event()
        if not self.vm.killed:
            yield from self._spend(TimeCause.HANDLER, costs.entry)

    def _management_event(self) -> Process:
        """Hardware S = 1: take PMBSR into memory, then respond."""
        status = self._spu.pmbsr_el2 if self._splits else self._spu.read_pmbsr()
        self._collect()
        self._spu.write_pmblimitr(self.pmblimitr.offset, enable=False)
        if self._splits:
            self._spu.clear_pmbsr_el2()
        else:
            self._spu.write_pmbsr(CLEAR)
        if not self.pmblimitr.enable:  # irq_only: the guest has closed the buffer in the meantime
            return
        if status.ec == EC_STAGE2_ABORT:
            yield from self._stage2_fault(status)
            return
        if self._is_bounce_full(status):
            yield from self._refill()
            return
        yield from self._disable_for(status)
        yield from self._inject(status)

    def _is_bounce_full(self, status: Pmbsr) -> bool:
        """KVM's buffer is full and the guest's is not."""
        full = status.ec == EC_BUFFER and status.mss == BSC_FULL
        room = not is_full(self.pmbptr, self.pmblimitr.offset, self.vm.sizes.record)
        return self.vm.policies.backing.bounces and full and room

    def _refill(self) -> Process:
        """Copy out and let the SPU go on: a blackout that baremetal does not have."""
        self.cpu.blame("bounce_full")
        yield from self._hook(self.vm.policies.on_bounce_full)
        self._spu.write_pmblimitr(self._hardware_limit(), enable=True)

    def _stage2_fault(self, status: Pmbsr) -> Process:
        self._fault_page = self.pmbptr // self.stage2.tables.granule
        self._data_lost = status.dl
        self._status = status.mss
        self.stage2.note_fault(self._fault_page)
        policies, fault = self.vm.policies, _FAULTS[status.mss & ~LEVELS]
        if fault is not Fault.TRANSLATION:
            self.cpu.blame(fault.name.lower())
        if policies.tells(pins_lost=self.pages.pins_lost, fault=fault):
            yield from self._disable_for(status)
        elif status.dl:
            self._rewind()
        yield from self._hook(policies.on_stage2_fault)
        if self._buffer_enabled() and not self.vm.killed:
            self._spu.write_pmblimitr(self.pmblimitr.offset, enable=True)

    def _rewind(self) -> None:
        """DL = 1: where the whole records end is unknown, so all since the guest last wrote PMBPTR
        are void, and the SPU begins there again."""
        voided = self._spu.void()
        self.cpu.log("VOIDED", voided)
        self.cpu.ledgers.delivery.voided_by_DL += voided
        self.pmbptr = self._programmed
        self._spu.write_pmbptr(self._programmed)

    def _disable_for(self, status: Pmbsr) -> Process:
        """S = 1 is a disable edge; the guest will see `status`."""
        was = self._buffer_enabled()
        self.pmbsr = status
        if was:
            yield from self._disable_edge()

    def _inject(self, status: Pmbsr) -> Process:
        """Raise the virtual PPI; it waits in the guest for PSTATE.I. Or write PMBSR_EL1."""
        self.pmbsr = status
        ticks = self.vm.policies.exceptions.inject_ticks(self.vm.costs)
        yield from self._spend(TimeCause.INJECT, ticks)
        self.cpu.virq = True

    def _collect(self) -> None:
        """The hardware's write pointer becomes the guest's (psb csync has drained)."""
        if self._spu.limit_enable:
            self.pmbptr = self._spu.sampler.pointer

    # --- effects -------------------------------------------------------------------------

    def _view(self) -> View:
        pages, window = self.pages, self.pages.window
        (pinned, to_pin), absent = pages.pins(), self.stage2.absent
        missing = self.stage2.missing(self._fault_page)
        to_copy = self._copy_bytes()
        copying = self._copy_pages() if to_copy else _NO_PAGES
        return View(
            window_pages=window.last - window.first,
            table_pages=window.tables,
            unmapped_pages=window.size - self.stage2.mapped_in(window),
            pinned_pages=pinned,
            missing_pages=len(missing),
            old_pages=len(self.stage2.old(self._fault_page)) if missing else 0,
            fault=_FAULTS[self._status & ~LEVELS],
            level=self._status & LEVELS,
            to_pin=to_pin,
            stale_pages=pinned - (window.size - to_pin),
            copy_bytes=to_copy,
            copy_missing=self.stage2.unmapped(copying).size if to_copy else 0,
            memory_pages=self.vm.sizes.memory // pages.granule,
            fault_wait=pages.wait_for(pages.missing(self._fault_page)) if absent else 0,
            window_wait=pages.wait_for(window.pages.tolist()) if absent else 0,
            copy_wait=pages.wait_for(copying.tolist()) if absent else 0,
            pins_lost=pages.pins_lost,
        )

    def _copy_bytes(self) -> int:
        return self.pmbptr - self._copied if self.vm.policies.backing.bounces else 0

    def _copy_pages(self) -> NDArray[np.int64]:
        """Guest pages, with their tables, that a copy of what has been written touches."""
        granule = self.stage2.tables.granule
        end = self._copied + self._copy_bytes()
        return self.stage2.window(self._copied // granule, div_up(end, granule)).pages

    def _apply(self, effect: Effect) -> None:
        """Apply an effect that takes no time of its own."""
        pages = self.pages
        match effect:
            case Effect.NONE:
                pass
            case Effect.PIN:
                pages.pin()
            case Effect.MAP:
                pages.map_window()
            case Effect.UNPIN:
                pages.unpin(self.stage2.vcpu)
            case Effect.UNPIN_STALE:
                pages.unpin(self.stage2.vcpu, keep=pages.window.pages)
            case Effect.UNMAP:
                pages.unmap_unpinned()
            case Effect.MAP_FAULTING:
                pages.fix(self._fault_page)
            case Effect.MARK_ACCESSED:
                pages.mark_accessed(self._fault_page)
            case Effect.INJECT_ERROR:
                self._inject_error()
            case Effect.POPULATE:
                pages.populate()
            case Effect.COPY:
                pages.map(self._copy_pages())
                self._copied = self.pmbptr

    def _charge(self) -> Generator[Event, Any, Outcome]:
        """Charge the window; over the limit KVM_RUN returns KVM_EXIT_RLIMIT to the VMM."""
        account = self.vm.account
        limit = account.limit
        excess = self.pages.charge()
        if not excess:
            self._reentries = 0
            return Outcome.DONE
        excess = self.vm.policies.charge.told(excess, self.pages.granule)
        account.counts.exits += 1
        account.counts.excess_bytes_max = max(account.counts.excess_bytes_max, excess)
        self.cpu.log("KVM_EXIT_RLIMIT", excess)
        run = uapi.kvm_run_rlimit(excess)
        yield from self._spend(TimeCause.VMM, self.vm.costs.vmm_exit)
        return (yield from self._answered(answer_exit(run, account, self.vm.policies, limit)))

    def _answered(self, reply: Reply) -> Generator[Event, Any, Outcome]:
        """The VMM has decided; its setrlimit, if any, takes effect when the call returns."""
        if reply.limit is not None:
            yield from self._spend(TimeCause.VMM, self.vm.costs.setrlimit)
            self.vm.account.set_limit(reply.limit)
        match reply.answer:
            case Answer.KILL:
                self.vm.kill("the VMM refused to raise RLIMIT_MEMLOCK and destroyed the VM")
            case Answer.RUN_UNPINNED:
                return Outcome.GIVEN_UP
            case Answer.ERROR_STATE:
                yield from self._inject(Pmbsr(s=True, ec=EC_BUFFER, mss=BSC_SIZE))
                return Outcome.GIVEN_UP
            case Answer.RETRY if reply.limit is None:
                self._watch_for_livelock()
        return Outcome.AGAIN

    def _watch_for_livelock(self) -> None:
        self._reentries += 1
        if self._reentries >= LIVELOCK_EXITS:
            self.vm.kill(
                f"live-lock: KVM_EXIT_RLIMIT {LIVELOCK_EXITS} times in a row, because the VMM "
                "enters again without raising the limit"
            )

    def _inject_error(self) -> None:
        """v5: a synthetic external abort, reported as a stage 1 abort; or an IMP DEF event."""
        policies = self.vm.policies
        said = policies.injected
        self.pmbsr = Pmbsr(
            s=True,
            ec=said.ec,
            mss=said.mss,
            ea=said.ea,
            dl=policies.injected_dl or self._data_lost,
        )
        self.cpu.virq = True
