"""A run's log as tracks of a trace: slices, marks, counters and flows, per vCPU and per VM.

Which entry of the log goes to which track is said by the tables below; the rules are few. A reason
for leaving the program is a slice of the track `CPU` until the program goes on, with the stages
that the guest spends inside; stages of the host and the VMM have tracks of their own, and include
the time that they wait for mmap_lock or mmu_lock. A vCPU that the host does not run, for lack of a
CPU (`steal`) or because the VM migrates (`downtime`), is seen on the track `CPU`. A blackout
lasts from PMBSR.S = 1 until ops are sampled again. A flow leads from S = 1 over the arrival at the
core and the exception to the handler of the guest's driver, unless KVM deals with it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from sim.cpu.ports import Reason
from sim.ledger import LOSS_LABELS, OpLabel, TimeCause
from sim.results import RunResult

Entry = tuple[int, str, int]
CPU, SPU, BLACKOUT, PMBIRQ, KVM, VMM = "CPU", "SPU", "blackout", "PMBIRQ", "KVM", "VMM"
TRACKS = (CPU, SPU, BLACKOUT, PMBIRQ, KVM, VMM)
PINNED, LOCKED, LIMIT = "pinned", "locked memory", "RLIMIT_MEMLOCK"
PROGRAM = "program"

REASONS: Mapping[str, str] = {
    Reason.PMBIRQ.name: "PMBIRQ taken",
    Reason.LATE_PMBIRQ.name: "PMBIRQ taken late",
    Reason.VIRQ.name: "virtual PMBIRQ taken",
    Reason.ORDINARY_EXIT.name: "ordinary exit",
    Reason.START.name: "event starts",
    Reason.ENABLE.name: "event enabled again",
    Reason.READER.name: "reader runs",
    Reason.SWITCH.name: "context switch",
    Reason.END.name: "event ends",
    Reason.KILLED.name: "VM destroyed",
    Reason.PAUSED.name: "stopped by the host",
}
"""Why the CPU left the program."""
_HOST = (
    TimeCause.TRAP,
    TimeCause.ORDINARY_EXIT,
    TimeCause.FAULT,
    TimeCause.WALK,
    TimeCause.PIN,
    TimeCause.MAP,
    TimeCause.UNPIN,
    TimeCause.PREFAULT,
    TimeCause.COPY,
    TimeCause.INJECT,
)
STAGES: Mapping[str, str] = {
    cause.value: VMM if cause is TimeCause.VMM else KVM if cause in _HOST else CPU
    for cause in TimeCause
}
"""Track of a stage. The handler of a PMBIRQ that is taken at EL2 is the host's."""
LABELS: Mapping[str, str] = {
    label.value: f"not sampled: {label.value}" if label in LOSS_LABELS else label.value
    for label in OpLabel
}
"""State of the SPU while the program runs."""
STOPS = {"FULL": "S = 1, full", "FAULT": "S = 1, fault"}
_EVENT_OFF = frozenset({OpLabel.EVENT_DISABLED.value, OpLabel.PIN_REFUSED.value})


class Kind(Enum):
    """What happens on a track."""

    BEGIN = "begin"
    END = "end"
    MARK = "mark"
    COUNT = "count"


class Event(NamedTuple):
    """At tick `t` on `track`: `value` is a counter's, or the bytes of a mark; `flow` 0 is none."""

    t: int
    track: str
    kind: Kind
    name: str = ""
    value: int = 0
    flow: int = 0
    flow_ends: bool = False


