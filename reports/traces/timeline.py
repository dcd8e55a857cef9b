"""A few milliseconds of one replication as lanes: what ran, what was sampled, what KVM did.

A pure function of a log (`sim.cpu.ports.Log`). The window is the first that shows the most kinds of
interesting events; up to three close-ups show the paths that matter, a fault, a delivery, a pin or
a KVM_EXIT_RLIMIT, which take microseconds and would be hairlines in the window.

A run that keeps its log is many times slower than one that does not, and the window is as a rule
near the beginning: so the beginning is run alone first. What the run has met in all is known, and a
window that shows all of that is the first best one of the whole too.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from operator import itemgetter

from sim.cpu.ports import Reason
from sim.ledger import OpLabel, TimeCause
from sim.results import LockedPoint, RunResult, VcpuResult
from sim.runs import batch
from sim.runs.batch import Unit
from sim.scenario.models.quantities import UNLIMITED
from sim.units import TICKS_PER_CYCLE

Entry = tuple[int, str, int]
WINDOW_MS = 4
MAX_SPANS = 1500
"""Spans of a window; one with more is halved until it has fewer."""
MAX_CLOSE_UPS = 3
CLOSE_UP_US = 300
"""Longest close-up."""
AFTER_TAKEN_US = 8
"""A delivery's close-up ends so long after the exception is taken, if nothing ends it sooner."""

ALWAYS = (0, sys.maxsize)
LANES = ("CPU", "SPU", "PMBIRQ", "KVM", "VMM", "memory")
_KVM = frozenset(
    {
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
    }
)
_AWAY = frozenset({TimeCause.TASK_OFF_CPU, TimeCause.STEAL, TimeCause.DOWNTIME, TimeCause.IDLE})
_CAUSES = frozenset(cause.value for cause in TimeCause)
_LABELS = frozenset(label.value for label in OpLabel)
_REASONS = frozenset(reason.name for reason in Reason)
_BEGINNINGS = _REASONS | {TimeCause.TRAP.value}
EXIT_ENTRY = "exit and entry"
"""The host's part of a PMBIRQ: exit, its interrupt handler, entry."""

WEIGHTS = {
    "KVM_EXIT_RLIMIT": 8,
    "FAULT": 4,
    "FULL": 4,
    "pin": 3,
    "event_disabled": 3,
    "KILLED": 3,
    "irq_masked": 2,
    "irq_wait_for_exit": 2,
    "inject": 2,
    "unpin": 1,
    "SWITCH": 1,
    "ORDINARY_EXIT": 1,
}
"""How much seeing one event of a kind is worth when the window is chosen."""
CLOSE_UPS = {
    "KVM_EXIT_RLIMIT": "KVM_EXIT_RLIMIT",
    "FAULT": "stage 2 fault",
    "FULL": "delivery",
    "pin": "pin",
    "inject": "injection",
}
"""What a close-up shows, by its trigger in the log, in order of preference."""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasts from `begin` to `end` in a lane; a mark if both are the same. Ticks.

    In the lane `memory` a span holds `value` bytes; elsewhere `value` is 0, or the bytes of an
    excess.
    """

    lane: str
    state: str
    begin: int
    end: int
    value: int = 0


@dataclass(frozen=True, slots=True)
class Timeline:
    """One vCPU's lanes in a window, and what to look at closely. Ticks of the replication."""

    replication: int
    vcpu: int
    begin: int
    end: int
    spans: tuple[Span, ...]
    close_ups: tuple[Span, ...]
    """Lane `close-up`; the state is what it shows."""


def chosen_replication(runs: Sequence[RunResult]) -> int:
    """Index of the first run that has the most kinds of things to see."""
    return max(range(len(runs)), key=lambda k: (_kinds(runs[k]), -k))


def _kinds(run: RunResult) -> int:
    seen = {cause for v in run.vcpus for cause, found in v.blackouts.items() if found.count}
    stages = {c for v in run.vcpus for c, ticks in v.ledgers.time.stopped.items() if ticks}
    return len(seen) + len(stages) + (run.rlimit.exits > 0)


