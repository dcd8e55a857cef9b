"""Parts of a sweep: tasks, the store of unit results, and workers that may die."""

from __future__ import annotations

import itertools
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.machine import resolve
from sim.runs import batch
from sim.runs import tasks as plan
from sim.runs.backends import Failure, Here, Processes, run_task
from sim.runs.batch import Unit
from sim.runs.store import Store
from sim.runs.tasks import LEAST_NANOSECONDS, key, task, tasks
from sim.scenario.files.loader import load
from sim.scenario.models.scenario import Scenario
from sim.workload.capture import profile
from sim.workload.capture.profile import Phase, Profile, Static
from tests.rigs.pages import ROOT
from tests.sim.runs.made_results import same

TEXT = """\
replications: 3
workload: {kind: synthetic, repeat: 20, phases: [{name: loop, length: 100, iterations: 500}]}
spe: {jitter: on}
driver: {aux: 8KiB}
arms: [{design: baremetal}, {design: v6}]
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    """Two arms of a million ops."""
    file = tmp_path / "s.yaml"
    file.write_text(TEXT)
    return load(file)


def unit(scenario: Scenario, replication: int = 0) -> Unit:
    """A replication of the first arm."""
    return Unit(scenario.arms[0], scenario.seed, replication, "fast", keep_records=False)


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
        replace(first, ends=(5,)),
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
    here = plan._stream_digest(first.arm.settings)
    there = plan._stream_digest(other)
    assert len({here, there, ""}) == 3


def test_cost_goes_by_the_workloads_length(tmp_path: Path) -> None:
    """Recorded, synthetic and captured workloads: as long as their streams are, give or take."""
    made = Profile(
        source="x",
        interval=1024,
        ops_per_record=1025,
        symbols=("f",),
        statics=(Static(0x400104, 0, 0, 0, 0),),
        latencies=(),
        phases=(Phase(fs_per_op=200_000, cells=((0, 0, 3000),)),),
    )
    (tmp_path / "p.json").write_text(profile.dumps(made))
    for workload in (
        f"{{kind: profile, path: {tmp_path / 'p.json'}, repeat: 2}}",
        "{kind: recorded, path: streams/threads.0.spestream, repeat: 2}",
        "{kind: synthetic, repeat: 2, phases: [{name: loop, length: 100, iterations: 30000}]}",
    ):
        file = tmp_path / "s.yaml"
        file.write_text(f"workload: {workload}\narms: [{{design: baremetal}}]\n")
        settings = load(file).arms[0].settings
        assert plan._ops(settings) == pytest.approx(resolve.stream_of(settings).ops, rel=0.05)


# --- store


@pytest.fixture
def said() -> list[str]:
    """What a store said of units that it could not read."""
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> Store:
    """A store that is not there yet."""
    return Store(tmp_path / "units", lambda path, why: said.append(f"{path.name}: {why}"))


def test_store_keeps_results_whole(scenario: Scenario, store: Store, tmp_path: Path) -> None:
    """What comes back is what was put: ledgers, histograms, arrays, records."""
    result = batch.run_unit(replace(unit(scenario), keep_records=True))
    assert store.get("k") is None
    store.put("k", result)
    found = store.get("k")
    assert found is not None
    assert found.vcpus[0].ledgers == result.vcpus[0].ledgers
    assert np.array_equal(found.vcpus[0].written, result.vcpus[0].written)
    assert same(found, result)
    assert "k" in store
    assert [p.name for p in (tmp_path / "units").iterdir()] == ["k.unit"]


def test_what_is_damaged_is_said_and_absent(
    scenario: Scenario, store: Store, said: list[str], tmp_path: Path
) -> None:
    """Cut anywhere, one bit changed, or empty: absent with its reason, never half a result."""
    store.put("k", batch.run_unit(unit(scenario)))
    path = tmp_path / "units" / "k.unit"
    whole = path.read_bytes()
    damaged = [whole[:length] for length in (*range(0, 60), len(whole) // 2, len(whole) - 1)]
    damaged += [
        whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        for place in (0, 20, 50, len(whole) // 2, len(whole) - 1)
    ]
    for data in damaged:
        path.write_bytes(data)
        assert store.get("k") is None
    assert len(said) == len(damaged)
    assert {line.partition(", ")[0] for line in said} == {
        "k.unit: it does not begin as a unit of this version does",
        "k.unit: its checksum does not match: it was cut or changed",
    }
    path.write_bytes(whole)
    assert store.get("k") is not None
    assert len(said) == len(damaged)


def test_a_unit_that_may_not_be_read_is_said(store: Store, said: list[str], tmp_path: Path) -> None:
    """The system's reason, too; a unit that is not there is none to speak of."""
    assert store.get("k") is None
    assert said == []
    (tmp_path / "units" / "k.unit").mkdir(parents=True)
    assert "k" not in store
    assert said == ["k.unit: Is a directory"]


def test_leftovers_of_a_kill_are_swept_up(tmp_path: Path) -> None:
    """Temporary files go, results stay."""
    (tmp_path / ".tmp123").write_bytes(b"half")
    (tmp_path / "k.unit").write_bytes(b"")
    Store(tmp_path, lambda path, why: None).sweep_up()
    assert [p.name for p in tmp_path.iterdir()] == ["k.unit"]


# --- workers


def test_processes_and_here_agree(scenario: Scenario) -> None:
    """The same results, whoever ran them."""
    made = [task("c", (u,)) for u in map(lambda r: unit(scenario, r), range(4))]
    here = dict((t.id, outcome) for t, outcome in Here().run(made))
    processes = Processes(2)
    try:
        there = dict((t.id, outcome) for t, outcome in processes.run(made))
    finally:
        processes.close()
    assert here.keys() == there.keys()
    assert all(same(here[name], there[name]) for name in here)


def test_a_failing_task_says_why_in_one_line(scenario: Scenario) -> None:
    """An error of any kind is an outcome."""
    broken = replace(unit(scenario), engine="no such engine")
    outcome = run_task(task("c", (broken,)))
    assert isinstance(outcome, Failure)
    assert "\n" not in outcome.why
    assert outcome.why


def test_a_worker_with_other_code_or_streams_refuses(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results of another version, or of another file under the same path, are never mixed in."""
    made = task("c", (unit(scenario),))
    assert not isinstance(run_task(made), Failure)
    monkeypatch.setattr(plan, "code_digest", lambda: "another version")
    outcome = run_task(made)
    assert isinstance(outcome, Failure)
    assert "another speskew" in outcome.why


class Deadly(str):
    """An engine whose name kills the process that unpickles it, unless it is its parent."""

    def __reduce__(self) -> Any:
        return _die, ()


def _die() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def test_a_dying_process_fails_its_own_task_only(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it runs a task: that task fails, all others have their results."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(ROOT)]))
    good = [task("c", (unit(scenario, r),)) for r in range(5)]
    bad = replace(good[2], units=(replace(good[2].units[0], engine=Deadly("x")),))
    processes = Processes(2)
    try:
        outcomes = [(t.id, outcome) for t, outcome in processes.run([*good[:2], bad, *good[3:]])]
    finally:
        processes.close()
    failures = [o for _, o in outcomes if isinstance(o, Failure)]
    assert sorted(name for name, _ in outcomes) == sorted(t.id for t in good)
    (why,) = (f.why for f in failures)
    assert why == (
        "cell c, arms baremetal, replications 2-2: its process was killed, as when memory is "
        "short (twice)"
    )
