"""The CPU of one vCPU: runs the instruction stream, freezes, switches tasks.

Fidelity note. Modelled: the stream executes only while the CPU runs it; handlers, traps, exits and
time away cost wall time and never stream ops. At any instant the CPU does one thing:
what arrives while it is busy waits and is taken, in a fixed order, before the stream goes on.
Interrupt masking comes from the stream's own masked stretches, that of profiling exceptions from
its exception levels. Every executed op gets one label. Not modelled: the pipeline; cache pollution
by handlers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from simpy.events import Event

from sim.cpu.lost_ops import LossCounter, NoCounter
from sim.cpu.ports import (
    CpuParts,
    Log,
    Plan,
    Positions,
    PreemptingReader,
    Reason,
    Standing,
    VmKilledError,
    Wait,
)
from sim.engine import Engine, Kind, Process, StreamAlarm, WorkClock
from sim.ledger import LOSS_LABELS, LawBrokenError, Ledgers, OpLabel, TimeCause
from sim.policies.exceptions import Masking
from sim.results import Blackouts
from sim.spe.buffer import Stop
from sim.workload.arrays import Stream

MAX_IDLE_SLICES = 64
"""Wall-time slices in a row that leave the task under 1 % of their length: then the arm ends."""

_LOST = frozenset(LOSS_LABELS)
_CAUSES = {Stop.FULL: "full", Stop.FAULT: "fault"}


@dataclass(slots=True)
class _Blackout:
    cause: str
    op: int
    t: int


class Cpu:
    """One vCPU's thread: the stream and everything that interrupts it.

    The CPU drives its parts and they report to it, so neither can be there before the other. The
    circle is closed here and nowhere else: `make_parts` is called once, when the CPU has all that
    its parts may ask of it.
    """

    def __init__(
        self,
        engine: Engine,
        index: int,
        stream: Stream,
        clock: WorkClock,
        plan: Plan,
        ledgers: Ledgers,
        log: Log,
        make_parts: Callable[[Cpu], CpuParts],
    ) -> None:
        self.engine, self.index, self.stream, self.clock = engine, index, stream, clock
        self.plan, self.ledgers, self.log = plan, ledgers, log
        self.virq = False
        self.ended_because = ""
        self.done = engine.signal()
        self.ended_at = -1
        self.blackouts: dict[str, Blackouts] = {}
        self._loss = LossCounter(stream) if plan.locate_losses else NoCounter()
        self.ordinary_exits = 0
        self._pauses: dict[TimeCause, int] = {}
        self.alarm = StreamAlarm(engine, clock, index, self._position_reached)
        self._pending: set[Reason] = set()
        self._woken: Event = engine.signal()
        self._op = 0  # next op to execute, when frozen
        self.label_from = 0  # first op that is not in the ledger yet
        self._label = OpLabel.BEFORE_START
        self.resumed_at = 0  # wall time
        self._switches = 0
        self._slice = 0  # ordinal of the wall-time slice
        self._slice_from = 0  # work time at its begin
        self._idle_slices = 0
        self._blackout: _Blackout | None = None
        self._ticks = Positions(stream, plan)
        self._reader: PreemptingReader | None = None  # runnable on this CPU
        parts = make_parts(self)
        self.spu, self.gic, self._rounds = parts.spu, parts.gic, parts.rounds
        self.platform, self.event = parts.platform, parts.event
        self.next_exit_only = parts.platform.next_exit_only

    @property
    def lost(self) -> NDArray[np.int64]:
        """Population ops lost so far, by static × LEVEL_STRIDE + level; empty if not located."""
        return self._loss.counts()

    # --- the process ---------------------------------------------------------------------

    def run(self) -> Process:
        """PROCESS instruction stream."""
        try:
            yield from self.platform.boot(profiled=not self.event.refused)
            while self.ended_at < 0:
                if self._pending:
                    yield from self._serve(self._next_reason())
                elif self._resume():
                    yield self._woken
        except VmKilledError:
            self._end(killed=True)
        self.done.succeed()

    def _next_reason(self) -> Reason:
        if len(self._pending) == 1:
            return self._pending.pop()
        reason = Reason.KILLED if Reason.KILLED in self._pending else min(self._pending)
        self._pending.discard(reason)
        return reason

    def _serve(self, reason: Reason) -> Process:
        self.log(reason, self._op)
        match reason:
            case Reason.PMBIRQ:
                if self.gic.arrived:
                    direct = self.platform.guest_takes
                    yield from self.event.irq() if direct else self.platform.pmbirq()
            case Reason.VIRQ:
                if self.virq:
                    yield from self.event.irq()
            case Reason.LATE_PMBIRQ:
                if self._can_take(self._op):
                    yield from self.platform.pmbirq()
            case Reason.ORDINARY_EXIT:
                yield from self._exit(self.platform.ordinary_exit())
            case Reason.START:
                self._switches = self._work() // max(1, self.plan.switch_ticks)
                self.event.started = True
                self._begin_slice()
                yield from self.event.start()
            case Reason.ENABLE:
                yield from self.event.enable()
            case Reason.READER:
                yield from self._run_reader()
            case Reason.SWITCH:
                yield from self._switch()
            case Reason.END:
                yield from self.event.stop()
                self._end()
            case Reason.KILLED:
                raise VmKilledError
            case Reason.PAUSED:
                yield from self._pause()

    def _switch(self) -> Process:
        """The task leaves the CPU and comes back."""
        self._switches += 1
        yield from self.event.stop()
        if self._no_progress():
            self._end()
            return
        yield from self._away()
        if self.plan.visits > 1:
            self.platform.migrated()
        self._begin_slice()
        yield from self.event.start()

    def _away(self) -> Process:
        """Another task runs, or none: then the vCPU traps on WFI and is woken."""
        if not self.plan.halted:
            yield from self.spend(TimeCause.TASK_OFF_CPU, self.plan.away_ticks, Kind.SWITCH_IN)
            return
        wake = 0
        if self.platform.virtual:
            yield from self._exit(self.platform.ordinary_exit())
            wake = self.plan.wake_ticks
        yield from self.spend(TimeCause.IDLE, self.plan.away_ticks + wake, Kind.SWITCH_IN)

    def _exit(self, meanwhile: Wait) -> Wait:
        """An exit to the host for no reason of SPE's."""
        self.ordinary_exits += 1
        return meanwhile

    def _pause(self) -> Process:
        pauses, self._pauses = self._pauses, {}
        for cause, until in pauses.items():
            yield from self._exit(self.platform.paused(cause, until))

    def _begin_slice(self) -> None:
        """The scheduler's slice begins when the task is chosen: it includes starting the event."""
        if not (self.plan.wall_slices and self.plan.switch_ticks):
            return
        self._slice += 1
        self._slice_from = self._work()
        ordinal = self._slice
        self.engine.call(
            self.plan.switch_ticks, Kind.SLICE, self.index, lambda _: self._slice_over(ordinal)
        )

    def _slice_over(self, ordinal: int) -> None:
        if ordinal == self._slice and self.ended_at < 0:
            self.interrupt(Reason.SWITCH)

    def _no_progress(self) -> bool:
        """The guard of guest_wall: has starting the event eaten slice after slice?"""
        if not self.plan.wall_slices:
            return False
        progress = 100 * (self._work() - self._slice_from) >= self.plan.switch_ticks
        self._idle_slices = 0 if progress else self._idle_slices + 1
        if self._idle_slices < MAX_IDLE_SLICES:
            return False
        self.ended_because = (
            "no progress: starting and stopping the event left the task under 1 % "
            f"of its time slice, {MAX_IDLE_SLICES} slices in a row"
        )
        return True

    def _run_reader(self) -> Process:
        """`perf record` preempts the task: a switch out and in, unless the event is the CPU's."""
        reader = self._reader
        assert reader is not None
        if self.plan.per_task:
            yield from self.event.stop()
        while ticks := reader.take():
            yield from self.spend(TimeCause.READER, ticks)
            reader.moved()
            yield from self.spend(TimeCause.READER, reader.enable_ticks)
            self.event.off = False
        reader.ran()
        yield from self.event.enable()

    def _end(self, *, killed: bool = False) -> None:
        if self._blackout is not None:
            self._close_blackout()
        self.event.finish(killed=killed)
        self.ended_at = self._op
        self.ledgers.ops.executed += self._op
        self.ledgers.time.wall = self.engine.now

    # --- run and freeze ------------------------------------------------------------------

    def _resume(self) -> bool:
        """Go on with the stream, unless an interrupt is due before its next op."""
        if self._interrupt_due():
            return False
        now = self.engine.now
        self.resumed_at = now
        self._label = self.label()
        self.label_from = self._op
        if (self._label is OpLabel.PROFILED) != self.spu.armed:
            raise LawBrokenError(f"ops from {self._op:,} on: {self._label}, but the SPU disagrees")
        if self._label is OpLabel.PROFILED and self._blackout is not None:
            self._close_blackout()
        if self._label is OpLabel.EVENT_DISABLED and self._blackout is not None:
            self._blackout.cause = "disabled"
        self.clock.resume(now)
        self._woken = self.engine.signal()
        self.log("RUN", self._op)
        self.log(self._label, self._op)
        self._set_alarm()  # before the SPU looks how far it may run ahead
        self.spu.resume(self._op, self._rounds)
        return True

    # --- `sim.machine.rounds` ------------------------------------------------------------

    def for_rounds(self) -> Standing:
        """Where the CPU stands when rounds begin."""
        return Standing(self.clock.offset, self.resumed_at - self.clock.offset, self.label_from)

    def after_rounds(
        self,
        at: Standing,
        ops: Mapping[OpLabel, int],
        running: int,
        stopped: Mapping[TimeCause, int],
        lost: NDArray[np.int64],
        exits: int,
    ) -> None:
        """Rounds have passed and the CPU stands at `at`; what they have taken: ops, ticks of
        running and of standing still, the lost ops [n, 2] from, to, and ordinary exits.
        """
        labelled, time = self.ledgers.ops.by_label, self.ledgers.time
        for label, count in ops.items():
            labelled[label] += count
        time.running += running
        for cause, ticks in stopped.items():
            time.stopped[cause] += ticks
        self._op = self.label_from = at.label_from
        self.clock.offset, self.resumed_at = at.offset, at.offset + at.resumed
        self._loss.add_all(lost)
        self.ordinary_exits += exits

    def add_blackouts(self, cause: str, more: Blackouts) -> None:
        """Blackouts that were counted elsewhere."""
        self.blackouts.setdefault(cause, Blackouts()).merge(more)

    def _interrupt_due(self) -> bool:
        """Is PMBIRQ or the virtual interrupt taken before the next op?"""
        self._pending |= self._taken_before(self._op)
        return bool(self._pending)

    def _taken_before(self, op: int) -> set[Reason]:
        """Which of the two, if any."""
        if self.gic.arrived and not self.next_exit_only and self._can_take(op):
            return {Reason.PMBIRQ}
        if self.virq and self._free_from(self.platform.virq_masking, op) == op:
            return {Reason.VIRQ}
        return set()

    def _can_take(self, op: int) -> bool:
        """Is what has arrived taken before `op`?"""
        return self._free_from(self.platform.masking, op) == op

    def _free_from(self, masking: Masking, op: int) -> int:
        """First op from `op` on that is not held under this masking."""
        match masking:
            case Masking.NOTHING:
                return op
            case Masking.INTERRUPTS:
                return self.stream.unmasked_from(op)
            case Masking.KERNEL:
                return self.stream.user_from(op)

    def interrupt(self, reason: Reason) -> None:
        """Something demands the CPU now; it is served at once or when the current path ends."""
        self._pending.add(reason)
        if self.clock.running:
            self._freeze()
            self._woken.succeed()

    def _freeze(self) -> None:
        now = self.engine.now
        work = self.clock.freeze(now)
        self._op = self.stream.op_at(work)
        self._relabel(self._op)
        self.spu.sampler.disable(self._op, work)
        self.ledgers.time.running += now - self.resumed_at

    def spend(self, cause: TimeCause, ticks: int, kind: Kind = Kind.STAGE) -> Wait:
        """The CPU is busy for `ticks` from now on."""
        if ticks <= 0:
            return ()
        self.log(cause, ticks)
        self.ledgers.time.stopped[cause] += ticks
        if self.engine.passes(ticks):
            return ()
        return (self.engine.at(ticks, kind, self.index),)

    # --- positions of the stream ---------------------------------------------------------

    def _set_alarm(self) -> None:
        position, switch = self._ticks.end, self._switch_due
        if not self.event.started:
            position = min(position, self._ticks.start)
        if switch is not None:
            position = min(position, switch)
        waiting = [self.platform.virq_masking] if self.virq else []
        if self.gic.arrived and not self.next_exit_only:
            waiting.append(self.platform.masking)
        for masking in waiting:
            position = min(position, self.stream.tick(self._unmask_position(masking)))
        self.alarm.set(position)
        self.alarm.arm()

    @property
    def _switch_due(self) -> int | None:
        """Work tick of the next context switch, if the work clock makes them."""
        if self.plan.wall_slices or not self.plan.switch_ticks or not self.event.started:
            return None
        return self._ticks.switch(self._switches)

    def _unmask_position(self, masking: Masking) -> int:
        return min(self._free_from(masking, self._op), self.plan.end)

    def _position_reached(self) -> None:
        """An alarm position is the next op's begin."""
        work, switch = self._work(), self._switch_due
        reasons: list[Reason] = []
        if not self.event.started and work >= self._ticks.start:
            reasons.append(Reason.START)
        if switch is not None and work >= switch:
            reasons.append(Reason.SWITCH)
        if work >= self._ticks.end:
            reasons.append(Reason.END)
        if self.gic.arrived or self.virq:
            reasons += self._taken_before(self.stream.op_at(work))
        for reason in reasons:
            self.interrupt(reason)

    # --- interrupts ----------------------------------------------------------------------

    def pmbirq_arrived(self) -> None:
        """The line has reached the core."""
        self.log("PMBIRQ_AT_CORE", 0)
        if not self.clock.running:
            return
        if self.next_exit_only:
            self._relabel_now()
            return
        op = self.stream.op_at(self._work())
        if self._can_take(op):
            self.interrupt(Reason.PMBIRQ)
            return
        self._relabel_now()
        self._op = op
        self._set_alarm()

    def ordinary_exit(self) -> None:
        """A host timer, IPI or MMIO access ends the guest's turn, if it is executing the stream.

        One that arrives while the vCPU is out anyway costs no exit of its own.
        """
        if self.clock.running:
            self.interrupt(Reason.ORDINARY_EXIT)

    def pmbirq_late(self) -> None:
        """PMBIRQ had been signalled when software cleared S; it is taken, and finds nothing."""
        if self.ended_at < 0:
            self.interrupt(Reason.LATE_PMBIRQ)

    def enable_event(self) -> None:
        """PERF_EVENT_IOC_ENABLE: an event that irq_work has disabled is scheduled in again."""
        if self.event.off and self.ended_at < 0:
            self.event.off = False
            self.interrupt(Reason.ENABLE)

    def run_reader(self, reader: PreemptingReader) -> None:
        """perf record has become runnable on this CPU."""
        self._reader = reader
        if self.ended_at < 0:
            self.interrupt(Reason.READER)

    def pause(self, cause: TimeCause, until: int) -> None:
        """The host keeps the vCPU from running until then."""
        if self.ended_at < 0:
            self._pauses[cause] = max(until, self._pauses.get(cause, 0))
            self.interrupt(Reason.PAUSED)

    def kill(self) -> None:
        """The VM is destroyed."""
        if self.ended_at < 0:
            self.interrupt(Reason.KILLED)

    def spu_stopped(self, stop: Stop, op: int) -> None:
        """The SPU set S at this instant; `op` is the next op to execute."""
        self.log(stop, self.spu.sampler.pointer)
        running = self.clock.running
        if self._blackout is None:
            self._blackout = _Blackout(_CAUSES[stop], op, self.engine.now)
        if running:
            self._relabel(op)

    def blame(self, cause: str) -> None:
        """The blackout that is going on has another cause than it seemed."""
        if self._blackout is not None:
            self._blackout.cause = cause

    # --- labels --------------------------------------------------------------------------

    def label(self) -> OpLabel:
        """What the ops executed from here on are: the first that applies."""
        if not self.event.started:
            return OpLabel.BEFORE_START
        if self.event.refused:
            return OpLabel.PIN_REFUSED
        if self.event.disabled:
            return OpLabel.EVENT_DISABLED
        if self.virq:
            return OpLabel.VIRQ_DELIVERY
        if self.spu.s:
            return self._waiting_label()
        return OpLabel.PROFILED

    def _waiting_label(self) -> OpLabel:
        if self.gic.arrived:
            return OpLabel.IRQ_WAIT_FOR_EXIT if self.next_exit_only else OpLabel.IRQ_MASKED
        if self._blackout is not None and self._blackout.cause == "full":
            return OpLabel.IRQ_DELIVERY_FULL
        return OpLabel.IRQ_DELIVERY_FAULT

    def _work(self) -> int:
        return self.clock.work(self.engine.now)

    def _relabel_now(self) -> None:
        self._relabel(self.stream.op_at(self._work()))

    def _relabel(self, op: int) -> None:
        """Ops up to `op` had the old label; those from `op` on get the one of now."""
        ops = self.ledgers.ops.by_label
        members = self.stream.members(self.label_from, op)
        ops[self._label] += members
        ops[OpLabel.NOT_IN_POPULATION] += op - self.label_from - members
        if self._label in _LOST:
            self._loss.add(self.label_from, op)
        self.label_from = op
        if self.clock.running:
            self._label = self.label()
            self.log(self._label, op)

    def _close_blackout(self) -> None:
        gap = self._blackout
        assert gap is not None
        members = self.stream.members(gap.op, self._op)
        self.blackouts.setdefault(gap.cause, Blackouts()).add(members, self.engine.now - gap.t)
        self._blackout = None
