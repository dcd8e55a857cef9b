"""`speskew check` as a verb: its options, and `git bisect run`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import reports
from reports.exitcodes import ExitCode
from sim.ledger import LawBrokenError
from sim.runs import batch
from tests.needs import run
from tests.rigs.tiny import call, scenario

pytestmark = pytest.mark.usefixtures("own_folder")


def test_settings_are_for_scenarios() -> None:
    """--set on a run directory cannot do anything, so it is refused."""
    call("run", scenario("little"), "-o", "out", "--no-report")
    assert call("check", "out", "--set", "seed=1").exit_code == ExitCode.USAGE
    assert call("check", "out", "-q").exit_code == 0


@pytest.mark.parametrize("form", ["table", "json"])
@pytest.mark.parametrize("quiet", [True, False])
def test_the_last_line_is_said_once(form: str, quiet: bool) -> None:
    """The table ends with it; beside other formats it is on stderr, unless that is to be quiet."""
    done = call("check", scenario("little"), "--format", form, *["-q"] * quiet)
    said = (done.stdout + done.stderr).count("1 checks: 1 PASS")
    assert said == (0 if quiet and form == "json" else 1)


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
