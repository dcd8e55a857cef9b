"""Small sweeps, and what they leave behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.rigs.processes import begun
from tests.rigs.tiny import TINY

MATRIX = """\
matrix:
  spe.interval: [1024ops, 2048ops]
  driver.aux: [8KiB, 16KiB]
"""
SPESKEW = [sys.executable, "-c", "from reports.cli.main import main; main()"]
LONG = TINY.replace("repeat: 40", "repeat: 200") + MATRIX.replace("[8KiB,", "[32KiB, 64KiB, 8KiB,")


def results(folder: str = "out") -> dict[str, bytes]:
    """Everything of a sweep that must be the same bytes each time."""
    files = [p for p in Path(folder).rglob("*") if p.is_file() and p.suffix != ".unit"]
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in files
        if p.name not in ("sweep.json", ".lock")
    }


def units(folder: str = "out") -> dict[str, int]:
    """Finished units, and when each was written."""
    return {p.name: p.stat().st_mtime_ns for p in Path(folder, "units").glob("*.unit")}


SAMPLES = """\
samples:
  method: %s
  points: 4
  over:
    parameters.t_map_present: {low: 10ns, high: 100ns, scale: log}
    parameters.t_copy: {low: 20ns, high: 500ns, scale: log}
"""
TIME = "time_added"


MAP, COPY = "parameters.t_map_present", "parameters.t_copy"


def cells(folder: str = "out") -> list[dict[str, Any]]:
    """Rows of the sweep's result."""
    rows: list[dict[str, Any]] = json.loads(Path(folder, "result.json").read_text())["cells"]
    return rows


def started(*args: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """A sweep in a process of its own."""
    command = [*SPESKEW, "sweep", "s.yaml", "-o", "out", *args]
    return begun(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def wait_for_units(process: subprocess.Popen[str], count: int) -> None:
    """Until so many units are finished; fails if the sweep ends before."""
    wait_for(lambda: Path("out/units").is_dir() and len(units()) >= count, process)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until something is so; fails if the sweep ends before."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, "the sweep was over before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
