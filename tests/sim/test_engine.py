"""Time: the order of an instant, work clocks, and alarms at positions of the stream."""

from __future__ import annotations

import ast
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.engine import FOREVER, MAX_VCPUS, Class, Engine, Kind, Process, StreamAlarm, WorkClock

PLACES = sorted(
    product(Kind, (0, 1, MAX_VCPUS - 1)),
    key=lambda place: (
        {Kind.RECORD_WRITE: Class.WRITE, Kind.SELECTION: Class.SELECT}.get(place[0], 0),
        place[0],
        place[1],
    ),
)
"""(kind, vCPU) in the order in which an instant is worked off."""


@settings(deadline=None)
@given(st.permutations(PLACES))
def test_order_of_an_instant(scheduled: list[tuple[Kind, int]]) -> None:
    """Class, then kind, then vCPU, however the events were scheduled."""
    engine, happened = Engine(), list[tuple[Kind, int]]()
    for place in scheduled:
        engine.call(5, *place, lambda _, place=place: happened.append(place))  # type: ignore[misc]
    engine.run()
    assert happened == PLACES


def test_classes_are_external_then_write_then_select() -> None:
    """A change of the world beats a write at its instant, and a stop beats a selection."""
    engine, happened = Engine(), list[Kind]()
    for kind in reversed(Kind):
        engine.call(1, kind, 0, lambda _, kind=kind: happened.append(kind))  # type: ignore[misc]
    engine.run()
    assert happened[-2:] == [Kind.RECORD_WRITE, Kind.SELECTION]
    assert Kind.HOST_UNMAP in happened[:-2]


@pytest.mark.parametrize(("delay", "passes"), [(3, True), (4, False), (9, False)])
def test_time_passes_at_once_up_to_what_is_due(delay: int, passes: bool) -> None:
    """Strictly before the next event, whatever its place in its instant; else nothing moves."""
    engine = Engine()
    engine.call(4, Kind.SLICE, 5, lambda _: None)
    assert engine.passes(delay) is passes
    assert (engine.now, engine.events) == ((delay, 2) if passes else (0, 1))
    engine.run()
    assert engine.now == 4


def test_what_was_withdrawn_neither_happens_nor_is_in_the_way() -> None:
    """Time passes over it, no look ahead knows of it, and what has happened stays so."""
    engine, happened = Engine(), list[str]()
    engine.watch(1)
    early = engine.call(2, Kind.STAGE, 1, lambda _: happened.append("early"))
    gone = engine.call(4, Kind.STAGE, 1, lambda _: happened.append("gone"))
    engine.call(9, Kind.STAGE, 1, lambda _: happened.append("late"))
    engine.step()
    engine.withdraw(gone, 1)
    engine.withdraw(gone, 1)
    engine.withdraw(early, 1)
    assert (engine.peek(), engine.next_due(1), engine.alone_until(1)) == (9, 9, 9)
    assert (engine.next_event(), engine.next_event(1)) == (9, 9)
    assert engine.passes(5)
    engine.run()
    assert (happened, engine.now) == (["early", "late"], 9)


def test_withdrawn_events_do_not_pile_up() -> None:
    """The event list stays as long as what is to happen, and keeps its order."""
    engine, happened = Engine(), list[int]()
    for k in (30, 10, 20):
        engine.call(k, Kind.STAGE, 0, lambda _, k=k: happened.append(k))  # type: ignore[misc]
    for _ in range(1000):
        engine.withdraw(engine.call(FOREVER, Kind.STAGE, 0, lambda _: happened.append(-1)), 0)
    assert len(engine._queue) < 100
    engine.run(50)
    assert happened == [10, 20, 30]


def test_nobody_is_alone_while_somebody_is_woken() -> None:
    """Up to its own next event, whatever other vCPUs do; not at all if anything is due now."""
    engine = Engine()
    engine.watch(1)
    engine.at(7, Kind.STAGE, 1)
    engine.at(3, Kind.STAGE, 0)
    assert (engine.alone_until(1), engine.peek()) == (7, 3)
    engine.signal().succeed()
    assert engine.alone_until(1) == 0
    engine.step()
    assert engine.alone_until(1) == 7
    engine.at(0, Kind.READER, 0)
    assert engine.alone_until(1) == 0


def test_earlier_beats_more_urgent() -> None:
    """The order of an instant never reaches into another instant."""
    engine, happened = Engine(), list[str]()
    engine.call(2, Kind.STREAM_ALARM, 0, lambda _: happened.append("late"))
    engine.call(1, Kind.SELECTION, 9, lambda _: happened.append("early"))
    engine.run()
    assert happened == ["early", "late"]


def test_a_woken_process_goes_on_before_anything_else_of_the_instant() -> None:
    """succeed() continues its waker's instant: no event of that instant comes between."""
    engine, happened = Engine(), list[str]()
    bell = engine.signal()

    def sleeper() -> Process:
        yield bell
        happened.append("woken")

    def ring(_: object) -> None:
        happened.append("ring")
        bell.succeed()

    engine.process(sleeper())
    engine.call(3, Kind.STREAM_ALARM, 0, ring)
    engine.call(3, Kind.STREAM_ALARM, 1, lambda _: happened.append("next"))
    engine.run()
    assert happened == ["ring", "woken", "next"]


