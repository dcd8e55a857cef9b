"""`speskew.run`, `load` and `save`: the command line's numbers, bytes and words."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest

import speskew
from analysis.columns import COLUMNS, DATA_TABLES, TABLES
from reports.figures.style import styled, to_file_svg
from reports.results import result
from reports.store.csvdata import SHAPES
from tests.rigs.tiny import TINY, call, scenario

DIFFER = {"manifest.json", "log.jsonl"}
CHECKS = ("same", "gaps", "exits")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder of this module's tests: a scenario and what `speskew run` makes of it."""
    made = tmp_path_factory.mktemp("api")
    before = Path.cwd()
    os.chdir(made)
    scenario(*CHECKS)
    done = call("run", "tiny.yaml", "-o", "cli", "--keep-records", "--figures", "-q")
    assert done.exit_code == 0, done.output
    yield made
    os.chdir(before)


@pytest.fixture(scope="module")
def made(folder: Path) -> speskew.Run:
    """The same run, in memory."""
    return speskew.run("tiny.yaml", keep_records=True)


def files(root: Path) -> dict[str, bytes]:
    """Every file of a run directory that must not differ."""
    found = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    return {
        name: b"" if name.startswith("figures/") else data  # see words
        for name, data in found.items()
        if name not in DIFFER
    }


def test_saved_bytes_are_the_command_lines(folder: Path, tmp_path: Path, made: speskew.Run) -> None:
    """Saved, and saved again from what was loaded; the manifest says the same of the options."""
    run = speskew.run("tiny.yaml", keep_records=True, jobs=2, progress=False)
    unsaved = run.folder
    assert unsaved is None
    assert run.save(tmp_path / "a", figures=True) == run.folder == tmp_path / "a"
    assert files(tmp_path / "a") == files(folder / "cli")
    again = speskew.load(tmp_path / "a")
    again.save(tmp_path / "b", figures=True)
    assert files(tmp_path / "b") == files(folder / "cli")
    here, there = (
        json.loads((root / "manifest.json").read_text())
        for root in (folder / "cli", tmp_path / "a")
    )
    assert there["options"] == here["options"] | {"jobs": 2}
    assert {k: there[k] for k in ("scenario_hash", "seed")} == {
        k: here[k] for k in ("scenario_hash", "seed")
    }
    assert run.result == made.result


def test_a_run_that_is_there_is_not_replaced(folder: Path, made: speskew.Run) -> None:
    """The command line's text, and how to say it in Python; force replaces."""
    made.save("mine", report=False)
    with pytest.raises(speskew.RunDirError) as caught:
        made.save("mine")
    refused = call("run", "tiny.yaml", "-o", "mine")
    assert refused.stderr == f"speskew: {caught.value}\n"
    assert "force=True" in caught.value.__notes__[0]
    made.save("mine", force=True)
    assert files(folder / "mine").keys() - files(folder / "cli").keys() == set()


def test_tables_have_the_dictionarys_columns_and_types(folder: Path, made: speskew.Run) -> None:
    """Of every table there is; what is loaded is what was in memory."""
    loaded = speskew.load(folder / "cli")
    assert made.tables == loaded.tables == (*SHAPES, *TABLES)
    columns = {
        name.removeprefix("data/").removesuffix(".csv"): c for name, c in DATA_TABLES.items()
    }
    for name in made.tables:
        frame = made.table(name)
        assert tuple(frame.columns) == (columns | TABLES)[name]
        for column, dtype in frame.dtypes.items():
            asked = COLUMNS[str(column)].dtype
            assert str(dtype).lower() == {"string": "str", "double": "float64"}.get(asked, asked)
        pd.testing.assert_frame_equal(frame, loaded.table(name), obj=name)
    assert len(made.records) == sum(arm.records for arm in made.arms.values())


def test_tables_are_attributes(made: speskew.Run) -> None:
    """Each table of data/ by its name; missing limits are missing, not a number."""
    for name in SHAPES:
        pd.testing.assert_frame_equal(getattr(made, name), made.table(name))
    pd.testing.assert_frame_equal(made.losses, made.table("loss.parquet"))
    pd.testing.assert_frame_equal(made.profiles, made.table("profile.parquet"))
    assert made.timeline["bytes"].isna().any()
    with pytest.raises(ValueError, match="no table 'loss'; tables: ledgers, symbols, "):
        made.table("loss")


