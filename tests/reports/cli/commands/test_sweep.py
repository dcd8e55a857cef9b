"""`speskew sweep` as a verb: what it says, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import reports
from reports.exitcodes import ExitCode
from tests.reports import drawing
from tests.rigs.swept import MATRIX, cells
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test in a folder of its own, with a scenario of four cells; pages without figures."""
    drawing.of_sweep(monkeypatch, 0)
    Path("s.yaml").write_text(TINY + MATRIX)
    home = str(Path(next(iter(reports.__path__))).parent)
    monkeypatch.setenv("PYTHONPATH", home)


def test_what_it_says() -> None:
    """A line per cell and arm, then per cell and arm that pins; JSON and CSV are the files;
    progress and the path on stderr."""
    done = call("sweep", "s.yaml", "-o", "out")
    arms, edges = (part.splitlines() for part in done.stdout.split("\n\n"))
    assert arms[0].split("  ")[0] == edges[0].split("  ")[0] == "driver.aux"
    assert len(arms) == 1 + 4 * 3
    assert len(edges) == 1 + 4
    said = done.stderr.splitlines()
    assert said[-1] == "out/report.html"
    assert said[1].startswith("1/4 cells, ")
    assert any("left: " in line for line in said)
    counted = [line[:9] for line in said if line[1:9] == "/4 cells"]
    assert list(dict.fromkeys(counted)) == [f"{k}/4 cells" for k in range(5)]  # again if it is slow
    text = call("sweep", "s.yaml", "-o", "out", "--resume", "-q", "--format", "json").stdout
    assert text == Path("out/result.json").read_text()
    text = call("sweep", "s.yaml", "-o", "out", "--resume", "-q", "--format", "csv").stdout
    rows = list(csv.DictReader(text.splitlines()))
    loss = [r for r in rows if (r["arm"], r["metric"]) == ("cold", "loss.total")]
    assert len(loss) == 4
    assert {r["spe.interval"] for r in loss} == {"1024ops", "2048ops"}
    assert all(float(r["low"]) < float(r["mean"]) < float(r["high"]) for r in loss)


def test_dry_run_lists_cells_and_cost() -> None:
    """Nothing is run or written."""
    done = call("sweep", "s.yaml", "-n")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 5
    assert "4 cells, about" in done.stdout
    rows = json.loads(call("sweep", "s.yaml", "-n", "--format", "json").stdout)
    assert [row["units"] for row in rows] == [9] * 4
    assert sorted(p.name for p in Path().iterdir()) == ["s.yaml"]


def test_cells_that_cannot_start_are_a_usage_error() -> None:
    """Only wrong settings, nothing went wrong while running: exit 2, the others are there."""
    Path("s.yaml").write_text(TINY + "matrix: {driver.aux: [8KiB, 9KiB]}\n")
    done = call("sweep", "s.yaml", "-o", "out", "-q")
    assert done.exit_code == ExitCode.USAGE
    assert [row["status"] for row in cells()] == ["finished", "failed"]


@pytest.mark.parametrize(
    ("file", "said"),
    [("out", "no directory"), ("out/x", "holds no sweep"), ("out/sweep.json", "cannot be read")],
)
def test_folders_that_are_no_sweeps_are_left_alone(file: str, said: str) -> None:
    """Exit 2, and nothing in them is touched."""
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text("{")
    done = call("sweep", "s.yaml", "-o", "out", "--resume")
    assert done.exit_code == ExitCode.USAGE
    assert said in done.stderr
    assert {p for p in Path().rglob("*") if p.is_file()} == {Path("s.yaml"), Path(file)}


def test_a_folder_of_another_scenario_is_refused() -> None:
    """--resume with the wrong folder."""
    call("sweep", "s.yaml", "-o", "out", "-q")
    Path("s.yaml").write_text((TINY + MATRIX).replace("name: tiny", "name: other"))
    done = call("sweep", "s.yaml", "-o", "out", "--resume")
    assert done.exit_code == ExitCode.USAGE
    assert "a sweep of 'tiny', not of 'other'" in done.stderr


def test_a_scenario_without_cells() -> None:
    """That is what `run` is for."""
    Path("s.yaml").write_text(TINY)
    done = call("sweep", "s.yaml")
    assert done.exit_code == ExitCode.USAGE
    assert "use `speskew run`" in done.stderr
