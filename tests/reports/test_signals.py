"""Ctrl-C at an awkward moment waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.exitcodes import ExitCode
from reports.store import parquet
from tests.reports import drawing
from tests.rigs.processes import presses
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with the tiny scenario in it."""
    Path("tiny.yaml").write_text(TINY)


def test_ctrl_c_while_tables_are_written_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was simulated is written whole; the report can be drawn later, and is the same."""
    drawing.only(monkeypatch, "losses")
    call("run", "tiny.yaml", "-o", "calm")
    real = parquet.write

    def pressed(*args: Any, **kwargs: Any) -> Any:
        presses()
        return real(*args, **kwargs)

    monkeypatch.setattr(parquet, "write", pressed)
    done = call("run", "tiny.yaml", "-o", "out")
    assert done.exit_code == ExitCode.INTERRUPTED
    assert "speskew report run out" in done.stderr
    assert not Path("out/report.html").exists()
    assert call("report", "run", "out").exit_code == 0
    for name in ("result.json", "summary.txt", "report.html", "report.md"):
        assert Path("out", name).read_bytes() == Path("calm", name).read_bytes(), name