@dataclass(frozen=True, slots=True)
class Sought:
    """A unit whose lanes are wanted, and what is known of its run."""

    unit: Unit
    ends: tuple[int, ...]
    """Ops after which each vCPU ended."""
    wall: int
    """Ticks that the run took."""
    worth: tuple[int, ...]
    """Of a window of each vCPU that shows all that it can have met."""

    def __str__(self) -> str:
        return str(self.unit)


def sought(unit: Unit, run: RunResult) -> Sought:
    """What `of_unit` takes; `run` is the unit's result."""
    worth = (sum(WEIGHTS[what] for what in met(vcpu, run)) for vcpu in run.vcpus)
    ends = tuple(vcpu.ended_at_op for vcpu in run.vcpus)
    return Sought(unit, ends, run.wall, tuple(worth))


def met(vcpu: VcpuResult, run: RunResult) -> set[str]:
    """The kinds of WEIGHTS that a vCPU's log can have, by its ledgers: none that it has is missing.

    What the ledgers do not tell apart counts as met.
    """
    ops, time = vcpu.ledgers.ops.by_label, vcpu.ledgers.time.stopped
    faults = (ops[OpLabel.IRQ_DELIVERY_FAULT], ops[OpLabel.EVENT_DISABLED], time[TimeCause.FAULT])
    can = {
        "KVM_EXIT_RLIMIT": run.rlimit.exits,
        "FAULT": vcpu.stops and any((*faults, "fault" in vcpu.blackouts)),
        "FULL": vcpu.stops,
        "event_disabled": ops[OpLabel.EVENT_DISABLED],
        "KILLED": run.ended_because,
        "irq_masked": ops[OpLabel.IRQ_MASKED],
        "irq_wait_for_exit": ops[OpLabel.IRQ_WAIT_FOR_EXIT],
        "SWITCH": time[TimeCause.TASK_OFF_CPU],
        "ORDINARY_EXIT": vcpu.ordinary_exits,
    }
    can |= {
        cause.value: time[cause] for cause in (TimeCause.PIN, TimeCause.UNPIN, TimeCause.INJECT)
    }
    return {what for what, times in can.items() if times}


BEGINNINGS_MS = (16, 128)
"""So much of a run is looked at alone, if that is no more than a quarter of it."""


def of_unit(of: Sought) -> Timeline:
    """Run a unit again, with its log, and draw its lanes: what a worker does for a report."""
    settings = of.unit.arm.settings
    logged = replace(batch.aside(of.unit), keep_log=True)
    per_ms = TICKS_PER_CYCLE * settings.cpu.clock // 1000
    for stop_at in _beginnings(of, per_ms):
        run = batch.run_unit(replace(logged, stop_at=stop_at))
        if _shows_all(run, of.worth, per_ms):
            break
    else:
        run = batch.run_unit(logged)
    return timeline(
        run,
        virtual=of.unit.arm.policies.virtual,
        per_ms=per_ms,
        granule=settings.vm.page_bytes,
    )


