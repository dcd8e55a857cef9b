"""The guest's SPE driver, drivers/perf/arm_spe_pmu.c: start, stop and the interrupt handler.

The same code in every arm. It writes PMBPTR, PMBLIMITR and PMBSR through a `Registers` port: direct
on baremetal, a trap in a VM, so trap counts emerge; the sampling registers (PMSCR, PMSICR, PMSIRR)
are never trapped.

Fidelity note. Modelled, from drivers/perf/arm_spe_pmu.c and kernel/events/ring_buffer.c: period
rounding (below min_interval → min_interval, in 7.x → 256, then down to 256), the life of PMSICR
(see docs/background/pmsicr.md), window choice, AUX flags, FATAL on anything but a full buffer
(profiling off until the next start), disabling through irq_work on TRUNCATED or a full ring until
the reader's PERF_EVENT_IOC_ENABLE, the failure of perf_aux_output_begin in the two versions that
differ, snapshot and discard mode. Times: `t_irq_handler` is an estimate; `t_driver_start` and
`t_driver_stop` are UNVERIFIED. Not modelled: inherited events, PERF_EVENT_IOC_PERIOD, and the rate-
limited error message of the FATAL path, which reads PMBPTR and PMBLIMITR once more.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from simpy.events import Event

from sim.cpu.ports import Spend
from sim.engine import Process
from sim.ledger import TimeCause
from sim.linux.aux import TRUNCATED, AuxFlag, AuxRing
from sim.spe.buffer import BSC_FULL, CLEAR, EC_BUFFER, Pmbsr
from sim.spe.register_port import Limit, Reg, Registers
from sim.spe.spu import Spu

MAX_PERIOD = 0xFFFF_FF00
PERIOD_QUANTUM = 256


def least_period(version: str, min_interval: int) -> int:
    """What a driver raises shorter periods to, ops: PMSIDR_EL1.Interval, which 7.x takes for a
    recommendation: it warns, and raises to one step of the register only."""
    return PERIOD_QUANTUM if version == "7.x" else min_interval


def sanitise_period(period: int, min_interval: int) -> int:
    """arm_spe_event_sanitise_period: clamp to `least_period`, then round down to the quantum."""
    clamped = min(max(period, min_interval), MAX_PERIOD)
    return clamped - clamped % PERIOD_QUANTUM


@dataclass(frozen=True, slots=True)
class DriverCosts:
    """Ticks of the driver's three operations, traps not included."""

    start: int
    stop: int
    handler: int


@dataclass(frozen=True, slots=True)
class DriverRules:
    """What differs between driver versions and events.

    `stops_on_failure`: 6.12 and newer stop the event when output_begin fails, which saves PMSICR in
    the handler; 6.1 only marks it STOPPED. `discard`: attr.config bit 35, PMBLIMITR.FM = DISCARD.
    """

    stops_on_failure: bool = False
    discard: bool = False


def _nobody() -> None:
    """No reader is to be woken."""


