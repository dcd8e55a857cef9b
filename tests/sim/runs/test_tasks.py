"""Parts of a sweep: tasks, the store of unit results, and workers that may die."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sim.machine import resolve
from sim.results import RunResult
from sim.runs import batch, contents
from sim.runs import tasks as plan
from sim.runs.batch import Unit
from sim.runs.tasks import LEAST_NANOSECONDS, key, tasks
from sim.scenario.files.loader import load, stock_folder
from sim.scenario.models.scenario import Scenario
from sim.workload.capture import profile
from sim.workload.capture.profile import Phase, Profile, Static
from tests.sim.runs.scenarios import unit

# --- tasks


def test_tasks_hold_every_unit_once_and_are_worth_sending(scenario: Scenario) -> None:
    """All arms and replications; every task is long enough, or all that a short cell has."""
    for replications in (1, 9, 60, 61, 62, 63):
        made = tasks("cell", scenario.model_copy(update={"replications": replications}), "fast")
        units = [(u.arm.name, u.replication) for t in made for u in t.units]
        assert sorted(units) == sorted(itertools.product(("baremetal", "v6"), range(replications)))
        assert len(made) == 1 or all(t.nanoseconds >= LEAST_NANOSECONDS for t in made)
        assert len(made) > 2 or replications < 60
        assert len({t.id for t in made}) == len(made)


def test_with_a_band_its_ends_are_units_too(scenario: Scenario) -> None:
    """Replication 0 of each arm at each end, and nothing else more: what `batch.run` then asks."""
    plain = {k for t in tasks("cell", scenario, "fast") for k in t.keys}
    more = {k for t in tasks("cell", scenario, "fast", band=True) for k in t.keys}
    asked: set[str] = set()

    def execute(units: Sequence[Unit]) -> Iterator[tuple[int, RunResult]]:
        asked.update(map(key, units))
        yield from enumerate(map(batch.run_unit, units))

    batch.run(scenario, band=True, execute=execute)
    assert plain < more == asked
    assert len(more - plain) == 2 + 3  # low and high; of v6 also with unmapping


def test_long_units_go_alone(scenario: Scenario) -> None:
    """A unit that is worth sending is not held back by others."""
    settings = scenario.arms[0].settings
    long = settings.model_copy(
        update={"workload": settings.workload.model_copy(update={"repeat": 20000})}
    )
    arms = tuple(arm.model_copy(update={"settings": long}) for arm in scenario.arms)
    made = tasks("cell", scenario.model_copy(update={"arms": arms}), "fast")
    assert [len(t.units) for t in made] == [1] * 6


def test_keys_depend_on_everything_that_matters(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arm, settings, seed, replication, engine and code; equal units have equal keys."""
    first = unit(scenario)
    assert key(first) == key(unit(scenario))
    changed = [
        replace(first, replication=1),
        replace(first, seed=1),
        replace(first, engine="reference"),
        replace(first, arm=scenario.arms[1]),
        replace(first, stop_at=(5,)),
    ]
    keys = {key(u) for u in (first, *changed)}
    monkeypatch.setattr(plan, "code_digest", lambda: "another version")
    assert len(keys | {key(first)}) == 7


def test_key_depends_on_the_streams_content(tmp_path: Path) -> None:
    """A recorded stream that was made anew has new results."""
    stock = load("quickstart")
    first = unit(stock)
    workload = first.arm.settings.workload
    assert workload.kind == "recorded"
    copy = tmp_path / "copy.spestream"
    copy.write_bytes(b"something else")
    other = first.arm.settings.model_copy(
        update={"workload": workload.model_copy(update={"path": str(copy)})}
    )
    here = contents.stream_digest(first.arm.settings)
    there = contents.stream_digest(other)
    assert len({here, there, ""}) == 3


def profile_of(records: int) -> bytes:
    """A workload profile of so many records."""
    made = Profile(
        source="x",
        interval=1024,
        ops_per_record=1025,
        symbols=("f",),
        statics=(Static(0x400104, 0, 0, 0, 0),),
        latencies=(),
        phases=(Phase(fs_per_op=200_000, cells=((0, 0, records),)),),
    )
    return profile.dumps(made).encode()


STREAMS = stock_folder() / "streams"
AGAIN = {
    "profile": (profile_of(300), profile_of(301)),
    "recorded": tuple((STREAMS / f"threads.{k}.spestream").read_bytes() for k in (0, 1)),
}
"""By kind of workload: a file, and another that is written in its place."""


@pytest.mark.parametrize("kind", AGAIN)
def test_a_file_that_is_made_again_is_read_again(kind: str, tmp_path: Path) -> None:
    """In one process, at one path: the key, the length and the run are those of what is there."""

    def found(path: Path, data: bytes) -> list[object]:
        (tmp_path / "new").write_bytes(data)
        (tmp_path / "new").replace(path)  # as every import writes
        (tmp_path / "s.yaml").write_text(
            f"workload: {{kind: {kind}, path: {path}}}\narms: [{{design: baremetal}}]\n"
        )
        settings = load(tmp_path / "s.yaml").arms[0].settings
        (arm,) = batch.run(load(tmp_path / "s.yaml"))
        return [
            contents.stream_digest(settings),
            plan._ops(settings),
            arm.runs[0].vcpus[0].ended_at_op,
        ]

    first, second = AGAIN[kind]
    one, two = found(tmp_path / "a", first), found(tmp_path / "a", second)
    assert all(a != b for a, b in zip(one, two, strict=True))
    assert two == found(tmp_path / "b", second)


def test_cost_goes_by_the_workloads_length(tmp_path: Path) -> None:
    """Recorded, synthetic and captured workloads: as long as their streams are, give or take."""
    (tmp_path / "p.json").write_bytes(profile_of(3000))
    for workload in (
        f"{{kind: profile, path: {tmp_path / 'p.json'}, repeat: 2}}",
        "{kind: recorded, path: streams/threads.0.spestream, repeat: 2}",
        "{kind: synthetic, repeat: 2, phases: [{name: loop, length: 100, iterations: 30000}]}",
    ):
        file = tmp_path / "s.yaml"
        file.write_text(f"workload: {workload}\narms: [{{design: baremetal}}]\n")
        settings = load(file).arms[0].settings
        assert plan._ops(settings) == pytest.approx(resolve.stream_of(settings).ops, rel=0.05)
