"""`speskew check`: verdicts, formats, exit codes, stopping rule, bisection."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import reports
from reports.exitcodes import ExitCode
from reports.runs import replicating
from sim.ledger import LawBrokenError
from sim.results import RunResult
from sim.runs import batch
from sim.scenario.files import loader
from sim.scenario.models.checks import Until
from tests.needs import run
from tests.rigs.samples import changed, described
from tests.rigs.tiny import CHECKS, call, scenario

pytestmark = pytest.mark.usefixtures("own_folder")


def checked(*args: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and each check of the JSON output by name."""
    done = call("check", *args, "-q", "--format", "json")
    assert done.stdout, done.output
    return done.exit_code, {c["name"]: c for c in json.loads(done.stdout)["checks"]}


def test_every_test_passes_with_effect_interval_margin_and_sentence() -> None:
    """All kinds at once: PASS, each verdict whole, exit 0."""
    file = scenario(*CHECKS)
    assert call("baseline", "update", file, "-q").exit_code == 0
    code, found = checked(file)
    assert code == 0
    assert set(found) == set(CHECKS)
    for check in found.values():
        assert check["status"] == "PASS", check
        assert check["n"] == 3
        assert check["unit"] or check["name"] in ("counters", "exits")
        assert check["effect"] is not None
        assert check["interval"] == "exact" or check["interval"][0] < check["interval"][1]
        assert len(check["sentence"]) > 20
    assert found["little"]["margin"] == pytest.approx(0.1)
    assert "Holm, 4 checks" in found["little"]["sentence"]


@pytest.mark.parametrize(
    ("check", "bias"),
    [
        ("counters", "parameters.t_irq_latency=501ns"),
        ("little", "parameters.t_irq_latency=3us"),
        ("time", "parameters.t_fault=20us"),
        ("gaps", "driver.aux=16KiB"),
    ],
)
def test_injected_bias_fails(check: str, bias: str) -> None:
    """A known change of the model is FAIL = 1 against the baseline that is there, never 5."""
    file = scenario(check)
    call("baseline", "update", file, "-q")
    assert checked(file)[0] == 0
    if check == "gaps":
        file = scenario("{name: gaps, test: distribution, arm: odd, of: gaps, within: 10%}")
        odd = "  - {name: odd, design: baremetal, overrides: {spe.interval: 1536ops}}\nchecks:"
        Path(file).write_text(Path(file).read_text().replace("checks:", odd))
        code, found = checked(file)
    else:
        code, found = checked(file, "--set", bias)
    assert (code, found[check]["status"]) == (1, "FAIL"), found


def test_harmless_change_stays_green() -> None:
    """A question, a seed of the manifest's, more replications: nothing that is compared changes."""
    file = scenario(*CHECKS)
    call("baseline", "update", file, "-q")
    assert checked(file, "--set", "question=Is it harmless?")[0] == 0
    code, found = checked(file, "--replications", "5")
    assert code == 0, found
    assert found["counters"]["n"] == 3, "compared on the replications that both have"


def test_another_seed_leaves_counters_undecided() -> None:
    """Counters are exact at the baseline's seed; elsewhere SKIP says so, statistics go on."""
    file = scenario("counters", "time")
    call("baseline", "update", file, "-q")
    code, found = checked(file, "--seed", "8")
    assert found["counters"]["status"] == "SKIP"
    assert "seed 7" in found["counters"]["sentence"]
    assert found["time"]["status"] in ("PASS", "UNDECIDED")
    assert code == (0 if found["time"]["status"] == "PASS" else 4)


def test_no_variance_is_skip_and_alone_undecided() -> None:
    """v6's samples are baremetal's: SKIP with the reason, and exit 4 if there is nothing else."""
    file = scenario("{test: equivalence, metric: arms.v6.profile.symbol.tvd_excess, within: 1%}")
    code, found = checked(file)
    (check,) = found.values()
    assert (code, check["status"]) == (4, "SKIP")
    assert "no variance" in check["sentence"]


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("{test: bound, metric: arms.cold.loss.totall, at_most: 1%}", "arms.cold.loss.total"),
        ("{test: bound, metric: arms.cold.loss.total, at_most: 1ms}", "a percentage"),
        ("{test: bound, metric: arms.cold.rlimit.exits, at_most: 1}", "use test: exact"),
        ("{test: equivalence, metric: arms.cold.loss.total, within: 0%}", "holds nothing"),
        ("{test: exact, metric: arms.cold.loss, equals: 1}", "name one below it"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(check: str, said: str) -> None:
    """Unknown metrics and units that do not fit: exit 2, and what would do."""
    done = call("check", scenario(check), "-q")
    assert done.exit_code == ExitCode.USAGE
    assert said in done.stderr


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("{test: bound, metric: arms.v7.loss.total, at_most: 1%}", "tiny.yaml:18:27"),
        ("{test: bond, metric: arms.v6.loss.total}", "did you mean 'bound'"),
        ("{test: bound, metric: arms.v6.loss.total}", "at_most or at_least"),
        ("{test: bound, metrik: arms.v6.loss.total, at_most: 1%}", "did you mean 'metric'"),
        ("{test: distribution, arm: no, of: gaps, within: 1%}", "no arm 'no'"),
        ("{test: bound, metric: arms.v6.loss.total, at_most: many}", "cannot read 'many'"),
    ],
)
def test_wrong_checks_are_found_at_their_place(check: str, said: str) -> None:
    """Before anything runs: file:line:col, what and how to fix it."""
    done = call("validate", scenario(check))
    assert done.exit_code == ExitCode.USAGE
    assert "tiny.yaml:18:" in done.stderr
    assert said in done.stderr