def test_events_are_counted_and_time_is_an_int() -> None:
    """`events` counts what was scheduled; `now` never becomes a float."""
    engine = Engine()
    for delay in (0, 7, 7):
        engine.at(delay, Kind.STAGE, 0)
    engine.run()
    assert (engine.events, engine.now, type(engine.now)) == (3, 7, int)


def test_engine_at_is_the_only_way_to_schedule() -> None:
    """Nothing in `sim` calls a SimPy timeout or schedules past the engine."""
    package = Path(sim.__file__).parent
    calls = [
        (path.name, node.func.attr)
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"timeout", "Timeout", "schedule"}
    ]
    assert calls == [("engine.py", "schedule")]


def test_the_engine_is_short_enough_to_be_read_first() -> None:
    """At most 300 lines."""
    assert len(Path(sim.engine.__file__).read_text().splitlines()) <= 300


# --- work clocks -----------------------------------------------------------------------------

Steps = list[tuple[int, int]]
STEPS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=20)
"""(ticks running, ticks frozen), in turn."""


@settings(deadline=None)
@given(STEPS)
def test_work_is_the_time_spent_running(steps: Steps) -> None:
    """Work time stands still while frozen and advances tick by tick while running."""
    clock, now, worked = WorkClock(), 0, 0
    for running, frozen in steps:
        assert clock.resume(now) == worked
        assert clock.work(now + running) == worked + running
        now, worked = now + running, worked + running
        assert clock.freeze(now) == worked
        now += frozen
        assert (clock.work(now), clock.running) == (worked, False)
        assert clock.offset <= now - worked


# --- alarms ----------------------------------------------------------------------------------


def _drive(engine: Engine, clock: WorkClock, alarm: StreamAlarm, steps: Steps) -> Process:
    """A vCPU that runs and freezes; alarms are armed at each resume."""
    for running, frozen in steps:
        clock.resume(engine.now)
        alarm.arm()
        yield engine.at(running, Kind.STAGE, 0)
        clock.freeze(engine.now)
        yield engine.at(frozen, Kind.SWITCH_IN, 0)


@settings(deadline=None)
@given(STEPS, st.integers(0, 400))
def test_an_alarm_rings_at_its_position_however_often_the_vcpu_freezes(
    steps: Steps, position: int
) -> None:
    """It fires once, at exactly its work time, and never if the vCPU does not run that far."""
    engine, clock, rings = Engine(), WorkClock(), list[int]()

    def ring() -> None:
        rings.append(clock.work(engine.now))
        alarm.set(FOREVER)

    alarm = StreamAlarm(engine, clock, 0, ring)
    alarm.set(position)
    engine.process(_drive(engine, clock, alarm, steps))
    engine.run()
    worked = sum(running for running, _ in steps)
    if worked > position:
        assert rings == [position]
    elif worked < position:
        assert rings == []
    else:
        assert rings in ([], [position])  # reached only as the vCPU freezes


def test_freezing_does_not_pile_up_events() -> None:
    """One outstanding event: 1,000 freezes before the position cost a handful of events."""
    engine, clock, rings = Engine(), WorkClock(), list[int]()
    alarm = StreamAlarm(engine, clock, 0, lambda: rings.append(engine.now))
    alarm.set(5_000)
    steps = [(10, 1)] * 1_000
    engine.process(_drive(engine, clock, alarm, steps))
    engine.run(5_490)
    assert rings == []
    assert engine.events - 2 * 500 < 20  # the driver itself schedules two events a step


def test_an_earlier_position_replaces_a_later_one() -> None:
    """The old event is void: only the new position rings."""
    engine, clock, rings = Engine(), WorkClock(), list[int]()
    alarm = StreamAlarm(engine, clock, 0, lambda: rings.append(engine.now))
    clock.resume(0)
    for position in (100, 40):
        alarm.set(position)
        alarm.arm()
    assert alarm.position == 40
    engine.run()
    assert rings == [40]


def test_a_later_position_is_reached_through_the_early_event() -> None:
    """An event that comes early is set again for the rest."""
    engine, clock, rings = Engine(), WorkClock(), list[int]()
    alarm = StreamAlarm(engine, clock, 0, lambda: rings.append(engine.now))
    clock.resume(0)
    alarm.set(40)
    alarm.arm()
    alarm.set(100)
    alarm.arm()
    engine.run()
    assert rings == [100]


@pytest.mark.parametrize("position", [FOREVER, 30])
def test_an_alarm_is_silent_when_unset_or_frozen(position: int) -> None:
    """FOREVER never rings; nor does a vCPU that stays frozen."""
    engine, clock, rings = Engine(), WorkClock(), list[int]()
    alarm = StreamAlarm(engine, clock, 0, lambda: rings.append(engine.now))
    clock.resume(0)
    alarm.set(position)
    alarm.arm()
    engine.run(20)
    clock.freeze(20)
    engine.run()
    assert rings == []


def test_a_disarmed_alarm_is_silent_until_it_is_armed() -> None:
    """As if it had never been armed; then at its position, wherever the clock stands."""
    engine, clock, rings = Engine(), WorkClock(), list[int]()
    alarm = StreamAlarm(engine, clock, 0, lambda: rings.append(engine.now))
    alarm.disarm()
    alarm.set(10)
    clock.resume(0)
    alarm.arm()
    alarm.disarm()
    assert engine.peek() == FOREVER
    clock.offset += 5
    alarm.arm()
    engine.run()
    assert rings == [15]
