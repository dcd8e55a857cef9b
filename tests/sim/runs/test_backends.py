"""Where tasks are run: here, in processes that may die, on workers that must have the same code."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sim.runs import tasks as plan
from sim.runs.backends import Failure, Here, Processes, run_task
from sim.runs.store import Store
from sim.runs.tasks import task
from sim.scenario.models.scenario import Scenario
from tests.rigs.pages import ROOT
from tests.sim.runs.made_results import same
from tests.sim.runs.scenarios import unit

# --- workers


def store(folder: Path) -> Store:
    """A store in which every unit can be read."""

    def unreadable(path: Path, why: str) -> None:
        raise AssertionError(f"{path}: {why}")

    return Store(folder, unreadable)


def test_processes_and_here_agree(scenario: Scenario, tmp_path: Path) -> None:
    """The same results are kept, whoever ran them."""
    made = [task("c", (u,)) for u in map(lambda r: unit(scenario, r), range(4))]
    here, there = (store(tmp_path / name) for name in ("here", "there"))
    done = dict((t.id, failure) for t, failure in Here().run(made, here))
    processes = Processes(2)
    try:
        assert dict((t.id, failure) for t, failure in processes.run(made, there)) == done
    finally:
        processes.close()
    assert done == {t.id: None for t in made}
    for key in (k for t in made for k in t.keys):
        one, other = here.get(key), there.get(key)
        assert one is not None
        assert other is not None
        assert same(one, other)


def test_other_work_goes_to_the_processes_too() -> None:
    """Each item once, by its index; what is raised there is raised here."""
    processes = Processes(2)
    try:
        for workers in (Here(), processes):
            assert dict(workers.each(int, ["3", "4", "5"])) == {0: 3, 1: 4, 2: 5}
            with pytest.raises(ValueError, match="invalid literal"):
                dict(workers.each(int, ["x"]))
    finally:
        processes.close()


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
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it runs a task: that task fails, all others have their results."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(ROOT)]))
    good = [task("c", (unit(scenario, r),)) for r in range(5)]
    bad = replace(good[2], units=(replace(good[2].units[0], engine=Deadly("x")),))
    processes = Processes(2)
    try:
        asked = [*good[:2], bad, *good[3:]]
        outcomes = [(t.id, failure) for t, failure in processes.run(asked, store(tmp_path / "u"))]
    finally:
        processes.close()
    failures = [o for _, o in outcomes if isinstance(o, Failure)]
    assert sorted(name for name, _ in outcomes) == sorted(t.id for t in good)
    (why,) = (f.why for f in failures)
    assert why == (
        "cell c, arms baremetal, replications 2-2: its process was killed, as when memory is "
        "short (twice)"
    )
