"""A report that is built again from its directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from tests.reports import drawing
from tests.rigs.tiny import TINY, call, files


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with the tiny scenario in it."""
    Path("tiny.yaml").write_text(TINY)


def test_report_is_built_again_from_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes of page and report.md, also of a run that wrote none; pictures on request."""
    drawing.only(monkeypatch, "ledgers", "timeline-2")
    call("run", "tiny.yaml", "-o", "a")
    call("run", "tiny.yaml", "-o", "b", "--no-report")
    assert "report.html" not in files("b")
    done = call("report", "b", "--figures")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[:2] == ["b/report.html", "b/report.md"]
    pictures = {k: v for k, v in files("b").items() if k.startswith("figures/")}
    assert {k: v for k, v in files("b").items() if k not in pictures} == files("a")
    assert "figures/timeline-2.png" in pictures
    assert "figures/ledgers.svg" in pictures
    call("run", "tiny.yaml", "-o", "c", "--figures")
    assert files("c") == files("b")


def test_report_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run, a table that is gone, a damaged table, another version: no traceback, page kept."""
    drawing.only(monkeypatch, "locked")
    call("run", "tiny.yaml", "-o", "out")
    page = Path("out/report.html").read_bytes()
    Path("out/data/locked.csv").write_text("arm,t_us\n")
    done = call("report", "out")
    assert (done.exit_code, "locked.csv:1: columns are" in done.stderr) == (ExitCode.USAGE, True)
    Path("out/data/locked.csv").write_text("arm,t_us,locked_bytes,limit_bytes\nv6,x,1,\n")
    assert "locked.csv:2:" in call("report", "out").stderr
    Path("out/data/locked.csv").unlink()
    assert "run the scenario again" in call("report", "out").stderr
    Path("out/manifest.json").write_text("[]")
    assert call("report", "out").exit_code == ExitCode.USAGE
    assert Path("out/report.html").read_bytes() == page
    assert call("report", "absent").exit_code == ExitCode.USAGE
    result = json.loads(Path("out/result.json").read_text())
    Path("out/result.json").write_text(json.dumps(result | {"result_version": 99}))
    assert call("report", "out").exit_code == ExitCode.BASELINE
