"""The command line: exit codes, streams, files."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from analysis.columns import TABLES
from reports.cli.main import VERBS
from reports.exitcodes import MEANING, ExitCode
from reports.runs import rebuilding
from reports.store import parquet
from reports.store.csvdata import SHAPES, loads
from reports.traces import timeline
from sim.ledger import LawBrokenError
from sim.runs import batch
from sim.scenario.files import loader
from sim.workload.spestream import StreamError
from tests.rigs.tiny import TINY, call

HEAVY = ("numpy", "simpy", "numba", "pandas", "matplotlib", "scipy", "pydantic", "pyarrow", "rich")
DIFFER = {"manifest.json", "log.jsonl"}


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with the tiny scenario in it."""
    Path("tiny.yaml").write_text(TINY)


def files(folder: str) -> dict[str, bytes]:
    """Every file of a run directory that must not differ."""
    root = Path(folder)
    found = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if name not in DIFFER}


def _cpu_seconds(code: str) -> tuple[float, str]:
    """CPU time of a new process, best of three, and what it printed."""
    spent, out = [], ""
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", code]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent), out


def test_help_is_light() -> None:
    """`--help` imports nothing heavy, and costs less than importing click three times over."""
    code = (
        "import sys\nfrom reports.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    spent, out = _cpu_seconds(code)
    assert out.splitlines()[-1] == "[]"
    assert spent < 3 * _cpu_seconds("import click")[0]


@pytest.mark.parametrize("command", [[], *([name] for name in VERBS)])
def test_help_documents_exit_codes(command: list[str]) -> None:
    """Each code stands in each help with its meaning."""
    text = call(*command, "--help").output
    for code in ExitCode:
        assert f"{code.value:<4} {MEANING[code]}" in text


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


def test_real_result_holds_the_laws() -> None:
    """Numbers of a real run: population equal in all arms, loss only where it must be."""
    call("run", "tiny.yaml", "-o", "out", "--no-report")
    arms = json.loads(Path("out/result.json").read_text())["arms"]
    executed = {a["ledger"]["ops"]["executed"] for a in arms.values()}
    assert executed == {3 * 40 * (100 * 500 + 37 * 300)}
    assert arms["cold"]["ledger"]["ops"]["irq_delivery_fault"] > 0
    assert arms["baremetal"]["ledger"]["ops"]["irq_delivery_fault"] == 0
    for arm in arms.values():
        s, d = arm["ledger"]["selections"], arm["ledger"]["delivery"]
        assert s["written"] == sum(d.values())
    table = pyarrow.parquet.read_table("out/profile.parquet").to_pandas()
    delivered = table[(table["by"] == "symbol") & (table["arm"] == "v6")]["samples"].sum()
    assert delivered == arms["v6"]["ledger"]["delivery"]["delivered"]


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


def test_bad_scenario_names_every_problem() -> None:
    """Exit 2, one line a problem with file, line and column, nothing written."""
    Path("bad.yaml").write_text(TINY.replace("8KiB", "8kB").replace("replications", "replication"))
    for command in ("run", "validate", "show"):
        done = call(command, "bad.yaml")
        assert done.exit_code == ExitCode.USAGE
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert [line.split(":")[1] for line in lines] == ["2", "11"]
    assert [p.name for p in Path().iterdir() if p.is_dir()] == []


@pytest.mark.parametrize(
    "args", [["run"], ["run", "tiny.yaml", "-j", "0"], ["dance"], ["list", "cats"], ["run", "--x"]]
)
def test_usage_errors_exit_2(args: list[str]) -> None:
    """As click does, on stderr."""
    done = call(*args)
    assert done.exit_code == ExitCode.USAGE
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LawBrokenError("ops ledger: 1 != 2"), ExitCode.MODEL),
        (StreamError("mix.spestream: damaged"), ExitCode.USAGE),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
)
def test_errors_have_their_codes(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: ExitCode
) -> None:
    """Each failure of the model has its exit code, a message, and writes nothing."""

    def fails(*args: object, **kwargs: object) -> Iterator[batch.ArmResult]:
        raise error

    monkeypatch.setattr(batch, "run_arms", fails)
    done = call("run", "tiny.yaml", "-o", "out")
    assert done.exit_code == code
    assert str(error) in done.stderr
    assert not Path("out").exists()


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


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_real_ctrl_c(jobs: str) -> None:
    """SIGINT in the middle of the first arm: 130 within seconds, and no traceback."""
    Path("long.yaml").write_text(TINY.replace("repeat: 40", "repeat: 4000"))
    command = [
        sys.executable,
        "-c",
        "from reports.cli.main import main; main()",
        "run",
        "long.yaml",
        "-o",
        "out",
        "-j",
        jobs,
        "--no-report",
        "--engine",
        "reference",
        "--replications",
        "50",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=4)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "interrupted" in err
    assert "Traceback" not in err


def test_show_prints_what_run_printed() -> None:
    """The summary again from the directory, or its JSON."""
    done = call("run", "tiny.yaml", "-o", "out", "--replications", "2", "--no-report")
    assert call("show", "out").stdout == done.stdout
    shown = call("show", "out", "--format", "json").stdout
    assert shown == Path("out/result.json").read_text()


def test_report_is_built_again_from_the_directory() -> None:
    """The same bytes of page and report.md, also of a run that wrote none; pictures on request."""
    call("run", "tiny.yaml", "-o", "a")
    call("run", "tiny.yaml", "-o", "b", "--no-report")
    assert "report.html" not in files("b")
    done = call("report", "b", "--figures")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[:2] == ["b/report.html", "b/report.md"]
    pictures = {k: v for k, v in files("b").items() if k.startswith("figures/")}
    assert {k: v for k, v in files("b").items() if k not in pictures} == files("a")
    assert "figures/timeline-2.png" in pictures
    assert "figures/ledgers.svg" in pictures
    call("run", "tiny.yaml", "-o", "c", "--figures")
    assert files("c") == files("b")


