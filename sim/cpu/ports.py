"""What a CPU meets and is told: the platform, the perf event and the reader, its plan, its log.

`sim.cpu.core` runs the stream against these; KVM, the driver and the reader implement them. What
they ask of the CPU in turn is here too (`GuestCpu`, `Spend`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple, Protocol

from simpy.events import Event

from sim.cpu.gic import Gic
from sim.engine import FOREVER, Engine, Process
from sim.ledger import Ledgers, TimeCause
from sim.policies.exceptions import Masking
from sim.spe.ahead import RunsAhead
from sim.spe.spu import Spu
from sim.workload.arrays import Stream


class VmKilledError(Exception):
    """The VMM has destroyed the VM; the vCPU executes nothing more."""


class Reason(IntEnum):
    """Why the CPU leaves the stream; the order in which simultaneous ones are served."""

    PMBIRQ = 0
    VIRQ = 1
    ORDINARY_EXIT = 2
    LATE_PMBIRQ = 3
    START = 4
    ENABLE = 5
    READER = 6
    SWITCH = 7
    END = 8
    KILLED = 9
    PAUSED = 10


class Platform(Protocol):
    """What is under the kernel: bare metal or KVM."""

    virtual: bool
    next_exit_only: bool
    """PMBIRQ is looked at in the next exit, whatever causes that one."""

    @property
    def guest_takes(self) -> bool:
        """What has arrived is the kernel's on this CPU, not the hypervisor's."""

    @property
    def masking(self) -> Masking:
        """What holds back the event that has arrived."""

    @property
    def virq_masking(self) -> Masking:
        """What holds back an event that the hypervisor has made."""

    def boot(self, *, profiled: bool) -> Process:
        """Before the CPU first runs the stream; `profiled`: it has an SPE."""

    def pmbirq(self) -> Process:
        """PMBIRQ has reached the core and the CPU takes it."""

    def ordinary_exit(self) -> Wait:
        """A timer, IPI or MMIO exit."""

    def migrated(self) -> None:
        """The task has moved to the next of the vCPUs that it visits."""

    def paused(self, cause: TimeCause, until: int) -> Wait:
        """The vCPU thread does not run until then."""


class PerfEvent(Protocol):
    """The guest's perf event on this CPU."""

    started: bool
    refused: bool
    disabled: bool
    off: bool

    def refuse(self) -> None:
        """The vCPU has no SPE."""

    def start(self) -> Process:
        """pmu->start."""

    def stop(self) -> Process:
        """pmu->stop."""

    def enable(self) -> Process:
        """Schedule the event in after PERF_EVENT_IOC_ENABLE."""

    def irq(self) -> Process:
        """The SPE interrupt handler."""

    def finish(self, *, killed: bool) -> None:
        """perf record has read what is left."""


class PreemptingReader(Protocol):
    """`perf record` on the task's own CPU."""

    enable_ticks: int

    def take(self) -> int:
        """Ticks that copying what is new takes; 0 if nothing is."""

    def moved(self) -> None:
        """aux_tail moves."""

    def ran(self) -> None:
        """The reader has slept again."""


@dataclass(frozen=True, slots=True)
class CpuParts:
    """What a CPU drives, made for it when it is made."""

    spu: Spu
    gic: Gic
    platform: Platform
    event: PerfEvent
    rounds: RunsAhead | None = None
    """Serves stops that need no decision, if there may be such."""


class Standing(NamedTuple):
    """Where a CPU stands that has just restarted: wall - work time, the work time of the restart,
    and the first op that is not in the ledger yet.
    """

    offset: int
    resumed: int
    label_from: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Positions of the stream, in ops: where the event starts, the switches, the end."""

    start: int
    end: int
    switch_ticks: int
    """Ticks between switches, of work or of wall time; 0 for none."""
    away_ticks: int
    wall_slices: bool = False
    """Slices are of wall time, from switch-in to switch-out."""
    halted: bool = False
    """Nothing else runs while the task is away: the CPU waits for an interrupt."""
    wake_ticks: int = 0
    """Halted vCPU only: from the wake-up interrupt to the guest running."""
    per_task: bool = True
    """The event belongs to the task: it is stopped while another one runs."""
    visits: int = 1
    """vCPUs that the task comes back on, in turn."""
    locate_losses: bool = True
    """Lost ops are counted by where they are in the code."""


@dataclass(slots=True)
class Positions:
    """Work ticks of the plan's positions."""

    stream: Stream
    plan: Plan
    start: int = field(init=False)
    end: int = field(init=False)

    def __post_init__(self) -> None:
        self.start = self.stream.tick(self.plan.start) if self.plan.start >= 0 else FOREVER
        self.end = self.stream.tick(self.plan.end)

    def switch(self, done: int) -> int:
        """Work tick of the next context switch."""
        return (done + 1) * self.plan.switch_ticks


Log = Callable[[Enum | str, int], None]
"""log(what, op or value) at every state change. A stage of standing still is logged when it begins,
by its time cause, with its ticks; a label of ops when it begins to hold, with the op."""

Wait = Iterable[Event]
"""Events to wait for, at once; none if time has gone by already."""

Spend = Callable[[TimeCause, int], Wait]
"""spend(cause, ticks): the CPU is busy for so long, from now on."""


class GuestCpu(Protocol):
    """A vCPU as its hypervisor, its VM and the host see it."""

    virq: bool
    """The virtual PPI is raised."""
    log: Log

    @property
    def index(self) -> int:
        """Which one of its VM."""

    @property
    def engine(self) -> Engine:
        """Where it is scheduled."""

    @property
    def plan(self) -> Plan:
        """What its task does."""

    @property
    def ledgers(self) -> Ledgers:
        """Where its losses are counted."""

    @property
    def ended_at(self) -> int:
        """First op that it does not execute; < 0: it runs."""

    def spend(self, cause: TimeCause, ticks: int) -> Wait:
        """It is busy for so long, from now on."""

    def ordinary_exit(self) -> None:
        """A host timer, IPI or MMIO access."""

    def blame(self, cause: str) -> None:
        """The blackout that is going on has another cause than it seemed."""

    def pause(self, cause: TimeCause, until: int) -> None:
        """The host keeps it from running until then."""

    def kill(self) -> None:
        """The VM is destroyed."""