def test_baseline_is_missing() -> None:
    """Exit 5, and the command that makes it; no simulation before that."""
    done = call("check", scenario("counters"))
    assert done.exit_code == ExitCode.BASELINE
    assert "speskew baseline update" in done.stderr
    assert "arms" not in done.stderr


CELLS = "matrix: {driver.aux: [8KiB, 16KiB], spe.interval: [1024ops, 2048ops]}\n"
ASKED = (
    "counters",
    "little",
    "exits",
    "{name: some, test: exact, metric: arms.cold.loss.total, at_least: 0.001%}",
)


def swept(*checks: str, cells: str = CELLS) -> Path:
    """The folder of a sweep with these checks."""
    call("sweep", scenario(*checks, more=cells), "-o", "out", "-q", "--no-report")
    return Path("out")


def test_checks_of_a_sweep_hold_in_every_cell() -> None:
    """Each in each cell, one family; what needs the baseline of the scenario is skipped once."""
    folder = swept(*ASKED)
    code, found = checked(str(folder))
    assert code == 0
    ids = {path.name for path in (folder / "cells").iterdir()}
    assert len(ids) == 4
    names = ("little", "exits", "some")
    assert set(found) == {f"{id}: {name}" for id in ids for name in names} | {"counters"}
    assert found.pop("counters")["status"] == "SKIP"
    assert {check["status"] for check in found.values()} == {"PASS"}
    assert all("Holm, 4 checks" in v["sentence"] for k, v in found.items() if "little" in k)
    done = call("check", str(folder))
    assert "tiny: 4 cells, 3 replications" in done.stdout
    assert "PASS  " not in done.stdout
    assert "13 checks: 12 PASS, 1 SKIP" in done.stdout


def test_a_check_that_fails_in_one_cell_fails() -> None:
    """Positive control: exit 1, and the cell is named with its number."""
    folder = swept(
        "{name: equal, test: exact, metric: arms.v6.setup.aux_bytes, equals: 8192}",
        cells=CELLS.replace("[1024ops, 2048ops]", "[1024ops]"),
    )
    code, found = checked(str(folder))
    assert code == ExitCode.FAILED
    statuses = {name.split(",")[0]: check["status"] for name, check in found.items()}
    assert statuses == {"driver.aux=8KiB": "PASS", "driver.aux=16KiB": "FAIL"}
    assert "FAIL       driver.aux=16KiB" in call("check", str(folder)).stdout


def test_a_cell_without_a_result_is_skipped_with_its_reason() -> None:
    """What could not run proves nothing."""
    folder = swept("exits", cells="matrix: {driver.aux: [8KiB, 9KiB]}\n")
    code, found = checked(str(folder))
    assert code == 0
    (skipped,) = (check for check in found.values() if check["status"] == "SKIP")
    assert "has no result: driver.aux: must be a power of two" in skipped["sentence"]


def test_a_sweep_is_checked_as_it_ended() -> None:
    """Options of a scenario are refused, and so is a sweep that has not ended."""
    folder = swept("exits")
    assert call("check", str(folder), "--seed", "1").exit_code == ExitCode.USAGE
    (folder / "result.json").unlink()
    done = call("check", str(folder))
    assert done.exit_code == ExitCode.USAGE
    assert "has not ended" in done.stderr


@pytest.mark.parametrize(
    "cells", [CELLS, "samples: {method: morris, points: 2, over: {vm.vcpus: {low: 1, high: 2}}}\n"]
)
def test_a_scenario_with_cells_is_checked_without_them(cells: str) -> None:
    """Once, as `run` takes it, and it says so; without cells it does not."""
    done = call("check", scenario("exits", more=cells), "-q")
    assert done.exit_code == 0
    assert "1 checks: 1 PASS" in done.stderr
    assert "the scenario without its cells" in done.stderr
    assert "cells" not in call("check", scenario("exits"), "-q").stderr


