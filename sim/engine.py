"""The engine: what happens when, and in which order within an instant. Read this first.

SimPy keeps the event list; this file adds the four things that the model rests on.

* **Time** is an int, in ticks of 1/64 core cycle.
* **The order of an instant** is total and explicit: (class, kind, vCPU), encoded in SimPy's integer
  priority. Classes: external changes, then record writes, then selections, so that a stop at an
  instant beats a selection at it. The numbers lie above SimPy's own URGENT (0) and NORMAL (1):
  a process that is woken by another one continues the instant of its waker, before anything else.
* **`Engine.at` is the only way to schedule** (`fire` and `call` are its variants; `passes` is what
  becomes of it where nothing comes between, `withdraw` takes it back). Nothing else calls SimPy's
  timeouts.
* **Work clocks.** A vCPU executes its stream only while it runs; a `WorkClock` maps simulated
  (wall) time to the stream's own time and back.

Whatever changes what the SPU can see (a page, an enable, a freeze) goes through the sampler's
`before_change` / `on_change`: see `sim.spe.spu`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import Any

import simpy
from simpy.events import Event

Process = Generator[Event, Any, None]
"""A SimPy process of this project: yields events, returns nothing."""

FOREVER = 1 << 62
"""Later than any run: 760 years of a 3 GHz core."""


class Class(IntEnum):
    """First key of the order of an instant."""

    EXTERNAL = 0
    WRITE = 1
    SELECT = 2


class Kind(IntEnum):
    """Second key. The order is the order in which a CPU would look at the causes."""

    STREAM_ALARM = 0  # a position of the stream is reached: end, start, switch, unmask
    STAGE = 1  # a stage of a handler, trap, fault or pin path ends
    SWITCH_IN = 2
    PMBIRQ = 3  # the interrupt reaches the core
    ORDINARY_EXIT = 4
    HOST_UNMAP = 5
    RECORD_WRITE = 6
    SELECTION = 7
    READER = 8  # perf record, on another CPU
    SLICE = 9  # the scheduler's time slice is over


_CLASS_OF = {Kind.RECORD_WRITE: Class.WRITE, Kind.SELECTION: Class.SELECT}
_FIRST_PRIORITY = 2
MAX_VCPUS = 1024
MAX_DUES = 4096
_WITHDRAWN: list[Any] = []
"""The callbacks of an event that was taken back."""
MANY_WITHDRAWN = 64
_BASE = tuple(
    _FIRST_PRIORITY + (_CLASS_OF.get(kind, Class.EXTERNAL) * len(Kind) + kind) * MAX_VCPUS
    for kind in Kind
)


class Due(Event):
    """An event of `Engine`: knows when it is due, once that is settled."""

    due = FOREVER


class Engine(simpy.Environment):
    """SimPy with integer time (`now`, ticks) and a total order of each instant."""

    now: int
    _now: int

    def __init__(self) -> None:
        super().__init__(0)
        self.events = 0
        self._dues: dict[int, list[int]] = {}
        self._withdrawn = 0

    def at(self, delay: int, kind: Kind, vcpu: int) -> Due:
        """An event `delay` ticks from now, in the place that (kind, vCPU) has in its instant."""
        event = Due(self)
        self.fire(event, delay, kind, vcpu)
        return event

    def fire(self, event: Due, delay: int, kind: Kind, vcpu: int) -> None:
        """Like `at`, for an event that somebody already waits for."""
        self.events += 1
        event.due = due = self._now + delay
        dues = self._dues.get(vcpu)
        if dues is not None:
            heappush(dues, due)
            if len(dues) > MAX_DUES:  # nobody has asked for long: forget what has passed
                dues[:] = [due for due in dues if due > self._now]
                heapify(dues)
        # What SimPy's own Timeout does to itself. Its public ways (`succeed`, `trigger`, `timeout`)
        # know no delay with a priority, and none for an event that somebody waits for already.
        event._ok, event._value = True, None
        self.schedule(event, _BASE[kind] + vcpu, delay)  # type: ignore[arg-type]

    def call(self, delay: int, kind: Kind, vcpu: int, action: Callable[[Event], None]) -> Due:
        """Like `at`, for an action that needs no process."""
        event = Due(self)
        event.callbacks.append(action)
        self.fire(event, delay, kind, vcpu)
        return event

    def withdraw(self, event: Due, vcpu: int) -> None:
        """An event of `call` will not happen after all; no matter if it has."""
        if event.callbacks is None or event.callbacks is _WITHDRAWN:
            return
        event.callbacks = _WITHDRAWN
        dues = self._dues.get(vcpu, [])
        if event.due in dues:
            dues.remove(event.due)
            heapify(dues)
        self._withdrawn += 1
        if 2 * self._withdrawn > MANY_WITHDRAWN + len(self._queue):  # they would pile up
            self._queue[:] = [entry for entry in self._queue if _happens(entry)]
            heapify(self._queue)
            self._withdrawn = 0

    def peek(self) -> int:
        """When the next event is due that happens; FOREVER if there is none."""
        queue = self._queue
        while queue and queue[0][3].callbacks is _WITHDRAWN:
            heappop(queue)
        return int(queue[0][0]) if queue else FOREVER

    def passes(self, delay: int) -> bool:
        """Let `delay` ticks go by here and now if nothing is due before or at their end.

        For a process that would else wait for an event which is bound to be the next one: the same
        instant, without a turn of the event list. False if it has to wait after all. The process
        must be the only one that its waker has woken, as `at`, `fire` and `signal` see to.
        """
        end = self._now + delay
        if end >= self.peek():
            return False
        self.events += 1
        self._now = end
        return True

    def watch(self, vcpu: int) -> None:
        """From now on `next_due` knows of this vCPU's events."""
        self._dues.setdefault(vcpu, [])

    def next_due(self, vcpu: int) -> int:
        """When a watched vCPU's next event after now is due, as far as is known; FOREVER if none.

        A hint, far cheaper than `next_event`: it knows of no event that was scheduled before
        `watch`, of no process that is being woken, and nothing of what is yet to be scheduled.
        """
        return self._due(vcpu)

    def alone_until(self, vcpu: int) -> int:
        """Up to when no event of a watched vCPU's happens, that excluded; now if one might now.

        No hint: nothing that waits for another event is any nearer, and events of `watch`ed vCPUs
        are all known where nothing is being woken at this instant.
        """
        return self._now if self.peek() <= self._now else self._due(vcpu)

    def _due(self, vcpu: int) -> int:
        dues, now = self._dues[vcpu], self._now
        while dues and dues[0] <= now:
            heappop(dues)
        return dues[0] if dues else FOREVER

    def next_event(self, vcpu: int | None = None) -> int:
        """When the next event is due, of one vCPU or of all; FOREVER if there is none.

        A process that is being woken counts for every vCPU.
        """
        if vcpu is None:
            return self.peek()
        # SimPy has no public view of one vCPU's events. A few events per vCPU are pending, and this
        # is asked once per run-ahead; a heap of our own would cost time at each event.
        mine = _FIRST_PRIORITY + vcpu
        dues = [
            due
            for due, priority, _, event in self._queue
            if (priority < _FIRST_PRIORITY or (priority - mine) % MAX_VCPUS == 0)
            and event.callbacks is not _WITHDRAWN
        ]
        return int(min(dues, default=FOREVER))

    def signal(self) -> Due:
        """An event that somebody will `succeed()` or `fire`."""
        return Due(self)


