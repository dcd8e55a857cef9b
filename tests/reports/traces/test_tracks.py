"""Tracks of a trace: slices nest, and their lengths are those of the ledgers."""

from __future__ import annotations

from collections import defaultdict
from itertools import count

import pytest

from reports.traces import tracks
from reports.traces.tracks import Event, Kind
from sim.cpu.ports import Reason
from sim.ledger import OpLabel, TimeCause
from sim.results import RunResult
from sim.runs import batch
from sim.scenario.files import loader
from sim.scenario.models.scenario import Arm

SETTINGS = ("workload.repeat=2",)
HOST = (
    "workload.ops=1ops",
    "vm.vcpus=3",
    "vm.physical_cpus=2",
    "driver.aux=64KiB",
    "switch.every=1ms",
    "host.pressure=[{kind: live_migration, start: 2ms, rounds: 2, round: 1ms}]",
)
"""Migration in the middle of a run, and fewer CPUs than vCPUs."""


def _runs() -> list[tuple[Arm, RunResult]]:
    """Every arm of stock scenarios, some of them shortened."""
    found = []
    for name, overrides in (("synthetic", SETTINGS), ("rlimit", ()), ("migration", HOST)):
        scenario = loader.load(name, overrides, replications=1)
        found += [(arm, batch.rerun(arm, scenario.seed, 0)) for arm in scenario.arms]
    return found


@pytest.fixture(scope="module")
def runs() -> list[tuple[Arm, RunResult]]:
    """The runs, once."""
    return _runs()


def _events(arm: Arm, run: RunResult, vcpu: int) -> list[Event]:
    granule = arm.settings.vm.page_bytes
    virtual = arm.policies.virtual
    log = run.vcpus[vcpu].log
    return tracks.of_vcpu(log, virtual=virtual, granule=granule, flows=count(1))


def _slices(events: list[Event]) -> list[tuple[str, str, int, int]]:
    """(track, name, begin, end); asserts that slices nest."""
    open_ones: dict[str, list[Event]] = defaultdict(list)
    done = []
    for event in events:
        if event.kind is Kind.BEGIN:
            open_ones[event.track].append(event)
        elif event.kind is Kind.END:
            begun = open_ones[event.track].pop()
            done.append((event.track, begun.name, begun.t, event.t))
    assert not any(open_ones.values())
    return done


def _length(slices: list[tuple[str, str, int, int]], track: str, *names: str) -> int:
    return sum(e - b for t, name, b, e in slices if t == track and (not names or name in names))


def test_slices_last_as_long_as_the_ledger_says(runs: list[tuple[Arm, RunResult]]) -> None:
    """The program's slices are `running`; a stage's slices are its cause's time."""
    stages = set()
    for arm, run in runs:
        for index, vcpu in enumerate(run.vcpus):
            slices, time = _slices(_events(arm, run, index)), vcpu.ledgers.time
            assert _length(slices, tracks.CPU, tracks.PROGRAM) == time.running
            for cause, ticks in time.stopped.items():
                found = _length(slices, tracks.STAGES[cause], cause.value)
                if cause is TimeCause.HANDLER:
                    found += _length(slices, tracks.KVM, "exit and entry")
                assert found == ticks, (arm.name, cause)
                stages |= {cause} if ticks else set()
    assert len(stages) >= 10


def test_blackouts_last_as_long_as_the_model_says(runs: list[tuple[Arm, RunResult]]) -> None:
    """From S = 1, or the end of the event, until ops are sampled again; one mark per stop."""
    seen: set[str] = set()
    compared = 0
    for arm, run in runs:
        for index, vcpu in enumerate(run.vcpus):
            events = _events(arm, run, index)
            slices = _slices(events)
            marks = [e for e in events if e.kind is Kind.MARK and e.track == tracks.SPU]
            assert len(marks) == vcpu.stops
            causes = {name for track, name, _, _ in slices if track == tracks.BLACKOUT}
            seen |= causes
            if run.ended_because or (causes and not vcpu.stops):
                continue  # no SPE at all, or an event that KVM's own injection ended: no S = 1
            compared += 1
            ticks = sum(b.ticks for b in vcpu.blackouts.values())
            assert _length(slices, tracks.BLACKOUT) == ticks, arm.name
    assert {"full", "fault", "event_disabled"} <= seen
    assert compared > 15


