"""Attempts at a sweep: two at once, killed before the manifest, failed units again."""

from __future__ import annotations

from pathlib import Path

import pytest

import reports
from reports.exitcodes import ExitCode
from sim.runs import backends
from tests.rigs.swept import LONG, MATRIX, cells, results, started, wait_for_units
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test in a folder of its own, with a scenario of four cells."""
    Path("s.yaml").write_text(TINY + MATRIX)
    home = str(Path(next(iter(reports.__path__))).parent)
    monkeypatch.setenv("PYTHONPATH", home)


def test_killed_before_the_manifest() -> None:
    """What a sweep writes first is no obstacle to the next attempt, with or without --resume."""
    for options in ((), ("--resume",)):
        folder = Path("early" + "".join(options))
        folder.mkdir()
        (folder / ".lock").touch()
        (folder / ".sweep.json.x1y2").write_text("{")
        assert (
            call("sweep", "s.yaml", "-o", str(folder), "-q", "--no-report", *options).exit_code == 0
        )
        assert (folder / "result.json").is_file()


def test_two_sweeps_into_one_folder() -> None:
    """The second is refused while the first runs, and does no harm."""
    Path("s.yaml").write_text(LONG)
    with started() as process:
        wait_for_units(process, 1)
        second = call("sweep", "s.yaml", "-o", "out", "--resume")
        assert second.exit_code == ExitCode.USAGE
        assert "another sweep" in second.stderr
        process.kill()
        process.communicate()


def test_failed_units_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is not a result: --resume runs it again."""
    real = backends.run_task
    monkeypatch.setattr(backends, "run_task", lambda task: backends.Failure("out of luck"))
    done = call("sweep", "s.yaml", "-o", "out", "-q", "--no-report")
    assert done.exit_code == ExitCode.MODEL
    assert [row["why"] for row in cells()] == ["out of luck"] * 4
    monkeypatch.setattr(backends, "run_task", real)
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--no-report", "--resume").exit_code == 0
    call("sweep", "s.yaml", "-o", "whole", "-q", "--no-report")
    assert results() == results("whole")
