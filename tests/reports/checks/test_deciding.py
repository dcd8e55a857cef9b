"""When is it decided: batches, the stopping rule, what further batches simulate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from reports.runs import replicating
from sim.scenario.models.checks import Until
from tests.rigs.samples import changed, described
from tests.rigs.tiny import call, scenario

pytestmark = pytest.mark.usefixtures("own_folder")


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
