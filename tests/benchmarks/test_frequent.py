"""What users do every day, as whole processes: seconds and peak memory, medians of three."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import pytest

from reports import rerunning
from reports.captures import spe_parser_writer
from sim.runs import batch
from sim.scenario.files import loader
from sim.workload.index import build_index
from sim.workload.presets import get_preset
from sim.workload.spestream import read_spestream
from tests.benchmarks.recording import line, whole_process

pytestmark = [pytest.mark.bench, pytest.mark.frequent]
CODE = "from reports.cli.main import main\nif __name__ == '__main__':\n    main()"


def speskew(name: str, arguments: Sequence[str], folder: Path, target: str = "") -> None:
    """Two lines: seconds and peak memory of a command."""
    found = whole_process(CODE, arguments, 3, folder)
    line("frequent", name, found.seconds * 1e3, "ms", target)
    line("frequent", f"{name}: peak memory", found.peak, "MiB")


def test_start_up(tmp_path: Path) -> None:
    """Python alone, then what every command pays."""
    bare = whole_process("pass", (), 5, tmp_path)
    line("frequent", "python alone", bare.seconds * 1e3, "ms")
    speskew("speskew --help", ["--help"], tmp_path, "<= 150")
    speskew("speskew validate quickstart", ["validate", "quickstart"], tmp_path)
    speskew("speskew list designs", ["list", "designs"], tmp_path)


@pytest.mark.parametrize("jobs", [1, 2])
def test_quickstart(jobs: int, tmp_path: Path) -> None:
    """The first command of the README, with its report."""
    arguments = ["run", "quickstart", "-j", str(jobs), "-o", "q", "--force"]
    speskew(f"speskew run quickstart -j {jobs}", arguments, tmp_path, "<= 30,000")


def test_report(tmp_path: Path) -> None:
    """The page of a run, built again."""
    arguments = ["run", "quickstart", "-o", "q", "--no-report"]
    whole_process(CODE, [*arguments, "--force"], 1, tmp_path)
    speskew("speskew report", ["report", "q"], tmp_path)


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_sweep(jobs: int, tmp_path: Path) -> None:
    """Thirty cells, from nothing each time."""
    fresh = CODE.replace("    main()", "    import shutil; shutil.rmtree('s', True); main()")
    arguments = ["sweep", "sweeps/rlimit-map", "-j", str(jobs), "-q", "-o", "s", "--no-report"]
    found = whole_process(fresh, arguments, 1, tmp_path)
    cpus = len(os.sched_getaffinity(0))
    line("frequent", f"sweep of 30 cells, -j {jobs}", found.seconds, "s", f"on {cpus} CPUs")


def test_index_build() -> None:
    """Decoding the shipped mix and building its index."""
    path = Path(str(files("scenarios") / "streams" / "mix.spestream"))
    build_index(read_spestream(path), get_preset("neoverse-n1"), False)
    began = time.perf_counter()
    recording = read_spestream(path)
    read = time.perf_counter() - began
    build_index(recording, get_preset("neoverse-n1"), False)
    line("frequent", "mix: read", read * 1e3, "ms")
    line("frequent", "mix: index build", (time.perf_counter() - began - read) * 1e3, "ms")


def test_parquet(tmp_path: Path) -> None:
    """Records as Parquet with spe-parser's columns."""
    scenario = loader.load("quickstart", ("workload.ops=3.6e8ops",), replications=1)
    arm = scenario.arms[0]
    run = batch.rerun(arm, scenario.seed, 0)
    found = rerunning.Rerun(arm, scenario.seed, run, batch.stream_of(arm))
    spe_parser_writer.write(tmp_path / "x", found)
    began = time.perf_counter()
    spe_parser_writer.write(tmp_path / "x", found)
    seconds = time.perf_counter() - began
    line("frequent", "Parquet: records", found.total / seconds / 1e6, "M/s")
    assert found.total > 100_000