def test_a_scenario_without_checks_decides_nothing() -> None:
    """Exit 4, and it says so."""
    done = call("check", scenario(), "-q")
    assert done.exit_code == ExitCode.UNDECIDED
    assert "the scenario has none" in done.stderr


def test_formats_say_the_same() -> None:
    """Each format has every check with its verdict; failures are never inverted."""
    fail = "{name: bad, test: bound, metric: arms.cold.loss.total, at_most: 1%}"
    skip = "{name: none, test: equivalence, metric: arms.v6.profile.symbol.tvd_excess, within: 1%}"
    file = scenario("little", fail, skip)
    table = call("check", file, "-q")
    assert table.exit_code == ExitCode.FAILED
    assert re.findall(r"^(PASS|FAIL|SKIP) +(\w+)$", table.stdout, re.M) == [
        ("PASS", "little"),
        ("FAIL", "bad"),
        ("SKIP", "none"),
    ]
    ktap = call("check", file, "-q", "--format", "ktap").stdout.splitlines()
    assert ktap[:2] == ["TAP version 13", "1..3"]
    results = [line for line in ktap if not line.startswith("#")][2:]
    assert results == ["ok 1 little", "not ok 2 bad", "ok 3 none # SKIP"]
    suite = ElementTree.fromstring(call("check", file, "-q", "--format", "junit").stdout)
    assert suite.attrib["tests"] == "3"
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("1", "1")
    assert [c.attrib["name"] for c in suite if c.find("failure") is not None] == ["bad"]
    assert [c.attrib["name"] for c in suite if c.find("skipped") is not None] == ["none"]
    rows = call("check", file, "-q", "--format", "md").stdout.splitlines()
    assert [row.split("|")[1].strip() for row in rows if row.startswith("| ")] == [
        "verdict",
        "PASS",
        "FAIL",
        "SKIP",
    ]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_results_do_not_depend_on_jobs(jobs: str) -> None:
    """Equal bytes for any -j, a distribution and a stopping rule included."""
    more = "until: {metric: arms.cold.loss.total, half_width: 0.05%, batch: 2, max: 9}\n"
    file = scenario("little", "gaps", more=more)
    first = call("check", file, "-q", "--format", "json").stdout
    assert call("check", file, "-q", "--format", "json", "-j", jobs).stdout == first
    assert 3 < json.loads(first)["replications"] <= 9


def test_until_looks_after_batches_only() -> None:
    """It stops at the first look at which the interval is narrow enough, else at max."""
    rule = "until: {{metric: arms.cold.loss.total, half_width: {}, batch: 2, max: 8}}\n"
    halves = []
    for n in (3, 5, 7, 8):
        text = call(
            "run",
            scenario(),
            "--replications",
            str(n),
            "--format",
            "json",
            "-o",
            f"r{n}",
            "--no-report",
            "--no-band",
        ).stdout
        low, high = json.loads(text)["arms"]["cold"]["loss"]["total"]["ci95"]
        halves.append((high - low) / 2)
    target = (halves[0] + halves[1]) / 2
    first = next(n for n, half in zip((3, 5, 7, 8), halves, strict=True) if half <= target)
    for width, expected in ((f"{100 * target}%", first), ("0.0001%", 8), ("50%", 3)):
        file = scenario("little", more=rule.format(width))
        text = call("check", file, "-q", "--format", "json").stdout
        assert json.loads(text)["replications"] == expected