def test_arms_have_their_metrics(made: speskew.Run) -> None:
    """By property, by dotted name; a wrong name names the nearest."""
    arms, written = made.arms, made.result.arms
    assert list(arms) == ["baremetal", "v6", "cold"]
    for name, arm in arms.items():
        total = json.loads(result.dumps(made.result))["arms"][name]["loss"]["total"]
        assert (arm.loss.mean, arm.loss.n, arm.loss.unit) == (total["mean"], 3, "fraction")
        assert arm.loss.ci95 == tuple(total["ci95"])
        assert arm.loss is written[name].loss.total
        assert arm.locked == written[name].rlimit.locked_bytes_peak
        assert arm["ledger.ops.profiled"] == written[name].ledger.ops["profiled"]
    assert arms["v6"].time_added.ci95 == arms["v6"].wall.ci95 == "exact"
    assert arms["v6"].skew.mean == arms["v6"]["profile.symbol.tvd_excess"].mean == 0
    assert (arms["cold"].design, arms["cold"].exits) == ("unpinned", 0)
    with pytest.raises(speskew.UnknownMetricError, match=r"did you mean arms\.v6\.loss\.total"):
        _ = arms["v6"]["loss.totl"]
    with pytest.raises(KeyError, match="no arm 'v7'; arms: baremetal, v6, cold"):
        _ = arms["v7"]


def test_one_replication_has_no_interval() -> None:
    """None, as the field says."""
    run = speskew.run(TINY, replications=1, band=False)
    assert (run.arms["cold"].loss.ci95, run.arms["cold"].loss.n) == (None, 1)
    assert [t for t in run.tables if t.startswith(("rec", "aux"))] == []
    with pytest.raises(ValueError, match="run with keep_records=True"):
        _ = run.records


def test_a_run_says_what_the_command_says(folder: Path, made: speskew.Run) -> None:
    """As text; as HTML the glance table, escaped."""
    summary = (folder / "cli" / "summary.txt").read_text()
    assert str(made) == summary
    assert all(str(arm) in summary for arm in made.arms.values())
    html = made._repr_html_()
    for cell in ("predicted", "RLIMIT exits", "cold (upper bound)", "identical", "4 MiB"):
        assert f">{cell}<" in html
    evil = TINY.replace("name: tiny", "name: <script>")
    assert "<script>" not in speskew.run(evil, replications=1, band=False)._repr_html_()


def test_settings_reach_the_scenario(made: speskew.Run) -> None:
    """Text, numbers, lists and truth values; seed and replications."""
    run = speskew.run(
        TINY,
        set={"spe.interval": "2048ops", "vm.vcpus": 2, "host.cap_ipc_lock": True, "arms": ["v6"]},
        replications=2,
        seed=9,
        band=False,
    )
    setup = run.result.arms["v6"].setup
    assert (setup.interval_ops, setup.vcpus, setup.limit_bytes) == (2048, 2, None)
    assert (run.result.seed, run.result.replications, list(run.arms)) == (9, 2, ["v6"])
    assert "interval: 2048ops" in run.scenario
    assert made.result.arms["v6"].setup.interval_ops == 1024


@pytest.mark.parametrize(
    "more", [{"spe.intervall": "1024ops"}, {"host.memlock": "64kB", "seed": -1}]
)
def test_errors_have_the_command_lines_text(folder: Path, more: dict[str, object]) -> None:
    """Every problem of a scenario; and a file that is not there."""
    with pytest.raises(speskew.ScenarioError) as caught:
        speskew.run("tiny.yaml", set=more)
    options = [word for key, value in more.items() for word in ("--set", f"{key}={value}")]
    assert call("run", "tiny.yaml", *options).stderr == f"{caught.value}\n"
    with pytest.raises(speskew.ScenarioError) as absent:
        speskew.run(folder / "absent.yaml")
    assert call("run", str(folder / "absent.yaml")).stderr == f"{absent.value}\n"
    with pytest.raises(speskew.RunDirError) as missing:
        speskew.load(folder / "absent")
    assert call("report", "run", ".").stderr == (
        f"speskew: {missing.value}\n".replace(str(folder / "absent"), ".")
    )


def test_values_that_click_refuses_are_refused() -> None:
    """Before anything is read."""
    with pytest.raises(ValueError, match="jobs must be 1 or more, not 0"):
        speskew.run("absent", jobs=0)
    with pytest.raises(ValueError, match="engine must be one of fast, reference, not 'quick'"):
        speskew.run("absent", engine="quick")  # type: ignore[arg-type]


def words(svg: bytes) -> list[str]:
    """Every text of a picture: titles, labels, numbers at ticks, legends.

    The solver of matplotlib's layout may move axes from one drawing of a figure to the next, so
    that bytes cannot be compared.
    """
    return re.findall(r">([^<>]+)</text>", svg.decode())