class SpeEvent:
    """One perf event of arm_spe_pmu on one CPU (struct perf_event, hw_perf_event).

    `spend` is the CPU's time, `now` the engine's; `wake` is what irq_work does for the reader.

    `stopped_state` is PERF_HES_STOPPED, `off` is PERF_EVENT_STATE_OFF; `disabled` says that the
    event does not profile although it was started.
    """

    def __init__(
        self,
        spu: Spu,
        registers: Registers,
        ring: AuxRing,
        period: int,
        costs: DriverCosts,
        spend: Spend,
        now: Callable[[], int],
        tid: int,
        rules: DriverRules = DriverRules(),
        wake: Callable[[], None] = _nobody,
    ) -> None:
        self._spu, self._registers, self._ring, self._costs = spu, registers, ring, costs
        self._spend, self._now, self.tid, self._rules = spend, now, tid, rules
        self._wake = wake
        self._period_left: tuple[int, int] = (period, 0)
        self.window_head = 0
        self._window_open = False
        self._pending_disable = False
        self._recorded_before = 0
        self.started = False
        self.refused = False
        self.disabled = False
        self.off = False
        self.stopped_state = True
        self.spurious = 0

    def refuse(self) -> None:
        """The buffer could not be charged: this vCPU has no SPE, and the event stays off."""
        self.refused = True

    def start(self) -> Process:
        """arm_spe_pmu_start: window, then filters, interval, and PMSCR last."""
        if self.refused or self.off:
            return
        self.disabled = self.stopped_state = False
        begun = yield from self._output_begin()
        if not begun and self._rules.stops_on_failure:  # stop(event, 0): PMSICR is not saved
            yield from self._disable_and_drain()
            self.stopped_state = True
        if not self.stopped_state:
            yield from self._spend(TimeCause.GUEST_KERNEL, self._costs.start)
            self._spu.write_pmsicr(*self._period_left)
            self._spu.pmscr = True
        yield from self._irq_work()

    def enable(self) -> Process:
        """After PERF_EVENT_IOC_ENABLE: schedule the event in unless it is."""
        if self.stopped_state:
            yield from self.start()

    def stop(self) -> Process:
        """pmu->del, then the irq_work that it raised."""
        yield from self._stop()
        yield from self._irq_work()

    def _stop(self) -> Process:
        """arm_spe_pmu_stop(UPDATE): drain, end the AUX transaction, save PMSICR."""
        if self.refused or self.stopped_state:
            return
        yield from self._spend(TimeCause.GUEST_KERNEL, self._costs.stop)
        yield from self._disable_and_drain()
        if self._window_open:
            status, pointer = yield from self._status_and_pointer()
            self._output_end(pointer, _flags(status) if status.s else 0)
            if status.s:
                yield from self._registers.write(Reg.PMBSR, CLEAR)
        self._period_left = self._spu.read_pmsicr()
        self.stopped_state = True

    def irq(self) -> Process:
        """arm_spe_pmu_irq_handler; without an open transaction it looks at nothing (IRQ_NONE)."""
        yield from self._spend(TimeCause.HANDLER, self._costs.handler)
        if not self._window_open:
            self.spurious += 1
            return
        status = yield from self._registers.read(Reg.PMBSR)
        assert isinstance(status, Pmbsr)
        if not status.s:
            self.spurious += 1
            return
        pointer = yield from self._registers.read(Reg.PMBPTR)
        assert isinstance(pointer, int)
        flags = _flags(status)
        self._output_end(pointer, flags)
        yield from self._irq_work()
        if is_fatal(status):
            yield from self._disable_and_drain()
            self.disabled = True
        elif not flags & TRUNCATED:
            begun = yield from self._output_begin()
            if not begun and self._rules.stops_on_failure:
                yield from self._stop()  # its irq_work runs when interrupts are enabled again
        yield from self._registers.write(Reg.PMBSR, CLEAR)
        if self._pending_disable or self._ring.wake_due:
            yield from self._irq_work()

    def finish(self, *, killed: bool) -> None:
        """perf record reads what is left; a window that nobody has closed stays unread."""
        if self._window_open:
            self._ring.abandon(self._spu.recorded - self._recorded_before)
        self._ring.finish(killed=killed)

    def after_rounds(self, head: int, written: int) -> None:
        """`sim.machine.rounds` has served interrupts: the window open now begins at offset `head`,
        with `written` records before it.
        """
        self.window_head, self._recorded_before = head, written

    def _status_and_pointer(self) -> Generator[Event, Any, tuple[Pmbsr, int]]:
        status = yield from self._registers.read(Reg.PMBSR)
        pointer = yield from self._registers.read(Reg.PMBPTR)
        assert isinstance(status, Pmbsr)
        assert isinstance(pointer, int)
        return status, pointer

    def _disable_and_drain(self) -> Process:
        """arm_spe_pmu_disable_and_drain_local: PMSCR = 0, PSB CSYNC, PMBLIMITR = 0."""
        self._spu.pmscr = False
        yield from self._registers.write(Reg.PMBLIMITR, OFF)

    def _output_begin(self) -> Generator[Event, Any, bool]:
        """arm_spe_perf_aux_output_begin; false if the buffer stays off."""
        if self._rules.discard:
            yield from self._registers.write(Reg.PMBLIMITR, DISCARD)
            return True
        window = self._ring.begin()
        if window is None:
            yield from self._no_handle()
            return False
        self.window_head = window.head
        if window.truncated:
            self._ring.end(0, TRUNCATED, self.tid, self._now())
            self._pending_disable = self.disabled = True
        yield from self._registers.write(Reg.PMBPTR, window.head)
        limit = OFF if window.truncated else Limit(window.limit, enable=True)
        yield from self._registers.write(Reg.PMBLIMITR, limit)
        if window.truncated:
            return False
        self._window_open = True
        self._recorded_before = self._spu.recorded
        return True

    def _no_handle(self) -> Process:
        """The ring is full: no AUX record, no flag; the event will be disabled."""
        self._pending_disable = self.disabled = True
        self.stopped_state = not self._rules.stops_on_failure
        yield from self._registers.write(Reg.PMBLIMITR, OFF)

    def _output_end(self, pointer: int, flags: int) -> None:
        self._window_open = False
        if flags & TRUNCATED:
            self._pending_disable = True
        records = self._spu.recorded - self._recorded_before
        self._ring.end(pointer - self.window_head, flags, self.tid, self._now(), records)

    def _irq_work(self) -> Process:
        """perf_pending_event: disable the event if its output was truncated, then wake perf."""
        if self._pending_disable:
            self._pending_disable = False
            self.off = self.disabled = True
            yield from self.stop()
        if self._ring.wake_due:
            self._ring.wake_due = False
            self._wake()


def is_fatal(status: Pmbsr) -> bool:
    """Anything but a full buffer: "Unexpected buffer fault", profiling stays off."""
    return status.ec != EC_BUFFER or status.mss != BSC_FULL


def _flags(status: Pmbsr) -> int:
    flags = _CORRUPT if status.dl else 0
    return flags | _COLLISION if status.coll else flags


OFF = Limit(0, enable=False)
DISCARD = Limit(0, enable=True, discard=True)
_CORRUPT = TRUNCATED | int(AuxFlag.PARTIAL)
_COLLISION = int(AuxFlag.COLLISION)
