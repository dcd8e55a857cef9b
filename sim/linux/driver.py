"""The guest's SPE driver, drivers/perf/arm_spe_pmu.c: start, stop and the interrupt handler.

The same code in every arm. It writes PMBPTR, PMBLIMITR and PMBSR through a `Registers` port: direct
on baremetal, a trap in a VM, so trap counts emerge; the sampling registers (PMSCR, PMSICR, PMSIRR)
are never trapped.

Fidelity note. Modelled: period rounding (6.1 to 6.12: below min_interval → min_interval, then down
to 256), the first interval (PMSICR = attr.sample_period), PMSICR saved per event, window choice,
FATAL on any abort (profiling off until the next start), silent failure of perf_aux_output_begin
(the event is STOPPED; a later stop() returns early). The handler's duration is a parameter
(`t_irq_handler`, estimate); start and stop are UNVERIFIED. Not modelled: DL → TRUNCATED | PARTIAL,
snapshot and discard modes, inherited events.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from simpy.events import Event

from sim.engine import Process
from sim.ledger import TimeCause
from sim.linux.aux import AuxFlag, AuxRing, Window
from sim.spe.buffer import BSC_FULL, CLEAR, EC_BUFFER, Pmbsr
from sim.spe.port import Limit, Reg, Registers
from sim.spe.spu import Spu

MAX_PERIOD = 0xFFFF_FF00
PERIOD_QUANTUM = 256


def sanitise_period(period: int, min_interval: int) -> int:
    """arm_spe_event_sanitise_period: clamp, then round down to the register's quantum."""
    clamped = min(max(period, min_interval), MAX_PERIOD)
    return clamped - clamped % PERIOD_QUANTUM


@dataclass(frozen=True, slots=True)
class DriverCosts:
    """Ticks of the driver's three operations, traps not included."""

    start: int
    stop: int
    handler: int


class SpeEvent:
    """One perf event of arm_spe_pmu on one CPU (struct perf_event, hw_perf_event)."""

    def __init__(
        self, spu: Spu, registers: Registers, ring: AuxRing, period: int, costs: DriverCosts,
        spend: Callable[[TimeCause, int], Process], now: Callable[[], int], tid: int,
    ) -> None:  # fmt: skip
        self._spu, self._registers, self._ring, self._costs = spu, registers, ring, costs
        self._spend, self._now, self._tid = spend, now, tid
        self._period_left: tuple[int, int] = (period, 0)
        self._head = 0
        self._window_open = False
        self._written_before = 0
        self.started = False
        self.refused = False
        self.disabled = False
        self.stopped_state = True
        self.spurious = 0

    def start(self) -> Process:
        """arm_spe_pmu_start: window, then filters, interval, and PMSCR last."""
        if self.refused:
            return
        self.disabled = False
        if not (yield from self._output_begin()):
            return
        self.stopped_state = False
        yield from self._spend(TimeCause.GUEST_KERNEL, self._costs.start)
        self._spu.write_pmsicr(*self._period_left)
        self._spu.pmscr = True

    def stop(self) -> Process:
        """arm_spe_pmu_stop: drain, end the AUX transaction, save PMSICR."""
        if self.refused or self.stopped_state:
            return
        self.stopped_state = True
        self._spu.pmscr = False
        yield from self._spend(TimeCause.GUEST_KERNEL, self._costs.stop)
        yield from self._registers.write(Reg.PMBLIMITR, Limit(0, enable=False))
        status = yield from self._registers.read(Reg.PMBSR)
        pointer = yield from self._registers.read(Reg.PMBPTR)
        assert isinstance(status, Pmbsr)
        assert isinstance(pointer, int)
        if not self.disabled:
            self._output_end(pointer, _flags(status) if status.s else 0)
        if status.s:
            yield from self._registers.write(Reg.PMBSR, CLEAR)
        self._period_left = self._spu.read_pmsicr()

    def irq(self) -> Process:
        """arm_spe_pmu_irq_handler."""
        yield from self._spend(TimeCause.HANDLER, self._costs.handler)
        status = yield from self._registers.read(Reg.PMBSR)
        assert isinstance(status, Pmbsr)
        if not status.s:
            self.spurious += 1
            return
        pointer = yield from self._registers.read(Reg.PMBPTR)
        assert isinstance(pointer, int)
        self._output_end(pointer, _flags(status))
        if is_fatal(status):
            yield from self._disable_and_drain()
        elif not (yield from self._output_begin()):
            self._spu.pmscr = False
        yield from self._registers.write(Reg.PMBSR, CLEAR)

    def finish(self) -> None:
        """perf record reads what is left; a window that nobody has closed stays unread."""
        if self._window_open:
            self._ring.abandon(self._spu.sampler.written() - self._written_before)
        self._ring.finish()

    def _disable_and_drain(self) -> Process:
        """FATAL: the buffer stays off until the next start."""
        self._spu.pmscr = False
        yield from self._registers.write(Reg.PMBLIMITR, Limit(0, enable=False))
        self.disabled = True

    def _output_begin(self) -> Generator[Event, Any, bool]:
        window = self._ring.begin()
        if window is None or window.truncated:
            yield from self._registers.write(Reg.PMBLIMITR, Limit(0, enable=False))
            self._silent_failure(window)
            return False
        self._head = window.head
        yield from self._registers.write(Reg.PMBPTR, window.head)
        yield from self._registers.write(Reg.PMBLIMITR, Limit(window.limit, enable=True))
        self._window_open = True
        self._written_before = self._spu.sampler.written()
        return True

    def _silent_failure(self, window: Window | None) -> None:
        """No room: the event is STOPPED; only a TRUNCATED window leaves an AUX record."""
        self.disabled = self.stopped_state = True
        if window is not None:
            self._ring.end(0, AuxFlag.TRUNCATED, self._tid, self._now())

    def _output_end(self, pointer: int, flags: int) -> None:
        self._window_open = False
        self._ring.end(pointer - self._head, flags, self._tid, self._now())


def is_fatal(status: Pmbsr) -> bool:
    """Anything but a full buffer: "Unexpected buffer fault", profiling stays off."""
    return status.ec != EC_BUFFER or status.mss != BSC_FULL


def _flags(status: Pmbsr) -> int:
    flags = _CORRUPT if status.dl else 0
    return flags | _COLLISION if status.coll else flags


_CORRUPT = int(AuxFlag.TRUNCATED | AuxFlag.PARTIAL)
_COLLISION = int(AuxFlag.COLLISION)
