"""Timelines: lanes add up, windows find what matters, hostile lengths stay small."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from reports.traces import timeline
from reports.traces.timeline import Span
from sim.results import RunResult
from sim.runs import batch
from sim.scenario.files import loader
from sim.units import TICKS_PER_CYCLE
from tests.rigs.samples import LOG, arms, timelines

PER_US = 192_000


def lanes(log: tuple[timeline.Entry, ...] = LOG) -> list[Span]:
    """All spans of a log of a VM."""
    return timeline.spans(log, virtual=True, granule=4096)


def test_cpu_lane_has_no_gap_and_no_overlap() -> None:
    """At any instant the CPU does one thing, from the first entry to the last."""
    cpu = [s for s in lanes() if s.lane == "CPU"]
    assert cpu[0].begin == 0
    assert all(a.end == b.begin for a, b in pairwise(cpu))
    assert cpu[-1].end == LOG[-1][0]


def test_states_of_the_made_up_log() -> None:
    """What each lane shows, and for how long."""
    found = {(s.lane, s.state): s for s in reversed(lanes())}
    blackout = found["SPU", "irq_delivery_fault"]
    assert (blackout.begin, blackout.end) == (60_000_000, 60_096_000)
    assert found["PMBIRQ", "on its way"].end == found["PMBIRQ", "at the core"].begin == 60_096_000
    assert found["VMM", "KVM_EXIT_RLIMIT"].value == 8192
    assert found["memory", "pinned by this vCPU"].value == 515 * 4096
    assert found["KVM", timeline.EXIT_ENTRY].begin in (60_096_000, 60_682_560)
    assert found["CPU", "off CPU"].end - found["CPU", "off CPU"].begin == 20_000_000
    assert ("SPU", "S = 1, fault") in found


def test_handler_is_the_hosts_only_when_pmbirq_is_served_in_a_vm() -> None:
    """On baremetal the same stage is the guest kernel's."""
    bare = timeline.spans(LOG, virtual=False, granule=4096)
    assert not [s for s in bare if s.state == timeline.EXIT_ENTRY]
    assert [s for s in bare if s.lane == "CPU" and s.state == "guest kernel" and s.begin > 10**7]


def test_close_ups_show_each_kind_once() -> None:
    """An exit and a fault; the pin lies in the exit's path and is not shown again."""
    found = timeline.close_ups(LOG, 0, 10**9, PER_US)
    assert [c.state for c in found] == ["KVM_EXIT_RLIMIT", "stage 2 fault"]
    assert found[1].begin < 60_000_000 < 60_712_320 < found[1].end
    assert found[1].end - found[1].begin < timeline.CLOSE_UP_US * PER_US


def test_window_goes_where_most_is_seen() -> None:
    """A lone exit early, a fault with a pin late: the window begins just before the late ones."""
    log = [(1000, "ORDINARY_EXIT", 0), (50_000, "FAULT", 0), (50_100, "pin", 0)]
    assert timeline._window(log, 1000) == (7, 49_900)
    assert timeline._window([], 1000) == (0, 0)


def test_crowded_windows_are_halved() -> None:
    """Never more than MAX_SPANS spans, all inside the window."""
    many = [Span("KVM", "trap", t, t + 1) for t in range(0, 100_000, 5)]
    end, shown = timeline._fitting(many, 0, 100_000)
    assert len(shown) <= timeline.MAX_SPANS
    assert all(0 <= s.begin <= s.end <= end for s in shown)


def test_replication_with_most_to_see_is_chosen() -> None:
    """The first of those that are alike."""
    (arm,) = (a for a in arms() if a.arm.name == "v6")
    assert timeline.chosen_replication(arm.runs) == 0
    assert set(timelines(arms())) == {"v6", "unpinned-cold", "refused", "silent"}


@pytest.mark.parametrize("name", ["baremetal", "v6", "unpinned"])
def test_traced_replication_is_the_same_run(name: str) -> None:
    """Keeping the log changes nothing, and both engines write the same log."""
    scenario = loader.load("synthetic", ["workload.repeat=1"], replications=2)
    (arm,) = (a for a in scenario.arms if a.name == name)
    unit = batch.Unit(arm, scenario.seed, 1, "fast", keep_records=False, keep_log=True)
    fast, slow = (batch.run_unit(replace(unit, engine=e)) for e in ("fast", "reference"))
    assert fast.vcpus[0].log == slow.vcpus[0].log
    assert fast.vcpus[0].log
    (first,) = (a for a in batch.run(scenario) if a.arm.name == name)
    assert first.runs[1].vcpus[0].ledgers == fast.vcpus[0].ledgers
    spans = timeline.spans(fast.vcpus[0].log, virtual=name != "baremetal", granule=4096)
    running = sum(s.end - s.begin for s in spans if s.state == "running")
    stood = sum(s.end - s.begin for s in spans if s.lane == "CPU" and s.state != "running")
    time = fast.vcpus[0].ledgers.time
    assert (running, stood) == (time.running, sum(time.stopped.values()))


ALIKE = {
    "quickstart": {"baremetal", "v6", "unpinned", "unpinned-cold"},
    "designs": {"v6", "unpinned"},
    "per-task": {"unpinned", "never-4M"},
    "ageing": {"v6-F1"},
    "migration": {"baremetal"},
    "rlimit": set(),
    "false-sharing": set(),
}
"""Stock scenarios with several vCPUs, every design, exits, faults and switches; arms of which the
beginning is enough."""


@pytest.mark.parametrize("name", ALIKE)
def test_the_beginning_shows_what_the_whole_does(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same timeline as of the whole run; no kind in a log that the ledgers do not admit."""
    recorded = loader.load(name).arms[0].settings.workload.kind == "recorded"
    short = ["workload.ops=300000000ops"] if recorded else []
    scenario = loader.load(name, short, replications=1)
    stops: list[tuple[int, ...]] = []
    real = batch.run_unit

    def run_unit(unit: batch.Unit) -> RunResult:
        stops.append(unit.stop_at)
        return real(unit)

    monkeypatch.setattr(batch, "run_unit", run_unit)
    spared = set()
    for arm in scenario.arms:
        unit = batch.Unit(arm, scenario.seed, 0, "fast", keep_records=False)
        logged = real(replace(unit, keep_log=True))
        for vcpu in logged.vcpus:
            kinds = {what for _, what, _ in vcpu.log if what in timeline.WEIGHTS}
            assert kinds <= timeline.met(vcpu, logged), arm.name
        settings = arm.settings
        expected = timeline.timeline(
            logged,
            virtual=arm.policies.virtual,
            per_ms=TICKS_PER_CYCLE * settings.cpu.clock // 1000,
            granule=settings.vm.page_bytes,
        )
        stops.clear()
        assert timeline.of_unit(timeline.sought(unit, real(unit))) == expected, arm.name
        if all(stops):
            spared.add(arm.name)
    assert spared >= ALIKE[name]
