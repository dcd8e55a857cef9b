"""`perf record`'s reader of one AUX ring: woken, copies, moves aux_tail, enables the event again.

Fidelity note. Modelled: the loop of tools/perf's record__mmap_read_all and auxtrace_mmap__read: on
a wake-up everything up to aux_head is copied, then aux_tail moves, then PERF_EVENT_IOC_ENABLE
(read_finish), which brings back an event that irq_work has disabled; again, until nothing is new.
The new tail takes effect at the next perf_aux_output_begin. On another CPU the reader costs the
task nothing; on the task's own CPU it preempts it: the event is stopped and started (which unpins
and pins in v6) unless it profiles the CPU. Each ring has its own reader: one perf record that
serves several rings in turn, and its own samples in `mode: cpu`, are not modelled. The times
`t_reader_wakeup` and `t_reader_enable` are UNVERIFIED, `t_reader_copy` is derived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from simpy.events import Event

from sim.cpu.ports import PreemptingReader
from sim.engine import Engine, Kind, Process
from sim.linux.aux import AuxRing
from sim.units import div_up

COPY_UNIT = 4096
"""Bytes that `ReaderSpec.copy` is the time of."""


@dataclass(frozen=True, slots=True)
class ReaderSpec:
    """How the ring is read; times in ticks, `copy` per 4 KiB."""

    same_cpu: bool
    wakeup: int
    copy: int
    enable: int


class Scheduler(Protocol):
    """What the reader asks of the CPU that runs the task."""

    def enable_event(self) -> None:
        """PERF_EVENT_IOC_ENABLE."""

    def run_reader(self, reader: PreemptingReader) -> None:
        """The reader is runnable on this CPU and preempts the task."""


class Reader:
    """A reader that takes time."""

    def __init__(
        self, engine: Engine, vcpu: int, ring: AuxRing, cpu: Scheduler, spec: ReaderSpec
    ) -> None:
        self._engine, self._vcpu, self._ring, self._cpu, self._spec = engine, vcpu, ring, cpu, spec
        self.enable_ticks = spec.enable
        self._polling: Event = engine.signal()
        self._ran: Event = engine.signal()
        engine.process(self.run())

    def wake(self) -> None:
        """perf_output_wakeup: poll(2) returns, now or when it is called next."""
        if not self._polling.triggered:
            self._polling.succeed()

    def run(self) -> Process:
        """PROCESS reader."""
        while True:
            yield self._polling
            yield self._engine.at(self._spec.wakeup, Kind.READER, self._vcpu)
            self._polling = self._engine.signal()
            if self._spec.same_cpu:
                self._ran = self._engine.signal()
                self._cpu.run_reader(self)
                yield self._ran
                continue
            while ticks := self.take():
                yield self._engine.at(ticks, Kind.READER, self._vcpu)
                self._ring.moved()
                yield self._engine.at(self.enable_ticks, Kind.READER, self._vcpu)
                self._cpu.enable_event()

    def take(self) -> int:
        """Look at aux_head; returns the time that copying takes, 0 if nothing is new."""
        size = self._ring.take()
        return max(1, self._spec.copy * div_up(size, COPY_UNIT)) if size else 0

    def moved(self) -> None:
        """aux_tail moves to what was taken."""
        self._ring.moved()

    def ran(self) -> None:
        """The CPU has run the reader and goes back to the task."""
        self._ran.succeed()