@dataclass(slots=True)
class _Reader:
    """Reads a vCPU's log entry by entry."""

    virtual: bool
    granule: int
    flows: Iterator[int]
    out: list[Event] = field(default_factory=list)
    opened: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    flow: int = 0
    pinned: int = 0

    def read(self, entry: Entry) -> None:
        t, what, value = entry
        if what == "RUN":
            self.change(t, CPU, PROGRAM)
        elif what in LABELS:
            self._labelled(t, what)
        elif what in REASONS:
            self._left(t, what)
        elif what in STAGES:
            self._stage(what, t, t + value)
        elif what in STOPS:
            self._stopped(t, what)
        elif what == "PMBIRQ_LINE":
            self.change(t, PMBIRQ, "on its way" if value else "", flow=self.flow)
        elif what == "PMBIRQ_AT_CORE":
            self.change(t, PMBIRQ, "at the core", flow=self.flow)
        elif what == "PINNED_PAGES":
            self._pinned(t, value * self.granule)
        elif what == "VOIDED":
            self.out.append(Event(t, SPU, Kind.MARK, "records voided by DL = 1"))
        elif what == "KVM_EXIT_RLIMIT":
            self.out.append(Event(t, VMM, Kind.MARK, what, value))
        else:
            raise ValueError(f"no track for {what!r}")

    def change(self, t: int, track: str, name: str, flow: int = 0, flow_ends: bool = False) -> None:
        """End what is open on a track; begin `name`, or nothing if it is empty."""
        if self.opened.pop(track, ""):
            self.out.append(Event(t, track, Kind.END))
        if name:
            self.opened[track] = name
            self.out.append(Event(t, track, Kind.BEGIN, name, flow=flow, flow_ends=flow_ends))

    def _pinned(self, t: int, size: int) -> None:
        """Nothing pinned is no news to who never pins: a migration drops every pin there is."""
        if size != self.pinned:
            self.pinned = size
            self.out.append(Event(t, PINNED, Kind.COUNT, value=size))

    def _labelled(self, t: int, label: str) -> None:
        self.change(t, SPU, LABELS[label])
        if label in _EVENT_OFF:
            self._blacked_out(t, label)
        elif label == OpLabel.PROFILED.value:
            self.change(t, BLACKOUT, "")

    def _blacked_out(self, t: int, cause: str) -> None:
        if self.opened.get(BLACKOUT) != cause:
            self.change(t, BLACKOUT, cause)

    def _left(self, t: int, reason: str) -> None:
        self.reason = reason
        self.change(t, SPU, "")
        handled = reason == Reason.VIRQ.name or (
            reason in (Reason.PMBIRQ.name, Reason.LATE_PMBIRQ.name) and not self.virtual
        )
        taken = handled or reason in (Reason.PMBIRQ.name, Reason.LATE_PMBIRQ.name)
        self.change(t, CPU, REASONS[reason], self.flow if taken else 0, handled)
        if handled:
            self.flow = 0

    def _stage(self, cause: str, begin: int, end: int) -> None:
        host = self.virtual and self.reason in (Reason.PMBIRQ.name, Reason.LATE_PMBIRQ.name)
        track, name = STAGES[cause], cause
        if host and cause == TimeCause.HANDLER.value:
            track, name = KVM, "exit and entry"
        self.out += (Event(begin, track, Kind.BEGIN, name), Event(end, track, Kind.END))

    def _stopped(self, t: int, stop: str) -> None:
        self.flow = next(self.flows)
        self.out.append(Event(t, SPU, Kind.MARK, STOPS[stop], flow=self.flow))
        self._blacked_out(t, stop.lower())


def of_vcpu(
    log: Sequence[Entry], *, virtual: bool, granule: int, flows: Iterator[int]
) -> list[Event]:
    """A vCPU's events by time; slices of a track nest, and every slice that begins ends."""
    reader = _Reader(virtual, granule, flows)
    for entry in log:
        reader.read(entry)
    last = max((event.t for event in reader.out), default=0)
    for track in TRACKS:
        reader.change(last, track, "")
    return sorted(reader.out, key=lambda event: event.t)


def of_vm(run: RunResult, unlimited: int) -> list[Event]:
    """The VM's locked-memory counters by time; a limit that is none is not shown."""
    out = []
    for point in run.locked:
        out.append(Event(point.t, LOCKED, Kind.COUNT, value=point.locked_bytes))
        if point.limit_bytes < unlimited:
            out.append(Event(point.t, LIMIT, Kind.COUNT, value=point.limit_bytes))
    return out
