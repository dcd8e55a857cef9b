"""Small sweeps, and what they leave behind."""

from __future__ import annotations

import sys
from pathlib import Path

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
