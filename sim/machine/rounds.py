"""Stops that are always handled the same way, in one call: stop, interrupt, handler, restart.

Between two events of the rest of the machine, a buffer that fills on bare metal, or a fault that
KVM fixes by mapping one page, changes nothing but this vCPU. Such a *round* needs no SimPy event:
the kernel draws the interrupt's latency, lets the CPU run on for that long, charges the handler's
time, programs the next window or maps the page, restarts the counter, and goes on sampling. A round
counts only if it is over strictly before the next event of the machine (on bare metal, where vCPUs
do not meet: of this vCPU), and only if nothing has to be decided: PMBIRQ is not masked where it
arrives, the next window is not truncated, the walk's table pages are mapped. Everything else is
left to `sim.cpu.core`, `sim.linux` and `sim.kvm`.

An ordinary exit while profiling is enabled is such a round too, in every design: the CPU freezes,
the sample in flight completes, the exit takes its time, the counter goes on. It concerns no other
vCPU, so only this one's events end it, where no other vCPU can stop this one (`_reaches_others`).
The events of the next exit and of the stream's next position are taken back for the call and set
again where they are then.

A part is asked where it stands before the rounds (`for_rounds`) and told what they have done
(`after_rounds`); the loop in between is `sim.machine.compiled`.

Fidelity note: no mechanism of its own; `tests/exact` holds it bit-identical to the other engine,
which takes every stop through those modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.cpu.core import Cpu
from sim.cpu.gic import Gic
from sim.cpu.ports import Standing
from sim.draws import quick, signed
from sim.engine import FOREVER, Engine
from sim.host.pressure import Touch
from sim.kvm.tables import Stage2, stage1_tables
from sim.ledger import OpLabel, TimeCause
from sim.linux.aux import AuxRing, Transaction
from sim.linux.driver import SpeEvent
from sim.machine import compiled as c
from sim.machine.disturbances import OrdinaryExits
from sim.machine.spec import Law, MachineSpec, by_status, zaps_records
from sim.policies.exceptions import Masking
from sim.results import HIST_BINS, Blackouts
from sim.spe import compiled as k
from sim.spe.ahead import KernelArrays
from sim.spe.spu import Spu
from sim.workload.arrays import Stream

Costs = dict[TimeCause, int]
"""CPU time of a round by cause, ticks; empty if such rounds are not served here."""


@dataclass(frozen=True, slots=True)
class RoundParts:
    """What a round touches."""

    cpu: Cpu
    gic: Gic
    spu: Spu
    event: SpeEvent
    ring: AuxRing
    stage2: Stage2 | None
    exits: OrdinaryExits | None


@dataclass(frozen=True, slots=True)
class RoundCosts:
    """CPU time of a round; empty if such rounds are not served here."""

    full: Costs
    fault: Costs
    exit: Costs

    @staticmethod
    def of(spec: MachineSpec) -> RoundCosts:
        """Of every vCPU of a machine."""
        return RoundCosts(full_costs(spec), fault_costs(spec), exit_costs(spec))

    def __bool__(self) -> bool:
        return bool(self.full or self.fault or self.exit)


class Rounds:
    """Runs the rounds of one vCPU and tells its parts what has gone by; `alone`: it is its VM's
    only one."""

    def __init__(
        self, parts: RoundParts, law: Law, key: int, costs: RoundCosts, maskless: bool, alone: bool
    ) -> None:
        self._parts, self._costs, self._alone = parts, costs, alone
        self._exits = parts.exits if costs.exit else None
        self.rounds = 0
        self._engine: Engine = parts.cpu.engine
        geometry, stream = parts.ring.geometry, parts.cpu.stream
        mapped = parts.stage2.mapped if parts.stage2 else np.zeros(0, np.uint8)
        self._arrays = c.RoundArrays(
            np.array(law, np.int64),
            np.array(self._exits.law if self._exits else (0,), np.int64),
            np.zeros(c.SIZE, np.int64),
            np.zeros((c.MAX_ROUNDS, c.FIELDS), np.int64),
            np.zeros((2, c.BLACKOUT), np.int64),
            mapped,
            np.zeros(k.STATE_SIZE, np.int64),
        )
        v = self._vector = self._arrays.vector.data
        v[c.FULL_TICKS] = sum(costs.full.values()) if costs.full else -1
        v[c.FAULT_TICKS] = sum(costs.fault.values()) if costs.fault else -1
        v[c.EXIT_TICKS] = sum(costs.exit.values())
        v[c.KEY_IRQ] = signed(key)
        v[c.KEY_EXITS] = signed(self._exits.key) if self._exits else 0
        v[c.AUX_SIZE], v[c.AUX_PAGE] = geometry.size, geometry.page
        v[c.WATERMARK] = geometry.watermark
        v[c.MASKLESS] = int(maskless or stream.never_masked)
        v[c.ALL_COUNTED], v[c.POP_IS_OP] = int(stream.all_counted), int(stream.pop_is_op)

    def advance(self, stream: Stream, arrays: KernelArrays, candidates: int) -> tuple[int, int]:
        """Run ahead; the machine is then as if the SPU had just been restarted a last time."""
        v, moving = self._vector, self._engine.peek() > self._engine.now
        self._load(v)
        self._disarm(v, moving=moving)
        self._look_ahead(v)
        run = quick(c.advance_rounds if arrays.tracked is None else c.advance_special)
        status = int(run(stream.arrays, arrays, self._arrays, candidates))
        if v[c.FULLS] or v[c.FAULTS] or v[c.EXITS]:
            self._tell(v, int(arrays.saved[k.WRITTEN]))
        until = min(v[c.BOUND], v[c.EXIT])
        if moving:
            until = min(until, self._arm(v))
        return status, until

    def _disarm(self, v: memoryview, *, moving: bool) -> None:
        """Take the events back that rounds move; what is due at this instant stays."""
        v[c.ALARM] = v[c.EXIT] = FOREVER
        if not moving:
            return
        v[c.ALARM] = self._parts.cpu.alarm.position
        self._parts.cpu.alarm.disarm()
        if self._exits is not None:
            v[c.EXIT], v[c.NTH_EXIT] = self._exits.due, self._exits.ordinal
            self._exits.disarm()

    def _arm(self, v: memoryview) -> int:
        """Set them again; returns when the alarm is due."""
        if self._exits is not None:
            self._exits.after_rounds(v[c.NTH_EXIT], v[c.EXIT])
            self._exits.arm()
        self._parts.cpu.alarm.arm()
        return FOREVER if v[c.ALARM] == FOREVER else v[c.ALARM] + v[c.OFFSET]

    def _look_ahead(self, v: memoryview) -> None:
        """How far samples are made, and when rounds have to be over."""
        engine, vcpu = self._engine, self._parts.cpu.index
        v[c.BOUND] = engine.next_due(vcpu)
        v[c.ALONE] = engine.alone_until(vcpu)
        if self._alone:
            v[c.UNTIL] = v[c.ALONE]
        else:
            v[c.UNTIL] = engine.next_event(None if self._parts.stage2 else vcpu)

    def _load(self, v: memoryview) -> None:
        parts = self._parts
        self._arrays.vector[c.COUNTS] = 0
        v[c.OFFSET], v[c.RESUMED], v[c.FROM] = parts.cpu.for_rounds()
        v[c.ORDINAL] = parts.gic.ordinal
        v[c.HEAD], v[c.PAD], v[c.WAKEUP] = parts.ring.for_rounds()
        v[c.WINDOW] = parts.event.window_head
        v[c.CLEARED] = parts.spu.collisions_cleared

    def _tell(self, v: memoryview, written: int) -> None:
        """What `sim.cpu`, `sim.linux` and `sim.kvm` would have counted and kept."""
        parts = self._parts
        n = v[c.FULLS] + v[c.FAULTS]
        self.rounds += n + v[c.EXITS]
        rows = self._arrays.rounds[:n]
        ops = {
            OpLabel.PROFILED: v[c.PROFILED],
            OpLabel.NOT_IN_POPULATION: v[c.OTHERS],
            OpLabel.IRQ_DELIVERY_FULL: v[c.LOST_FULL],
            OpLabel.IRQ_DELIVERY_FAULT: v[c.LOST_FAULT],
        }
        stopped: Costs = {}
        served = ((c.FULLS, self._costs.full), (c.FAULTS, self._costs.fault))
        for counter, costs in (*served, (c.EXITS, self._costs.exit)):
            rounds = v[counter]
            for cause, ticks in costs.items():
                stopped[cause] = stopped.get(cause, 0) + rounds * ticks
        at = Standing(v[c.OFFSET], v[c.RESUMED], v[c.FROM])
        lost = rows[:, c.STOP : c.RESUME + 1]
        parts.cpu.after_rounds(at, ops, v[c.RUNNING], stopped, lost, v[c.EXITS])
        parts.gic.after_rounds(v[c.ORDINAL])
        parts.spu.after_rounds(n, v[c.CLEARED])
        if v[c.FULLS]:
            parts.event.after_rounds(v[c.WINDOW], written)
            opened = Transaction(v[c.HEAD], v[c.PAD], v[c.WAKEUP])
            collisions = int(np.count_nonzero((rows[:, c.LENGTH] > 0) & (rows[:, c.FLAGS] > 0)))
            parts.ring.after_rounds(opened, v[c.BYTES], v[c.FULLS], collisions, self._closed(rows))

    def _closed(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, ...]]:
        """Rows of the AUX transactions that were ended."""
        tid, record = self._parts.event.tid, self._parts.ring.geometry.record
        for row in rows[rows[:, c.LENGTH] > 0].tolist():
            records = (row[c.LENGTH] - row[c.PADDED]) // record
            closed = (row[c.CLOSED], row[c.LENGTH], row[c.PADDED], row[c.FLAGS], row[c.ENDED])
            yield (tid, *closed, records)

    def close(self) -> None:
        """Blackouts go to the CPU's, at the end of a run."""
        for cause, account in zip(("full", "fault"), self._arrays.blackouts, strict=True):
            if account[c.COUNT]:
                self._parts.cpu.add_blackouts(cause, _as_blackouts(account))


