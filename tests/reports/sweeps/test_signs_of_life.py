"""A sweep says what it does, also while one unit takes long."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from reports import heartbeat
from reports.exitcodes import ExitCode
from sim.runs import backends
from sim.runs.backends import Kept, Outcome
from sim.runs.store import Store
from sim.runs.tasks import Task
from tests.rigs.swept import MATRIX
from tests.rigs.tiny import TINY, call

SWEEP = ("sweep", "s.yaml", "-o", "out", "--no-report")


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a sweep; little patience."""
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(TINY + MATRIX)
    defaults = {**heartbeat.working.__wrapped__.__kwdefaults__, "every": 0.05}  # type: ignore[attr-defined]
    monkeypatch.setattr(heartbeat.working.__wrapped__, "__kwdefaults__", defaults)  # type: ignore[attr-defined]


def test_a_long_unit_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line again, with how long it has been; with -q nothing."""
    real = backends.run_task

    def slow(task: Task) -> Outcome:
        time.sleep(0.2)
        return real(task)

    monkeypatch.setattr(backends, "run_task", slow)
    said = call(*SWEEP).stderr
    assert "0/4 cells, 0/36 units, 0 s" in said
    assert call(*SWEEP, "--resume", "-q").stderr == "out/result.json\n"


def test_compiling_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no compiled code yet."""
    monkeypatch.setattr(heartbeat, "compiled", lambda: False)
    assert heartbeat.ONCE in call(*SWEEP).stderr


def test_the_folder_is_removed_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not made again: a message, and nothing is there."""
    real = backends.Here.run

    def removing(self: backends.Here, tasks: Sequence[Task], into: Store) -> Iterator[Kept]:
        for number, finished in enumerate(real(self, tasks, into)):
            if number == 1:
                shutil.rmtree("out")
            yield finished

    monkeypatch.setattr(backends.Here, "run", removing)
    done = call(*SWEEP)
    assert done.exit_code == ExitCode.USAGE
    assert "out was removed while the sweep ran; start it again" in done.stderr
    assert not Path("out").exists()
