"""Stops that are always handled the same way, in one call: stop, interrupt, handler, restart.

Between two events of the rest of the machine, a buffer that fills on bare metal, or a fault that
KVM fixes by mapping one page, changes nothing but this vCPU. Such a *round* needs no SimPy event:
the kernel draws the interrupt's latency, lets the CPU run on for that long, charges the handler's
time, programs the next window or maps the page, restarts the counter, and goes on sampling. A round
counts only if it is over strictly before the next event of the machine (on bare metal, where vCPUs
do not meet: of this vCPU), and only if nothing has to be decided: PMBIRQ is not masked where it
arrives, the next window is not truncated, the walk's table pages are mapped. Everything else is
left to `sim.cpu.core`, `sim.linux` and `sim.kvm`.

A part is asked where it stands before the rounds (`for_rounds`) and told what they have done
(`after_rounds`); the loop in between is `sim.machine.compiled`.

Fidelity note: no mechanism of its own; `tests/exact` holds it bit-identical to the other engine,
which takes every stop through those modules. Source of the idea: design §6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.cpu.core import Cpu
from sim.cpu.gic import Gic
from sim.cpu.ports import Standing
from sim.draws import signed
from sim.host.pressure import Touch
from sim.kvm.tables import Stage2
from sim.ledger import OpLabel, TimeCause
from sim.linux.aux import AuxRing, Transaction
from sim.linux.driver import SpeEvent
from sim.machine import compiled as c
from sim.machine.spec import Law, MachineSpec, by_status
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


class Rounds:
    """Runs the rounds of one vCPU and tells its parts what has gone by."""

    def __init__(
        self, parts: RoundParts, law: Law, key: int, full: Costs, fault: Costs, maskless: bool
    ) -> None:
        self._parts, self._full, self._fault = parts, full, fault
        self.rounds = 0
        engine, virtual = parts.cpu.engine, parts.stage2 is not None
        self._next_event, self._of = engine.next_event, None if virtual else parts.cpu.index
        geometry, stream = parts.ring.geometry, parts.cpu.stream
        mapped = parts.stage2.mapped if parts.stage2 else np.zeros(0, np.uint8)
        self._arrays = c.RoundArrays(
            np.array(law, np.int64),
            np.zeros(c.SIZE, np.int64),
            np.zeros((c.MAX_ROUNDS, c.FIELDS), np.int64),
            np.zeros((2, c.BLACKOUT), np.int64),
            mapped,
        )
        v = self._vector = self._arrays.vector.data
        v[c.FULL_TICKS] = sum(full.values()) if full else -1
        v[c.FAULT_TICKS] = sum(fault.values()) if fault else -1
        v[c.KEY_IRQ] = signed(key)
        v[c.AUX_SIZE], v[c.AUX_PAGE] = geometry.size, geometry.page
        v[c.WATERMARK] = geometry.watermark
        v[c.MASKLESS] = int(maskless or stream.never_masked)
        v[c.ALL_COUNTED], v[c.POP_IS_OP] = int(stream.all_counted), int(stream.pop_is_op)

    def advance(self, stream: Stream, arrays: KernelArrays, candidates: int, until: int) -> int:
        """Run ahead; the machine is then as if the SPU had just been restarted a last time."""
        v = self._vector
        self._load(v)
        v[c.BOUND] = until
        status = int(c.advance_rounds(stream.arrays, arrays, self._arrays, candidates))
        if v[c.FULLS] or v[c.FAULTS]:
            self._tell(v, int(arrays.saved[k.WRITTEN]))
        return status

    def _load(self, v: memoryview) -> None:
        parts = self._parts
        self._arrays.vector[c.COUNTS] = 0
        v[c.UNTIL] = self._next_event(self._of)
        v[c.OFFSET], v[c.RESUMED], v[c.FROM] = parts.cpu.for_rounds()
        v[c.ORDINAL] = parts.gic.ordinal
        v[c.HEAD], v[c.PAD], v[c.WAKEUP] = parts.ring.for_rounds()
        v[c.WINDOW] = parts.event.window_head
        v[c.CLEARED] = parts.spu.collisions_cleared

    def _tell(self, v: memoryview, written: int) -> None:
        """What `sim.cpu`, `sim.linux` and `sim.kvm` would have counted and kept."""
        parts = self._parts
        n = v[c.FULLS] + v[c.FAULTS]
        self.rounds += n
        rows = self._arrays.rounds[:n]
        ops = {
            OpLabel.PROFILED: v[c.PROFILED],
            OpLabel.NOT_IN_POPULATION: v[c.OTHERS],
            OpLabel.IRQ_DELIVERY_FULL: v[c.LOST_FULL],
            OpLabel.IRQ_DELIVERY_FAULT: v[c.LOST_FAULT],
        }
        stopped: Costs = {}
        for rounds, costs in ((v[c.FULLS], self._full), (v[c.FAULTS], self._fault)):
            for cause, ticks in costs.items():
                stopped[cause] = stopped.get(cause, 0) + rounds * ticks
        at = Standing(v[c.OFFSET], v[c.RESUMED], v[c.FROM])
        lost = rows[:, c.STOP : c.RESUME + 1]
        parts.cpu.after_rounds(at, ops, v[c.RUNNING], stopped, lost)
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