def _as_blackouts(account: NDArray[np.int64]) -> Blackouts:
    histograms = account[c.HISTOGRAMS :].reshape(2, HIST_BINS)
    ops, ticks = ({int(b): int(h[b]) for b in np.flatnonzero(h)} for h in histograms)
    count, lost, length, lost_max, length_max = account[: c.HISTOGRAMS].tolist()
    return Blackouts(count, lost, length, lost_max, length_max, ops, ticks)


# --- which stops need no decision ------------------------------------------------------------


def full_costs(spec: MachineSpec) -> Costs:
    """A full buffer on bare metal, with a reader that is never behind."""
    event = spec.event
    if spec.policies.virtual or event.reader or event.snapshot or event.rules.discard:
        return {}
    if spec.policies.bundle.exceptions.masking is Masking.KERNEL:
        return {}
    return {TimeCause.HANDLER: event.driver.handler}


def fault_costs(spec: MachineSpec) -> Costs:
    """A fault that KVM fixes by mapping the page; the guest never knows."""
    policies, costs = spec.policies.bundle, spec.vm.kvm
    rewinds = spec.spu.data_loss_per_mille > 0
    if not policies.fixes_alone or rewinds:
        return {}
    told = spec.host.memslot_changes > 0 and policies.tells(pins_lost=True)
    if _waits(spec) or told or by_status(spec):
        return {}
    return {
        TimeCause.HANDLER: policies.exceptions.exit_ticks(costs) + costs.drain + costs.entry,
        TimeCause.FAULT: costs.fault,
    }


