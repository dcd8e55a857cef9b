"""How fast `speskew export perf` writes, and that its memory does not grow with the records."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from reports import rerunning
from reports.perf import export
from sim.runs import batch
from sim.scenario.files import loader
from tests.benchmarks.recording import line

PASS = 18_114_220
"""Operations of a pass of the quickstart's stream."""
pytestmark = [pytest.mark.bench, pytest.mark.targeted]


def _found(repeat: int) -> rerunning.Rerun:
    scenario = loader.load("quickstart", (f"workload.ops={repeat * PASS}ops",), replications=1)
    arm = scenario.arms[0]
    run = batch.rerun(arm, scenario.seed, 0)
    return rerunning.Rerun(arm, scenario.seed, run, batch.stream_of(arm))


def _write(found: rerunning.Rerun, path: Path) -> float:
    """Seconds that writing took."""
    began = time.perf_counter()
    with path.open("wb") as file:
        export.write(file, found, perf_format="6.1", program=None)
    return time.perf_counter() - began


def test_a_million_records_a_second(tmp_path: Path) -> None:
    """A recorded program's records, the re-run not counted."""
    found = _found(112)
    _write(found, tmp_path / "warm.data")
    rate = found.total / _write(found, tmp_path / "perf.data")
    line("targeted", "export perf: records", rate / 1e6, "M/s", ">= 1")
    assert found.total > 1_700_000


def test_memory_is_flat(tmp_path: Path) -> None:
    """Peak of Python's memory while writing, for few and for many records."""
    peaks = []
    for repeat in (20, 200):
        found = _found(repeat)
        _write(found, tmp_path / "warm.data")
        tracemalloc.start()
        _write(found, tmp_path / "perf.data")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    for times, peak in zip((1, 10), peaks, strict=True):
        line(
            "targeted",
            f"export perf: peak memory, {times}x records",
            peak / (1 << 20),
            "MiB",
            "flat",
        )
    assert peaks[1] < 1.2 * peaks[0]
