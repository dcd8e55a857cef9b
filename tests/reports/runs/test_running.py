"""A run and its interruptions: what was finished is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.exitcodes import ExitCode
from reports.runs import rebuilding
from reports.traces import timeline
from sim.runs import batch
from sim.scenario.files import loader
from tests.reports import drawing
from tests.rigs.processes import presses
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with the tiny scenario in it."""
    Path("tiny.yaml").write_text(TINY)


def test_interruption_keeps_finished_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the first arm: 130, its result is there and everything is marked."""
    real = batch.run_arms

    def stops(*args: Any, **kwargs: Any) -> Iterator[batch.ArmResult]:
        yield next(iter(real(*args, **kwargs)))
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "run_arms", stops)
    drawing.only(monkeypatch, "losses")
    done = call("run", "tiny.yaml", "-o", "out")
    assert done.exit_code == ExitCode.INTERRUPTED
    found = json.loads(Path("out/result.json").read_text())
    assert found["interrupted"] is True
    assert list(found["arms"]) == ["baremetal"]
    assert json.loads(Path("out/manifest.json").read_text())["options"]["interrupted"] is True
    assert "INTERRUPTED" in done.stdout
    assert "INTERRUPTED" in Path("out/report.html").read_text()


def test_ctrl_c_during_the_timelines_keeps_the_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    """All arms had finished: they are there, marked, without the timelines."""
    monkeypatch.setattr(timeline, "of_unit", presses)
    drawing.only(monkeypatch, "losses", "timeline")
    done = call("run", "tiny.yaml", "-o", "out")
    assert done.exit_code == ExitCode.INTERRUPTED
    found = json.loads(Path("out/result.json").read_text())
    assert found["interrupted"] is True
    assert len(found["arms"]) == len(loader.load("tiny.yaml").arms)
    assert Path("out/report.html").is_file()


def test_ctrl_c_during_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is kept whole, not marked, and the message says how to get the report."""
    monkeypatch.setattr(rebuilding, "rebuild", presses)
    done = call("run", "tiny.yaml", "-o", "out")
    assert done.exit_code == ExitCode.INTERRUPTED
    assert "the result is whole, for the report: speskew report run out" in done.stderr
    assert json.loads(Path("out/result.json").read_text())["interrupted"] is False
    assert json.loads(Path("out/log.jsonl").read_text().splitlines()[-1])["what"] == "report"


def test_a_run_without_a_report_loads_neither_plotting_nor_pandas() -> None:
    """Half of a short run's time; whatever the run does, in a process of its own."""
    code = (
        "import sys\nfrom reports.cli.main import main\n"
        "try: main(['run', 'tiny.yaml', '-o', 'out', '--no-report', '-q', '-j', '1'])\n"
        "except SystemExit as end: print({'matplotlib', 'pandas'} & {*sys.modules}, end.code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set() 0"
