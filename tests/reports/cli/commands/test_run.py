"""`speskew run`: its files, options, codes, and the keys that stop it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from analysis.columns import TABLES
from reports.exitcodes import ExitCode
from reports.runs import rebuilding
from reports.store import parquet
from reports.store.csvdata import SHAPES
from reports.traces import timeline
from sim.runs import batch
from sim.scenario.files import loader
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


def test_equal_runs_have_equal_bytes() -> None:
    """Two runs, one with two workers, one replayed from the resolved scenario."""
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


def test_interruption_keeps_finished_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the first arm: 130, its result is there and everything is marked."""
    real = batch.run_arms

    def stops(*args: Any, **kwargs: Any) -> Iterator[batch.ArmResult]:
        yield next(iter(real(*args, **kwargs)))
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "run_arms", stops)
    done = call("run", "tiny.yaml", "-o", "out")
    assert done.exit_code == ExitCode.INTERRUPTED
    found = json.loads(Path("out/result.json").read_text())
    assert found["interrupted"] is True
    assert list(found["arms"]) == ["baremetal"]
    assert json.loads(Path("out/manifest.json").read_text())["options"]["interrupted"] is True
    assert "INTERRUPTED" in done.stdout
    assert "INTERRUPTED" in Path("out/report.html").read_text()


def _presses(*args: object, **kwargs: object) -> None:
    """Ctrl-C, as the terminal sends it."""
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_during_the_timelines_keeps_the_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    """All arms had finished: they are there, marked, without the timelines."""
    monkeypatch.setattr(timeline, "of_unit", _presses)
    done = call("run", "tiny.yaml", "-o", "out")
    assert done.exit_code == ExitCode.INTERRUPTED
    found = json.loads(Path("out/result.json").read_text())
    assert found["interrupted"] is True
    assert len(found["arms"]) == len(loader.load("tiny.yaml").arms)
    assert Path("out/report.html").is_file()


def test_ctrl_c_while_tables_are_written_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was simulated is written whole; the report can be drawn later, and is the same."""
    call("run", "tiny.yaml", "-o", "calm")
    real = parquet.write

    def pressed(*args: Any, **kwargs: Any) -> Any:
        _presses()
        return real(*args, **kwargs)

    monkeypatch.setattr(parquet, "write", pressed)
    done = call("run", "tiny.yaml", "-o", "out")
    assert done.exit_code == ExitCode.INTERRUPTED
    assert "speskew report run out" in done.stderr
    assert not Path("out/report.html").exists()
    assert call("report", "run", "out").exit_code == 0
    for name in ("result.json", "summary.txt", "report.html", "report.md"):
        assert Path("out", name).read_bytes() == Path("calm", name).read_bytes(), name


def test_ctrl_c_during_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is kept whole, not marked, and the message says how to get the report."""
    monkeypatch.setattr(rebuilding, "rebuild", _presses)
    done = call("run", "tiny.yaml", "-o", "out")
    assert done.exit_code == ExitCode.INTERRUPTED
    assert "the result is whole, for the report: speskew report run out" in done.stderr
    assert json.loads(Path("out/result.json").read_text())["interrupted"] is False
    assert json.loads(Path("out/log.jsonl").read_text().splitlines()[-1])["what"] == "report"


def test_quiet_says_nothing_of_progress() -> None:
    """`-q` leaves the path of the result, and no lines about arms."""
    said = call("run", "tiny.yaml", "-o", "a", "--no-report").stderr
    quiet = call("run", "tiny.yaml", "-o", "b", "--no-report", "-q").stderr
    assert "arms, " in said
    assert quiet == "b\n"