def test_figures_are_the_reports(folder: Path, made: speskew.Run) -> None:
    """The same picture, whatever the backend, in memory and loaded; a wrong name names all."""
    assert "ledgers" in made.figures
    before = mpl.get_backend()
    loaded, cli = speskew.load(folder / "cli"), folder / "cli" / "figures"
    for name in ("ledgers", "losses", "timeline-2"):
        assert name in made.figures
        for run in (made, loaded):
            with styled(name):
                drawn = to_file_svg(run.figure(name), name)
            assert words(drawn) == words((cli / f"{name}.svg").read_bytes())
            assert len(words(drawn)) > 10
    assert words((cli / "losses.svg").read_bytes()) != words((cli / "ledgers.svg").read_bytes())
    made.figure("losses").savefig("losses.svg")
    assert Path("losses.svg").read_text().startswith("<?xml")
    assert mpl.get_backend() == before
    with pytest.raises(ValueError, match="no figure 'legers'; figures: ledgers, losses, "):
        made.figure("legers")


def test_progress_goes_where_it_is_asked_to(capfd: pytest.CaptureFixture[str]) -> None:
    """To a function; to nowhere where stderr is no terminal."""
    told: list[tuple[int, int, str]] = []
    speskew.run(
        TINY,
        replications=2,
        band=False,
        progress=lambda done, total, text: told.append((done, total, text)),
    )
    assert told[:6] == [
        (k + 1, 6, f"{arm} {k % 2 + 1}/2")
        for k, arm in enumerate(a for a in ("baremetal", "v6", "cold") for _ in range(2))
    ]
    assert told[6:] == [(k, 3, "timelines") for k in (1, 2, 3)]
    assert capfd.readouterr() == ("", "")


def test_checks_are_the_command_lines(folder: Path, made: speskew.Run) -> None:
    """Of a run in memory, its directory and its scenario: the same findings."""
    said = call("check", str(folder / "cli"))
    for target in (speskew.load(folder / "cli"), folder / "cli", made, "tiny.yaml"):
        found = speskew.check(target)
        assert str(found) == said.stdout
        assert found.passed is (said.exit_code == 0) is True
        assert list(found.frame["check"]) == list(CHECKS)
        assert list(found.frame["verdict"]) == [f.verdict.status.value for f in found.findings]
    assert ">UNDECIDED<" in found._repr_html_() or ">PASS<" in found._repr_html_()
    with pytest.raises(TypeError, match="are for a scenario"):
        speskew.check(made, replications=2)


def test_checks_that_fail_or_cannot_be_asked(folder: Path) -> None:
    """Not passed; an error with the text of the command."""
    text = TINY + "checks: [{test: bound, metric: arms.cold.loss.total, at_most: 1%}]\n"
    found = speskew.check(text)
    assert not found.passed
    assert [f.verdict.status.value for f in found.findings] == ["FAIL"]
    Path("odd.yaml").write_text(text.replace("loss.total", "loss.totl"))
    with pytest.raises(speskew.CheckError) as caught:
        speskew.check("odd.yaml", replications=1)
    refused = call("check", "odd.yaml", "-q", "--replications", "1")
    assert refused.stderr == f"speskew: {caught.value}\n"
    matrix = TINY + "matrix: {vm.vcpus: [1, 2]}\n"
    with pytest.warns(UserWarning, match="the scenario without its cells"):
        speskew.check(matrix, replications=1)


def test_comparisons_are_the_command_lines(folder: Path, made: speskew.Run) -> None:
    """Of directories, runs and arms, as text, HTML and frame."""
    loaded = speskew.load("cli")
    said = call("compare", "cli:baremetal", "cli:cold").stdout
    for a, b in (
        ("cli:baremetal", "cli:cold"),
        (loaded.arms["baremetal"], loaded.arms["cold"]),
    ):
        assert str(speskew.compare(a, b)) == said
    both = speskew.compare(loaded, Path("cli"), everything=True)
    assert str(both) == call("compare", "cli", "cli", "-v").stdout
    found = speskew.compare(made.arms["baremetal"], made.arms["cold"])
    assert str(found) == said.replace("cli:", f"{made.called}:")
    frame = found.frame.set_index("quantity")
    lost = frame.loc["ops lost"]
    arms = made.arms
    assert lost["difference"] == pytest.approx(
        100 * ((arms["cold"].loss.mean or 0) - (arms["baremetal"].loss.mean or 0))
    )
    assert lost["low"] < lost["difference"] < lost["high"]
    assert frame.loc["RLIMIT exits", "exact"]
    html = found._repr_html_()
    assert f"A = {made.called}:baremetal, B = {made.called}:cold" in html
    assert "UPPER BOUND" in html
    assert f"{made.called}:cold is an UPPER BOUND, not an expectation" in found.notes
    with pytest.raises(speskew.RunDirError, match="absent: no such run directory"):
        speskew.compare(made, "absent")