def test_an_interval_cut_at_a_bound_is_not_narrow() -> None:
    """The half-width is that of the whole interval, not of what lies above 0."""
    until = Until(metric="arms.v6.loss.total", half_width="0.3%")
    for high, enough in ((0.003, True), (0.005, False)):
        cut = {"mean": 0.001, "ci95": [0.0, high], "n": 4, "unit": "fraction"}
        assert replicating.reached(until, changed(described(), v6={"loss.total": cut})) is enough


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{metric: arms.cold.loss.totl, half_width: 1%}", "did you mean arms.cold.loss.total"),
        ("{metric: arms.cold.wall, half_width: 1ops}", "does not fit"),
        ("{metric: arms.cold.rlimit.exits, half_width: 1}", "no metric with an interval"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_a_usage_error(
    command: str, rule: str, said: str
) -> None:
    """Exit 2 and what is wrong with until; nothing is written."""
    done = call(command, scenario("little", more=f"until: {rule}\n"))
    assert done.exit_code == ExitCode.USAGE
    assert said in done.stderr
    assert not Path("runs").exists()


def test_run_follows_the_same_stopping_rule() -> None:
    """`run` with until is `run` with as many replications as it came to, byte for byte."""
    rule = "until: {metric: arms.cold.loss.total, half_width: 0.0001%, batch: 2, max: 6}\n"
    call("run", scenario(more=rule), "-o", "a", "--no-report")
    call("run", scenario(), "--replications", "6", "-o", "b", "--no-report")
    assert Path("a/result.json").read_bytes() == Path("b/result.json").read_bytes()


def test_further_batches_simulate_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look costs its own replications: no unit runs twice."""
    ran: list[str] = []
    real = batch.run_unit

    def counted(unit: batch.Unit) -> RunResult:
        ran.append(unit.key)
        return real(unit)

    monkeypatch.setattr(batch, "run_unit", counted)
    rule = "until: {metric: arms.cold.loss.total, half_width: 0.0001%, batch: 1, max: 5}\n"
    made = loader.load(scenario(more=rule))
    done = replicating.simulate(
        made, engine="fast", jobs=1, band=False, watched=frozenset(), progress=lambda *_: None
    )
    assert done.scenario.replications == 5
    assert len(ran) == len(set(ran)) == 15


def test_a_run_directory_is_checked_as_the_scenario_is() -> None:
    """Verdicts from stored results and records are those of a fresh simulation."""
    file = scenario(*CHECKS)
    call("baseline", "update", file, "-q")
    assert call("run", file, "-o", "out", "--keep-records", "--no-report").exit_code == 0
    stored = checked("out", "--baseline", "baselines/tiny.json")
    assert stored == checked(file) == checked("out")
    assert call("run", file, "-o", "bare", "--no-report").exit_code == 0
    code, found = checked("bare", "--baseline", "baselines/tiny.json")
    assert code == 0
    assert found["gaps"]["status"] == "SKIP"
    assert "--keep-records" in found["gaps"]["sentence"]


def test_settings_are_for_scenarios() -> None:
    """--set on a run directory cannot do anything, so it is refused."""
    call("run", scenario("little"), "-o", "out", "--no-report")
    assert call("check", "out", "--set", "seed=1").exit_code == ExitCode.USAGE
    assert call("check", "out", "-q").exit_code == 0


@pytest.mark.parametrize("count", ["0", "-1", "many", "1.5"])
def test_replications_are_a_count_or_the_baselines(count: str) -> None:
    """Anything else is refused; the word takes what the baseline has."""
    file = scenario("counters")
    assert call("check", file, "--replications", count).exit_code == ExitCode.USAGE
    call("baseline", "update", file, "-q", "--replications", "2")
    text = call("check", file, "-q", "--format", "json", "--replications", "baseline").stdout
    assert json.loads(text)["replications"] == 2


@pytest.mark.parametrize(
    ("error", "plain", "bisect"),
    [(LawBrokenError("ops"), 3, 125), (RuntimeError("a defect"), 70, 125), (None, 5, 125)],
)
def test_bisect_skips_what_cannot_be_tested(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None, plain: int, bisect: int
) -> None:
    """Nothing but a failed check leaves with 1: a broken law 3, a defect 70; bisecting 125."""
    file = scenario("little") if error else scenario("counters")

    def broken(*_: object, **__: object) -> None:
        assert error is not None
        raise error

    monkeypatch.setattr(batch, "run", broken)
    assert call("check", file, "-q").exit_code == plain
    assert call("check", file, "-q", "--bisect").exit_code == bisect
    assert call("check", "nowhere.yaml", "--bisect").exit_code == 125
    assert call("check", "nowhere.yaml").exit_code == 2


def test_bisect_keeps_pass_and_fail() -> None:
    """0 stays good, 1 stays bad, and the help says all of it."""
    assert call("check", scenario("little"), "-q", "--bisect").exit_code == 0
    bad = "{test: bound, metric: arms.cold.loss.total, at_most: 1%}"
    assert call("check", scenario(bad), "-q", "--bisect").exit_code == 1
    assert "125: this commit cannot be tested" in call("check", "--help").output


def git(*args: str) -> str:
    """git in the present folder, whoever runs it."""
    env = os.environ | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@localhost",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@localhost",
        "PYTHONPATH": str(Path(next(iter(reports.__path__))).parent),
    }
    done = run("git", *args, check=False, env=env, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_git_bisect_finds_the_commit_that_broke_it() -> None:
    """`git bisect run speskew check` on a throw-away repository, an untestable commit included."""
    git("init", "-q")
    commits = {}
    for number, latency in enumerate(["500ns", "501ns", "oops", "502ns", "4us", "4001ns"]):
        more = f"parameters: {{t_irq_latency: {latency}}}\n"
        scenario("little", more=more)
        git("add", "tiny.yaml")
        git("commit", "-q", "-m", f"commit {number}: {latency}")
        commits[number] = git("rev-parse", "HEAD").strip()
    git("bisect", "start", commits[5], commits[0])
    speskew = [sys.executable, "-c", "from reports.cli.main import main; main()"]
    out = git("bisect", "run", *speskew, "check", "tiny.yaml", "--bisect", "-q")
    assert f"{commits[4]} is the first bad commit" in out
