"""`speskew run`: its files, options, codes, and the keys that stop it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet
import pytest

from analysis.columns import TABLES
from reports.exitcodes import ExitCode
from reports.store.csvdata import SHAPES
from tests.reports import drawing
from tests.rigs.tiny import DIFFER, TINY, call, files


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with the tiny scenario in it."""
    Path("tiny.yaml").write_text(TINY)


def test_run_writes_a_directory_and_prints_a_summary() -> None:
    """Summary on stdout; progress and the path, last, on stderr."""
    done = call("run", "tiny.yaml", "-o", "out")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("tiny: prediction of 3 arms, 3 replications, seed 7")
    assert done.stdout == Path("out/summary.txt").read_text()
    lines = done.stderr.splitlines()
    arms = [line.partition(" arms, ")[0] for line in lines if " arms, " in line]
    assert arms == ["1/3", "2/3", "3/3"]
    assert lines[-1] == "out/report.html"
    assert set(files("out")) | DIFFER == {
        "scenario.yaml",
        "scenario.resolved.yaml",
        "manifest.json",
        "log.jsonl",
        "result.json",
        "summary.txt",
        "report.html",
        "report.md",
        *(f"data/{name}.csv" for name in SHAPES),
    } | (set(TABLES) - {"records.parquet", "aux.parquet"})
    assert Path("out/scenario.yaml").read_text() == TINY


def test_equal_runs_have_equal_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs, one with two workers, one replayed from the resolved scenario."""
    drawing.only(monkeypatch, "losses")  # each is drawn from tables that are compared
    call("run", "tiny.yaml", "-o", "a", "--keep-records")
    call("run", "tiny.yaml", "-o", "b", "--keep-records", "-j", "2")
    call("run", "a/scenario.resolved.yaml", "-o", "c", "--keep-records")
    assert files("a") == files("b")
    same = files("a").keys() - {"scenario.yaml"}
    assert {k: files("c")[k] for k in same} == {k: files("a")[k] for k in same}


def test_both_engines_give_one_result() -> None:
    """`reference` writes the same result.json."""
    call("run", "tiny.yaml", "-o", "a", "--no-report")
    call("run", "tiny.yaml", "-o", "b", "--no-report", "--engine", "reference")
    assert files("a") == files("b")


def test_records_are_kept_on_request() -> None:
    """records.parquet has a row per written record and the columns of RECORD_DT."""
    call("run", "tiny.yaml", "-o", "out", "--keep-records", "--no-report")
    table = pyarrow.parquet.read_table("out/records.parquet")
    arms = json.loads(Path("out/result.json").read_text())["arms"]
    assert table.num_rows == sum(a["ledger"]["selections"]["written"] for a in arms.values())
    assert {"arm", "replication", "op", "va", "t_select"} <= set(table.column_names)


def test_options_reach_the_scenario() -> None:
    """--seed, --replications and --set are in the resolved scenario and the manifest."""
    done = call(
        "run",
        "tiny.yaml",
        "-o",
        "out",
        "--seed",
        "9",
        "--replications",
        "2",
        "--no-report",
        "--set",
        "spe.interval=2048ops",
        "--format",
        "json",
    )
    shown = json.loads(done.stdout)
    assert (shown["seed"], shown["replications"]) == (9, 2)
    assert shown["arms"]["v6"]["setup"]["interval_ops"] == 2048
    assert done.stdout == Path("out/result.json").read_text()
    assert json.loads(Path("out/manifest.json").read_text())["seed"] == 9


def test_default_directory_is_named_after_the_scenario() -> None:
    """runs/<name>-<hash8>."""
    done = call("run", "tiny.yaml", "--replications", "2", "--no-report")
    (made,) = Path("runs").iterdir()
    assert done.stderr.splitlines()[-1] == str(made)
    assert made.name.startswith("tiny-")


def test_existing_runs_are_safe_without_force() -> None:
    """A second run refuses with 2 before it simulates; --force replaces."""
    few = ("--replications", "2", "--no-report")
    assert call("run", "tiny.yaml", "-o", "out", *few).exit_code == 0
    before = files("out")
    refused = call("run", "tiny.yaml", "-o", "out", "--seed", "1", *few)
    assert refused.exit_code == ExitCode.USAGE
    assert "--force" in refused.stderr
    assert refused.stdout == ""
    assert files("out") == before
    assert call("run", "tiny.yaml", "-o", "out", "--seed", "1", "--force", *few).exit_code == 0
    assert files("out") != before


def test_quiet_says_nothing_of_progress() -> None:
    """`-q` leaves the path of the result, and no lines about arms."""
    said = call("run", "tiny.yaml", "-o", "a", "--no-report").stderr
    quiet = call("run", "tiny.yaml", "-o", "b", "--no-report", "-q").stderr
    assert "arms, " in said
    assert quiet == "b\n"