def _beginnings(of: Sought, per_ms: int) -> Iterator[tuple[int, ...]]:
    """Ops after which each vCPU is to stop; the run's mean speed is good enough for that."""
    for length in BEGINNINGS_MS:
        if 4 * length * per_ms <= of.wall:
            yield tuple(end * length * per_ms // of.wall for end in of.ends)


def _shows_all(run: RunResult, worth: Sequence[int], per_ms: int) -> bool:
    """Has every vCPU a window of that worth, so long before the first of them ends that all in it
    is as in the whole run?
    """
    least = min(map(_ended, run.vcpus), default=0)
    for vcpu, most in zip(run.vcpus, worth, strict=True):
        found, begin = _window(vcpu.log, WINDOW_MS * per_ms)
        if found < most or begin + (WINDOW_MS + 1) * per_ms > least:
            return False
    return True


def _ended(vcpu: VcpuResult) -> int:
    """When its stream did; 0 if the log does not say."""
    return next((t for t, what, _ in reversed(vcpu.log) if what == Reason.END.name), 0)


def timeline(run: RunResult, *, virtual: bool, per_ms: int, granule: int) -> Timeline:
    """The lanes of the run's most eventful vCPU; `per_ms` are ticks of a millisecond."""
    scored = [(_window(v.log, WINDOW_MS * per_ms), k) for k, v in enumerate(run.vcpus)]
    (_, begin), vcpu = max(scored, key=lambda s: (s[0][0], -s[1]))
    log = run.vcpus[vcpu].log
    window = (begin, begin + WINDOW_MS * per_ms)
    lanes = spans(log, virtual=virtual, granule=granule, window=window)
    lanes += _account(run.locked, run.wall) if virtual else []
    end, shown = _fitting(lanes, *window)
    close = close_ups(log, begin, end, per_ms // 1000)
    return Timeline(run.replication, vcpu, begin, end, tuple(shown), tuple(close))


def _window(log: Sequence[Entry], length: int) -> tuple[int, int]:
    """(worth, begin) of the first window that shows the most; its first event is at a tenth."""
    events = [(t, what) for t, what, _ in log if what in WEIGHTS]
    best = (0, 0)
    counts: dict[str, int] = {}
    last = worth = 0
    for first, (t, what) in enumerate(events):
        begin = max(0, t - length // 10)
        while last < len(events) and events[last][0] < begin + length:
            entered = events[last][1]
            worth += 0 if counts.get(entered) else WEIGHTS[entered]
            counts[entered] = counts.get(entered, 0) + 1
            last += 1
        if worth > best[0]:
            best = (worth, begin)
        if first < last:
            counts[what] -= 1
            worth -= 0 if counts[what] else WEIGHTS[what]
    return best


def _fitting(lanes: Iterable[Span], begin: int, end: int) -> tuple[int, list[Span]]:
    """The window's end, halved until few enough spans are in it, and those spans, cut to it."""
    inside = [s for s in lanes if s.end >= begin]
    while True:
        shown = [s for s in inside if s.begin < end]
        if len(shown) <= MAX_SPANS or end - begin < 2:
            return end, [replace(s, begin=max(s.begin, begin), end=min(s.end, end)) for s in shown]
        end = begin + (end - begin) // 2


# --- lanes -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """Spans of a lane of which at most one is open at a time."""

    lane: str
    done: list[Span]
    earliest: int
    state: str = ""
    since: int = 0
    value: int = 0

    def change(self, t: int, state: str, value: int = 0) -> None:
        """End what is open at `t`; begin `state`, or nothing if it is empty.

        What ends before `earliest` is nobody's.
        """
        if self.state and t > self.since and t >= self.earliest:
            self.done.append(Span(self.lane, self.state, self.since, t, self.value))
        self.state, self.since, self.value = state, t, value


@dataclass(slots=True)
class _Lanes:
    """Reads a log entry by entry; keeps what ends at `earliest` or later."""

    virtual: bool
    granule: int
    earliest: int
    done: list[Span] = field(default_factory=list)
    reason: str = ""
    cpu: _Open = field(init=False)
    spu: _Open = field(init=False)
    line: _Open = field(init=False)
    pinned: _Open = field(init=False)

    def __post_init__(self) -> None:
        lanes = ("CPU", "SPU", "PMBIRQ", "memory")
        made = (_Open(lane, self.done, self.earliest) for lane in lanes)
        self.cpu, self.spu, self.line, self.pinned = made

    def read(self, entry: Entry) -> None:
        t, what, value = entry
        if what == "RUN":
            self.cpu.change(t, "running")
        elif what in _LABELS:
            self.spu.change(t, what)
        elif what in _REASONS:
            self.reason = what
            self.cpu.change(t, "")
            self.spu.change(t, "")
        elif what in _CAUSES:
            if t + value >= self.earliest:
                self._stage(TimeCause(what), t, t + value)
        elif what == "PMBIRQ_LINE":
            self.line.change(t, "on its way" if value else "")
        elif what == "PMBIRQ_AT_CORE":
            self.line.change(t, "at the core")
        elif what == "PINNED_PAGES":
            self.pinned.change(t, "pinned by this vCPU", value * self.granule)
        elif t < self.earliest:
            return
        elif what == "KVM_EXIT_RLIMIT":
            self.done.append(Span("VMM", what, t, t, value))
        elif what == "VOIDED":
            self.done.append(Span("SPU", "records voided by DL = 1", t, t))
        else:  # FULL, FAULT
            self.done.append(Span("SPU", f"S = 1, {what.lower()}", t, t))

    def _stage(self, cause: TimeCause, begin: int, end: int) -> None:
        host = self.virtual and cause is TimeCause.HANDLER and self.reason == Reason.PMBIRQ.name
        if cause is TimeCause.VMM:
            self.done += (Span("VMM", "vmm", begin, end), Span("CPU", "in the VMM", begin, end))
        elif host or cause in _KVM:
            name = EXIT_ENTRY if host else cause.value
            self.done += (Span("KVM", name, begin, end), Span("CPU", "in KVM", begin, end))
        else:
            state = "off CPU" if cause in _AWAY else "guest kernel"
            self.done.append(Span("CPU", state, begin, end))


def spans(
    log: Sequence[Entry], *, virtual: bool, granule: int, window: tuple[int, int] = ALWAYS
) -> list[Span]:
    """Everything that a log shows, in the order in which it begins; of a window, what is in it."""
    earliest, end = window
    lanes = _Lanes(virtual, granule, earliest)
    for entry in islice(log, bisect_left(log, end, key=itemgetter(0))):
        lanes.read(entry)
    last = log[-1][0] if log else 0
    for lane in (lanes.cpu, lanes.spu, lanes.line, lanes.pinned):
        lane.change(last, "")
    return sorted(lanes.done, key=lambda s: (s.begin, LANES.index(s.lane), s.end, s.state))


def _account(points: Sequence[LockedPoint], wall: int) -> list[Span]:
    """The VM's locked memory and its limit."""
    out = []
    for point, after in pairwise([*points, None]):
        assert point is not None
        until = max(wall, point.t) if after is None else after.t
        out.append(Span("memory", "locked", point.t, until, point.locked_bytes))
        if point.limit_bytes < UNLIMITED:
            out.append(Span("memory", "RLIMIT_MEMLOCK", point.t, until, point.limit_bytes))
    return out


# --- close-ups -------------------------------------------------------------------------------


def close_ups(log: Sequence[Entry], begin: int, end: int, per_us: int) -> list[Span]:
    """Up to three stretches of the window, one of each kind, none inside another; by time."""
    chosen: list[Span] = []
    for trigger, shows in CLOSE_UPS.items():
        if trigger == "inject" and chosen:  # part of a delivery
            break
        for k in _positions(log, trigger, begin, end):
            found = _close_up(log, k, shows, per_us)
            if not any(c.begin < found.end and found.begin < c.end for c in chosen):
                chosen.append(found)
                break
        if len(chosen) == MAX_CLOSE_UPS:
            break
    return sorted(chosen, key=lambda c: c.begin)


def _positions(log: Sequence[Entry], what: str, begin: int, end: int) -> Iterator[int]:
    first = bisect_left(log, begin, key=lambda e: e[0])
    for k in range(first, len(log)):
        if log[k][0] >= end:
            return
        if log[k][1] == what:
            yield k


def _close_up(log: Sequence[Entry], k: int, shows: str, per_us: int) -> Span:
    """From a little before the trigger until the program goes on, or long enough to see why."""
    t, what, _ = log[k]
    if what in ("FULL", "FAULT"):
        begin = t
        taken = _next(log, k, _REASONS)
        end = min(_next(log, k, {"profiled"}), taken + AFTER_TAKEN_US * per_us)
    else:
        before = (log[j][0] for j in range(k, -1, -1) if log[j][1] in _BEGINNINGS)
        begin = next(before, t)
        end = _next(log, k, {"RUN"})
        if what == "KVM_EXIT_RLIMIT":
            end = min(end, t + 2 * AFTER_TAKEN_US * per_us)
    end = min(end, begin + CLOSE_UP_US * per_us)
    margin = max(1, (end - begin) // 8)
    return Span("close-up", shows, max(0, begin - margin), end + margin)


def _next(log: Sequence[Entry], k: int, kinds: Iterable[str]) -> int:
    wanted = frozenset(kinds)
    return next((t for t, what, _ in log[k + 1 :] if what in wanted), log[-1][0])
