"""Requested beside effective, and perf's warnings, wherever a result is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import speskew
from reports.results import result
from reports.store.read import read_result
from reports.sweeps.sweeping import read_result as read_sweep
from tests.reports import drawing
from tests.rigs.tiny import TINY, call

ASKED = TINY.replace("  - design: v6\n", "  - {design: v6, overrides: {spe.interval: 1009ops}}\n")


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own; pages without figures."""
    drawing.only(monkeypatch)
    drawing.of_sweep(monkeypatch, 0)
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(ASKED)


def test_a_run_says_both() -> None:
    """On the terminal, in result.json, in both reports; of the others nothing."""
    done = call("run", "s.yaml", "-o", "out", "-q", "--no-band")
    assert done.exit_code == 0
    assert done.stdout.count("not run as asked") == 1
    assert "spe.interval 1009ops → 1024ops: the least is spe.min_interval" in done.stdout
    arms = json.loads(Path("out/result.json").read_text())["arms"]
    assert arms["v6"]["setup"]["adjusted"][0]["requested"] == "1009ops"
    assert arms["v6"]["setup"]["adjusted"][0]["effective"] == "1024ops"
    assert "adjusted" not in arms["cold"]["setup"]
    for report in ("out/report.html", "out/report.md"):
        assert "1009ops → 1024ops" in Path(report).read_text()
    assert speskew.load("out").result.arms["v6"].setup.adjusted[0].effective == "1024ops"


@pytest.mark.parametrize("verb", ["validate", "show"])
def test_said_before_anything_runs(verb: str) -> None:
    """Where nothing is run, on stderr, with the arm."""
    done = call(verb, "s.yaml")
    assert "v6: spe.interval 1009ops → 1024ops" in done.stderr


def test_a_sweep_says_both() -> None:
    """In its tables, its result and its report, at the axis that is not run as asked."""
    Path("s.yaml").write_text(TINY + "matrix: {spe.interval: [256ops, 1000 ops, 2048ops]}\n")
    done = call("sweep", "s.yaml", "-o", "out", "-q", "--replications", "1")
    assert done.exit_code == 0
    arms, edges = done.stdout.split("\n\n")
    for axis in ("256ops → 1024ops", "1000 ops → 1024ops"):
        assert arms.count(axis) == 3
        assert edges.count(axis) == 1  # of the arm that pins
    assert "2048ops →" not in done.stdout
    found = read_sweep(Path("out"))
    assert [cell.as_run("spe.interval") for cell in found.cells] == ["1024ops", "1024ops", ""]
    assert "256ops → 1024ops" in Path("out/report.html").read_text()


def test_an_axis_of_one_arm() -> None:
    """`arms.NAME.KEY` is compared with that arm's; another arm's own rounding is not the cell's."""
    Path("s.yaml").write_text(ASKED + "matrix: {arms.cold.spe.interval: [300ops, 2048ops]}\n")
    assert call("sweep", "s.yaml", "-o", "out", "-q", "--replications", "1").exit_code == 0
    cells = read_sweep(Path("out")).cells
    assert [cell.as_run("arms.cold.spe.interval") for cell in cells] == ["1024ops", ""]
    assert all("v6" in cell.adjusted for cell in cells)


def test_perf_warnings() -> None:
    """`AUX data lost N times out of M`, of what the driver's flags say; none is said too."""
    slow = "driver: {aux: 8KiB, reader: {kind: process}}\nparameters: {t_reader_copy: 1ms}\n"
    Path("s.yaml").write_text(TINY.replace("driver: {aux: 8KiB}\n", slow))
    done = call("run", "s.yaml", "-o", "out", "-q", "--no-band", "--no-report")
    assert done.exit_code == 0
    found = read_result(Path("out")).arms["baremetal"].aux
    assert found is not None
    assert 0 < found.lost < found.records
    assert f"AUX data lost {found.lost:,} times out of {found.records:,}" in done.stdout
    Path("s.yaml").write_text(TINY)
    done = call("run", "s.yaml", "-o", "fine", "-q", "--no-band", "--no-report")
    assert "perf report: no warning of " in done.stdout


def test_results_of_before_are_read() -> None:
    """A file without the counts is whole, and shown without them."""
    assert call("run", "s.yaml", "-o", "out", "-q", "--no-band", "--no-report").exit_code == 0
    path = Path("out/result.json")
    document = json.loads(path.read_text())
    for arm in document["arms"].values():
        del arm["aux"]
        arm["setup"].pop("adjusted", None)
    path.write_text(json.dumps(document))
    assert read_result(Path("out")).arms["v6"].aux is None
    shown = call("show", "out")
    assert shown.exit_code == 0
    assert "perf report:" not in shown.stdout
    assert result.parse(result.dumps(read_result(Path("out")))) == read_result(Path("out"))
