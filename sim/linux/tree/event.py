"""A perf event whose driver is the kernel's own: `SpeEvent`'s place, with a `DriverProgram` in it.

The driver's accesses of PMBPTR, PMBLIMITR and PMBSR go to the same register port as those of our
driver, its sampling registers to the SPU; perf_aux_output_begin, _skip and _end are followed in the
ring, so that the reader and the ledgers see what they always see.

Fidelity note. Modelled: all that the tree's code does with the registers and the ring. Times are
those of our driver, at the same places: `t_driver_start` before the first sampling register is
written, `t_driver_stop` when pmu->stop is entered (not where a start fails), `t_irq_handler` before
the handler. Not modelled: code of the tree that takes longer or shorter than ours.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from simpy.events import Event

from sim.cpu.ports import Spend, VmKilledError
from sim.engine import Process
from sim.ledger import TimeCause
from sim.linux.aux import AuxRing
from sim.linux.driver import DriverCosts
from sim.linux.tree.program import DriverDiedError, DriverProgram, Message, Operation, SysReg, Told
from sim.spe.buffer import Pmbsr
from sim.spe.register_port import Limit, Reg, Registers, Value
from sim.spe.spu import Spu

_STOPPED = 1  # PERF_HES_STOPPED
_IRQ_NONE = 0
_LIMIT = ~0xFFF
_ENABLE, _DISCARD = 1, 0b10 << 1
_E0SPE_E1SPE = 0b11
_COUNT = (1 << 32) - 1
_ECOUNT_SHIFT = 56
_PORT = {
    SysReg.PMBPTR: Reg.PMBPTR,
    SysReg.PMBLIMITR: Reg.PMBLIMITR,
    SysReg.PMBSR: Reg.PMBSR,
}


@dataclass(frozen=True, slots=True)
class Around:
    """What is around a driver: the SPU and the port, the ring, its costs in ticks, the CPU's time
    and the engine's, and the task."""

    spu: Spu
    registers: Registers
    ring: AuxRing
    costs: DriverCosts
    spend: Spend
    now: Callable[[], int]
    tid: int
    wake: Callable[[], None]
    panic: Callable[[str], None]