def test_report_says_what_is_missing() -> None:
    """No run, a table that is gone, a damaged table, another version: no traceback, page kept."""
    call("run", "tiny.yaml", "-o", "out")
    page = Path("out/report.html").read_bytes()
    Path("out/data/locked.csv").write_text("arm,t_us\n")
    done = call("report", "out")
    assert (done.exit_code, "locked.csv:1: columns are" in done.stderr) == (ExitCode.USAGE, True)
    Path("out/data/locked.csv").write_text("arm,t_us,locked_bytes,limit_bytes\nv6,x,1,\n")
    assert "locked.csv:2:" in call("report", "out").stderr
    Path("out/data/locked.csv").unlink()
    assert "run the scenario again" in call("report", "out").stderr
    Path("out/manifest.json").write_text("[]")
    assert call("report", "out").exit_code == ExitCode.USAGE
    assert Path("out/report.html").read_bytes() == page
    assert call("report", "absent").exit_code == ExitCode.USAGE
    result = json.loads(Path("out/result.json").read_text())
    Path("out/result.json").write_text(json.dumps(result | {"result_version": 99}))
    assert call("report", "out").exit_code == ExitCode.BASELINE


def test_time_added_lies_in_its_band() -> None:
    """The table of a real run has the band that the run was given ends for."""
    call("run", "tiny.yaml", "-o", "out", "--no-report")
    text = Path("out/data/perturbation.csv").read_text()
    whole = [
        r
        for r in loads("perturbation", SHAPES["perturbation"], text).records()
        if r["cause"] == "all"
    ]
    assert [r["arm"] for r in whole] == ["v6", "cold"]
    assert all(r["lowest_ms"] < r["added_ms"] < r["highest_ms"] for r in whole)


def test_timelines_show_what_matters() -> None:
    """Every arm has one: the cold one shows a fault, v6 a pin, baremetal a delivery."""
    call("run", "tiny.yaml", "-o", "out", "--no-report")
    table = loads("timeline", SHAPES["timeline"], Path("out/data/timeline.csv").read_text())
    shown = {(r["arm"], r["state"]) for r in table.records() if r["lane"] == "close-up"}
    assert {("cold", "stage 2 fault"), ("v6", "pin"), ("baremetal", "delivery")} <= shown


def test_show_resolves_a_scenario() -> None:
    """A scenario is printed as it resolves, overrides included."""
    done = call("show", "tiny.yaml", "--set", "seed=11")
    assert done.exit_code == 0
    assert "seed: 11" in done.stdout
    assert "3GHz" in done.stdout


@pytest.mark.parametrize(
    ("text", "code"),
    [("[]", ExitCode.USAGE), ("{", ExitCode.USAGE), ('{"result_version": 99}', ExitCode.BASELINE)],
)
def test_show_refuses_what_it_cannot_read(text: str, code: ExitCode) -> None:
    """Not a result: 2. Another version: 5."""
    Path("other").mkdir()
    Path("other/result.json").write_text(text)
    assert call("show", "other").exit_code == code


@pytest.mark.parametrize("what", ["scenarios", "designs", "presets", "streams"])
def test_lists_have_names(what: str) -> None:
    """JSON: an array of objects with `name`, in order; table: a line each."""
    rows = json.loads(call("list", what, "--format", "json").stdout)
    names = [row["name"] for row in rows]
    assert names == sorted(names)
    assert names
    lines = call("list", what).stdout.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == names


def test_schema_is_json_schema() -> None:
    """What editors need, with the scenario's keys."""
    found = json.loads(call("schema").stdout)
    assert "arms" in found["properties"]


def test_validate_good_scenarios() -> None:
    """A line each, exit 0."""
    done = call("validate", "tiny.yaml", "quickstart")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "tiny.yaml: ok, 3 arms, 3 replications"


def test_record_refuses_what_it_cannot_do() -> None:
    """No such program, an ambiguous limit, a file in the way: 2 and a message."""
    for args in (["./absent"], ["--limit", "5", "./absent"]):
        done = call("record", *args)
        assert done.exit_code == ExitCode.USAGE
        assert done.stderr.startswith("speskew: ")
    Path("prog.spestream").write_text("precious")
    done = call("record", "--", "prog")
    assert done.exit_code == ExitCode.USAGE
    assert Path("prog.spestream").read_text() == "precious"


def test_list_presets_gives_every_number_with_its_source() -> None:
    """The table counts what is UNVERIFIED; JSON has each number, its unit, source and flag."""
    presets = {
        row["name"]: row for row in json.loads(call("list", "presets", "--format", "json").stdout)
    }
    assert set(presets) == {"neoverse-n1", "neoverse-v1", "neoverse-v2", "kunpeng-920"}
    facts = presets["neoverse-v2"]["facts"]
    assert (facts["l2.ways"]["value"], facts["l2.ways"]["unverified"]) == (8, False)
    assert "Graviton4" in facts["l2.ways"]["source"]
    assert facts["load.dram.floor"]["unverified"] is True
    flagged = sum(fact["unverified"] for fact in facts.values())
    line = next(row for row in call("list", "presets").stdout.splitlines() if "neoverse-v2" in row)
    assert f"{flagged} of {len(facts)} numbers UNVERIFIED" in line
    assert "l2.ways" not in line