def _waits(spec: MachineSpec) -> bool:
    """May fixing a fault take longer: for a page to come back, for another vCPU's mmu_lock?"""
    host = spec.host
    swaps = (Touch.SWAP_OUT, Touch.UNMAP_THEN_SWAP)
    swapping = any(p.touch in swaps for p in host.pressures)
    remote = host.migration is not None and host.migration.post_copy
    return swapping or remote or (spec.vcpus > 1 and spec.policies.unmap_on_unpin)


def exit_costs(spec: MachineSpec) -> Costs:
    """An ordinary exit that finds S = 0."""
    costs = spec.vm.kvm
    if not spec.policies.virtual or spec.vm.exits is None or _reaches_others(spec):
        return {}
    if zaps_records(spec) or spec.spu.data_loss_per_mille > 0:
        return {}
    return {TimeCause.ORDINARY_EXIT: costs.ordinary_exit + costs.drain}


def _reaches_others(spec: MachineSpec) -> bool:
    """May something stop a vCPU that is none of its own events: the host, or the VM's end?"""
    if spec.vcpus == 1:
        return False
    host, policies, vm = spec.host, spec.policies.bundle, spec.vm
    if host.migration is not None or 0 < host.physical_cpus < spec.vcpus:
        return True
    charged = policies.backing.pins_windows and policies.accounting.charges and not vm.cap_ipc_lock
    return charged and _most_locked(spec) > vm.memlock


def _most_locked(spec: MachineSpec) -> int:
    """Bytes that a VM has locked at most: every vCPU pins its whole ring, on all that its task
    visits, or has that charged which it was configured with."""
    event, limit = spec.event, spec.vm.max_buffer
    ring = stage1_tables(event.aux_va, event.aux.size, spec.granule).total * spec.granule
    return spec.vcpus * spec.task.visits * max(ring, limit if limit < FOREVER else 0)