class KernelEvent:
    """One perf event of a tree's arm_spe_pmu on one CPU; the attributes are `SpeEvent`'s."""

    def __init__(
        self, program: DriverProgram, around: Around, expected: dict[int, int] | None = None
    ) -> None:
        self._program, self._around, self._expected = program, around, expected
        self._area = program.area
        self._limit_enabled = False
        self._starting = False
        self._window_open = False
        self._recorded_before = 0
        self._flags: int | None = None
        self.tid = around.tid
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
        """pmu->add: the event is scheduled in."""
        if not (self.refused or self.off):
            self._starting = True
            yield from self._do(Operation.ADD)
            self._starting = False

    def enable(self) -> Process:
        """After PERF_EVENT_IOC_ENABLE: schedule the event in unless it is."""
        if self.stopped_state:
            yield from self.start()

    def stop(self) -> Process:
        """pmu->del: the event is scheduled out."""
        if not (self.refused or self.stopped_state):
            yield from self._do(Operation.DEL)

    def irq(self) -> Process:
        """PMBIRQ: the handler that the driver requested."""
        yield from self._around.spend(TimeCause.HANDLER, self._around.costs.handler)
        done = yield from self._do(Operation.INTERRUPT)
        self.spurious += done.b == _IRQ_NONE

    def finish(self, *, killed: bool) -> None:
        """perf record reads what is left; a window that nobody has closed stays unread."""
        if self._window_open:
            self._around.ring.abandon(self._around.spu.recorded - self._recorded_before)
        self._around.ring.finish(killed=killed)
        self._program.close()

    # --- an operation of the driver ------------------------------------------------------

    def _do(self, operation: Operation) -> Generator[Event, Any, Message]:
        """Let the driver run to its end; raises VmKilledError if it crashes: a panic."""
        try:
            self._program.ask(operation)
            while True:
                message = self._program.receive()
                if message.kind == Told.DONE:
                    break
                yield from self._serve(message)
        except DriverDiedError as error:
            self._around.panic(str(error))
            raise VmKilledError from error
        self.stopped_state = bool(message.a & _STOPPED)
        armed = self._around.spu.pmscr and self._limit_enabled
        self.disabled = self.off or not armed
        return message

    def _serve(self, message: Message) -> Process:
        ring, answer = self._around.ring, self._program.answer
        match message.kind:
            case Told.READ:
                value = yield from self._read(message.a)
                answer(value)
            case Told.WRITE:
                yield from self._write(message.a, message.b)
                answer(0)
            case Told.BEGIN:
                answer(ring.follow_begin())
            case Told.SKIP:
                ring.follow_skip(message.a)
            case Told.AUX:
                self._flags = message.c
            case Told.ENDED:
                self._ended(message.a)
            case Told.STOPPING:
                if message.a or not self._starting:
                    costs = self._around.costs
                    yield from self._around.spend(TimeCause.GUEST_KERNEL, costs.stop)
                answer(0)
            case Told.OFF:
                self.off = True
            case Told.WAKE:
                self._around.wake()
                answer(0)

    def _ended(self, size: int) -> None:
        """perf_aux_output_end: `_flags` are those of its PERF_RECORD_AUX, None without one."""
        records = 0
        if self._window_open:
            records = self._around.spu.recorded - self._recorded_before
            self._window_open = False
        flags, self._flags = self._flags, None
        self._around.ring.follow_end(size, records, flags, self.tid, self._around.now())

    # --- registers -----------------------------------------------------------------------

    def _read(self, number: int) -> Generator[Event, Any, int]:
        reg = _known(number)
        port = _PORT.get(reg)
        if port is None:
            return self._read_sampling(reg)
        value = yield from self._around.registers.read(port)
        match value:
            case Pmbsr():
                return value.encode()
            case Limit():
                return self._area + value.offset | int(value.enable)
            case _:
                return self._area + value

    def _read_sampling(self, reg: SysReg) -> int:
        spu = self._around.spu
        if reg == SysReg.PMSICR:
            count, ecount = spu.read_pmsicr()
            return count | ecount << _ECOUNT_SHIFT
        if reg == SysReg.PMSCR:
            return _E0SPE_E1SPE * spu.pmscr
        return (self._expected or {}).get(reg, 0)

    def _write(self, number: int, value: int) -> Process:
        reg = _known(number)
        port = _PORT.get(reg)
        if port is None:
            yield from self._write_sampling(reg, value)
            return
        written = self._written(port, value)
        if isinstance(written, int):
            self._around.ring.follow_window(written)
        yield from self._around.registers.write(port, written)
        if isinstance(written, Limit):
            self._limit_enabled = written.enable
            if written.enable and not written.discard:
                self._window_open = True
                self._recorded_before = self._around.spu.recorded

    def _written(self, port: Reg, value: int) -> Value:
        match port:
            case Reg.PMBPTR:
                return value - self._area
            case Reg.PMBSR:
                return Pmbsr.decode(value)
            case Reg.PMBLIMITR:
                if not value & _ENABLE:
                    return Limit(0, enable=False)
                if value & _DISCARD:
                    return Limit(0, enable=True, discard=True)
                return Limit((value & _LIMIT) - self._area, enable=True)

    def _write_sampling(self, reg: SysReg, value: int) -> Process:
        spu = self._around.spu
        if self._starting and (reg != SysReg.PMSCR or value):
            self._starting = False
            yield from self._around.spend(TimeCause.GUEST_KERNEL, self._around.costs.start)
        if reg == SysReg.PMSICR:
            spu.write_pmsicr(value & _COUNT, value >> _ECOUNT_SHIFT)
        elif reg == SysReg.PMSCR:
            spu.pmscr = bool(value & _E0SPE_E1SPE)
        elif self._expected is not None and self._expected.get(reg, 0) != value:
            raise DriverDiedError(
                f"the driver writes {value:#x} to {reg.name}_EL1, and had "
                f"{self._expected.get(reg, 0):#x} there at its first start: speskew does not model "
                "an event that changes its sampling while it runs"
            )


def _known(number: int) -> SysReg:
    try:
        return SysReg(number)
    except ValueError:
        fields = (number >> 19 & 3, number >> 16 & 7, number >> 12 & 15, number >> 8 & 15)
        name = ", ".join(map(str, (*fields, number >> 5 & 7)))
        raise DriverDiedError(
            f"the driver accesses sys_reg({name}), which is no register of SPE that speskew has"
        ) from None