def _happens(entry: tuple[Any, Any, int, Event]) -> bool:
    """An entry of SimPy's event list, unless its event was withdrawn."""
    return entry[3].callbacks is not _WITHDRAWN


class WorkClock:
    """A vCPU's own time: ticks spent executing its stream.

    States: *running* (work advances with wall time) and *frozen* (it stands still).
    """

    __slots__ = ("_frozen_at", "offset", "running")

    def __init__(self) -> None:
        self.running = False
        self.offset = 0
        self._frozen_at = 0

    def work(self, now: int) -> int:
        """Work time at wall time `now`."""
        return now - self.offset if self.running else self._frozen_at

    def freeze(self, now: int) -> int:
        """Stop; returns the work time."""
        self._frozen_at = now - self.offset
        self.running = False
        return self._frozen_at

    def resume(self, now: int) -> int:
        """Go on; returns the work time."""
        self.offset = now - self._frozen_at
        self.running = True
        return self._frozen_at


class StreamAlarm:
    """Calls `action` when a running vCPU's work time reaches a position of its stream.

    A freeze can only make that later, so one outstanding event suffices: it may come early and is
    then set again for the rest. Memory stays flat however often the vCPU stops.
    """

    __slots__ = ("_action", "_clock", "_due", "_engine", "_event", "_position", "_vcpu")

    def __init__(
        self, engine: Engine, clock: WorkClock, vcpu: int, action: Callable[[], None]
    ) -> None:
        self._engine, self._clock, self._vcpu, self._action = engine, clock, vcpu, action
        self._position = FOREVER
        self._due = FOREVER
        self._event: Due | None = None

    @property
    def position(self) -> int:
        """Work time at which it fires; FOREVER if unset."""
        return self._position

    def set(self, position: int) -> None:
        """Fire at this work time from now on (`arm` makes it effective)."""
        self._position = position

    def arm(self) -> None:
        """Called when the vCPU resumes: make sure that an event lies at or before the position."""
        if self._position == FOREVER:
            return
        due = self._position + self._clock.offset
        if self._engine.now <= self._due <= due:
            return
        self._schedule(due)

    def disarm(self) -> None:
        """Nothing will ring until it is armed again."""
        self._due = FOREVER
        if self._event is not None:
            self._engine.withdraw(self._event, self._vcpu)

    def _schedule(self, due: int) -> None:
        self.disarm()
        self._due = due
        self._event = self._engine.call(
            due - self._engine.now, Kind.STREAM_ALARM, self._vcpu, self._ring
        )

    def _ring(self, _: Event) -> None:
        self._due = FOREVER
        if not self._clock.running or self._position == FOREVER:
            return
        left = self._position - self._clock.work(self._engine.now)
        if left > 0:
            self._schedule(self._engine.now + left)
        else:
            self._action()
