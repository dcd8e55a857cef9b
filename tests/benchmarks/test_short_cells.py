"""What a short cell of a sweep costs beside its simulation, as a ratio of one run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from reports.sweeps import attempt, sweeping
from reports.sweeps.words import Quiet
from sim.results import RunResult
from sim.runs import batch
from sim.runs.batch import Unit
from tests.benchmarks.recording import line

pytestmark = [pytest.mark.bench, pytest.mark.targeted]
SCENARIO = """
schema_version: 1
name: short-cells
replications: 2
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 300000}]}
spe: {jitter: on}
driver: {aux: 1MiB, mode: task}
switch: {every: 2ms, away: 50us}
arms: [{design: baremetal}, {design: v6}]
matrix: {parameters.t_irq_latency: [%s]}
"""
"""Cells of 7 ms, each with losses of its own."""


def swept(cells: int, folder: Path) -> float:
    """CPU seconds of a sweep from its plan to its page."""
    folder.mkdir()
    source = folder / "cells.yaml"
    source.write_text(SCENARIO % ", ".join(f"{1000 + k}ns" for k in range(cells)))
    began = time.process_time()
    plan = attempt.planned(sweeping.Asked(str(source), (), None, None, "fast"))
    crew, shown = attempt.workers(1, None, Quiet()), Quiet()
    with attempt.owned(folder / "sweep", plan.base, resume=False):
        result = attempt.run(folder / "sweep", plan, crew, [], report=True, shown=shown)
    assert not any(cell.failed for cell in result.cells)
    return time.process_time() - began


def test_short_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is not simulating: planning, keys, units on disk, statistics, JSON, tables, page."""
    simulating = 0.0
    run_unit = batch.run_unit

    def timed(unit: Unit) -> RunResult:
        nonlocal simulating
        began = time.process_time()
        made = run_unit(unit)
        simulating += time.process_time() - began
        return made

    monkeypatch.setattr(batch, "run_unit", timed)
    swept(2, tmp_path / "warm")
    simulating, cells = 0.0, 500
    whole = swept(cells, tmp_path / "cells")
    line("targeted", f"a cell of {cells}: simulating", simulating / cells * 1e3, "ms")
    line("targeted", "beside it", (whole - simulating) / cells * 1e3, "ms")
    line("targeted", "of all", 100 * (whole - simulating) / whole, "%", "<= 10")