def test_a_sweep_is_the_command_lines(folder: Path) -> None:
    """The same results; a frame with a row per cell, arm and metric; continued, and refused."""
    Path("s.yaml").write_text(TINY + "matrix: {vm.vcpus: [1, 2]}\n")
    found = speskew.sweep("s.yaml", out="swept", replications=2)
    done = call("sweep", "s.yaml", "-o", "swept-cli", "--replications", "2", "-q")
    assert (str(found), done.exit_code) == (done.stdout, 0)
    for name in ("result.json", "cells.csv", "report.html"):
        assert Path("swept", name).read_bytes() == Path("swept-cli", name).read_bytes()
    frame = found.frame
    assert list(frame.columns) == list(pd.read_csv("swept/cells.csv").columns)
    assert len(frame) == len(pd.read_csv("swept/cells.csv"))
    assert set(frame["vm.vcpus"]) == {1, 2}
    mine = frame[(frame["metric"] == "loss.total") & (frame["arm"] == "cold")]
    assert mine["mean"].between(mine["low"], mine["high"]).all()
    assert (len(found.cells), found.failed) == (2, {})
    with pytest.raises(speskew.RunDirError) as caught:
        speskew.sweep("s.yaml", out="swept", replications=2)
    refused = call("sweep", "s.yaml", "-o", "swept", "--replications", "2")
    assert refused.stderr == f"speskew: {caught.value}\n"
    assert "resume=True" in caught.value.__notes__[0]
    again = speskew.sweep("s.yaml", out="swept", replications=2, resume=True)
    assert again.result == speskew.load_sweep("swept").result == found.result
    assert speskew.check("swept").findings == ()
    with pytest.raises(TypeError, match="a stock name or a path"):
        speskew.sweep(TINY)


def test_words_and_lists() -> None:
    """What the commands print; a wrong name is told the nearest."""
    assert repr(speskew.explain("irq_masked")) + "\n" == call("explain", "irq_masked").stdout
    with pytest.raises(ValueError, match="did you mean 'irq_masked'") as caught:
        speskew.explain("irq_maskd")
    assert call("explain", "irq_maskd").stderr == f"speskew: {caught.value}\n"
    for what in ("scenarios", "designs", "presets", "streams"):
        rows = json.loads(call("list", what, "--format", "json").stdout)
        frame = getattr(speskew, f"list_{what}")()
        assert list(frame["name"]) == [row["name"] for row in rows]


SCRIPT = """\
import os, sys, speskew
print("begun", flush=True)
text = open("tiny.yaml").read()
"""


def test_a_script_needs_no_guard(folder: Path, tmp_path: Path) -> None:
    """Two jobs from a script without `if __name__ == "__main__"`: it runs once, and works."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    code = (
        SCRIPT + "print(speskew.run(text, jobs=2, band=False, replications=2).arms['v6'].exits)\n"
    )
    (tmp_path / "mine.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("begun\n0\n", "")


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_leaves_nothing_behind(jobs: int, tmp_path: Path) -> None:
    """KeyboardInterrupt in the script, which has no children then and goes on."""
    (tmp_path / "tiny.yaml").write_text(TINY.replace("repeat: 40", "repeat: 4000"))
    (tmp_path / "mine.py").write_text(
        SCRIPT + f"try:\n    speskew.run(text, jobs={jobs}, replications=500, engine='reference',"
        " progress=lambda *_: print('one', flush=True))\n"
        "except KeyboardInterrupt:\n"
        "    tracker = {k for k in open('/proc/self/task/' + str(os.getpid()) + '/children')"
        ".read().split()\n"
        "        if 'resource_tracker' not in open(f'/proc/{k}/cmdline').read()}\n"
        "    print('interrupted', tracker, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "mine.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert process.stdout.readline() == "one\n"
        process.send_signal(signal.SIGINT)
        rest = [line for line in process.stdout.read().splitlines() if line != "one"]
    assert (process.returncode, rest) == (0, ["interrupted set()"])


def test_nothing_warns(made: speskew.Run) -> None:
    """Frames and figures, as a script that turns warnings into errors would see them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in made.figures:
            made.figure(name)