def test_events_are_in_order_of_time(runs: list[tuple[Arm, RunResult]]) -> None:
    """No event before its predecessor, none after the end of the run."""
    for arm, run in runs:
        for index in range(len(run.vcpus)):
            times = [event.t for event in _events(arm, run, index)]
            assert times == sorted(times)
            assert times[-1] <= run.wall


def test_flows_lead_from_the_stop_to_the_handler(runs: list[tuple[Arm, RunResult]]) -> None:
    """S = 1, on its way, at the core, exception, handler, in this order and on these tracks."""
    paths = set()
    for arm, run in runs:
        for index in range(len(run.vcpus)):
            steps: dict[int, list[Event]] = defaultdict(list)
            for event in _events(arm, run, index):
                if event.flow:
                    steps[event.flow].append(event)
            for path in steps.values():
                assert path[0].name.startswith("S = 1")
                assert [e.flow_ends for e in path[:-1]] == [False] * (len(path) - 1)
                paths.add((arm.design, tuple(e.name for e in path)))
    full = ("S = 1, full", "on its way", "at the core", "PMBIRQ taken")
    fault = ("S = 1, fault", "on its way", "at the core", "PMBIRQ taken")
    assert ("baremetal", full) in paths
    assert ("v6", (*full, "virtual PMBIRQ taken")) in paths
    assert ("unpinned", fault) in paths  # KVM maps the page; the guest never knows
    assert ("unpinned-error", (*fault, "virtual PMBIRQ taken")) in paths


def test_memory_counters(runs: list[tuple[Arm, RunResult]]) -> None:
    """Pinned bytes rise and fall in v6; locked memory and limits are the account's points."""
    limits = 0
    for arm, run in runs:
        vm = tracks.of_vm(run, 1 << 62)
        locked = [(e.t, e.value) for e in vm if e.track == tracks.LOCKED]
        assert locked == [(p.t, p.locked_bytes) for p in run.locked]
        limits += sum(e.track == tracks.LIMIT for e in vm)
        pinned = [e.value for e in _events(arm, run, 0) if e.track == tracks.PINNED]
        assert bool(pinned) == (arm.design == "v6" and run.rlimit.pinned_pages > 0)
        if pinned:
            assert max(pinned) >= 4096
    assert limits > 5


def test_exits_to_the_vmm_are_marks(runs: list[tuple[Arm, RunResult]]) -> None:
    """Every KVM_EXIT_RLIMIT, with the bytes that were missing."""
    total = 0
    for arm, run in runs:
        events = [e for v in range(len(run.vcpus)) for e in _events(arm, run, v)]
        found = [e.value for e in events if e.name == "KVM_EXIT_RLIMIT"]
        assert len(found) == run.rlimit.exits
        assert max(found, default=0) == run.rlimit.excess_bytes_max * bool(found)
        total += len(found)
    assert total > 0


def test_a_vcpu_that_the_host_stops_is_seen(runs: list[tuple[Arm, RunResult]]) -> None:
    """Stealing and downtime lie in a slice of the track CPU that says who did it."""
    seen = set()
    for arm, run in runs:
        for index in range(len(run.vcpus)):
            slices = [s for s in _slices(_events(arm, run, index)) if s[0] == tracks.CPU]
            outer = [(b, e) for _, name, b, e in slices if name == "stopped by the host"]
            for _, name, begin, end in slices:
                if name in ("steal", "downtime"):
                    seen.add((arm.design, name))
                    assert any(b <= begin and end <= e for b, e in outer)
    assert {("v6", "steal"), ("v6", "downtime"), ("unpinned", "downtime")} <= seen
    assert not {name for design, name in seen if design == "baremetal"}


def test_every_entry_of_a_log_has_its_track() -> None:
    """Each reason, stage and label is known; what is not known is refused, not shown as an exit."""
    assert set(tracks.REASONS) == {reason.name for reason in Reason}
    assert set(tracks.STAGES) == {cause.value for cause in TimeCause}
    assert set(tracks.LABELS) == {label.value for label in OpLabel}
    with pytest.raises(ValueError, match="no track for 'SOMETHING'"):
        tracks.of_vcpu([(5, "SOMETHING", 1)], virtual=True, granule=4096, flows=count(1))


def test_voided_records_are_marked() -> None:
    """Data loss is a mark on the SPU's track, where it happens."""
    log = [(5, "VOIDED", 17)]
    (mark,) = tracks.of_vcpu(log, virtual=True, granule=4096, flows=count(1))
    assert (mark.t, mark.track, mark.kind) == (5, tracks.SPU, Kind.MARK)
    assert "DL" in mark.name
