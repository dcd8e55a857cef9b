"""A check that failed names cause, baseline's value and changed settings; none of it is made up."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from reports.checks import baselines, blaming
from reports.checks.baselines import Baseline
from reports.store.read import read_result
from sim.scenario.files.loader import stock_folder
from tests.rigs.tiny import call, scenario

LITTLE = "{name: little, test: bound, metric: arms.cold.loss.total, at_most: 4%}"
FAST = "{name: fast, test: no_worse_than, metric: arms.cold.time_added, relative: 1%}"


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """A scenario with a baseline of its own."""
    scenario("counters", LITTLE, FAST)
    assert call("baseline", "update", "tiny.yaml", "-q").exit_code == 0


def base() -> Baseline:
    """What was written."""
    return baselines.read(Path("baselines/tiny.json"))


def said(*options: str) -> str:
    """Of `check`, in one line."""
    return " ".join(call("check", "tiny.yaml", "-q", *options).stdout.split())


def test_unchanged_says_nothing() -> None:
    """No cause, no change, nothing stale."""
    text = said()
    assert "Most moved" not in text
    assert "not the baseline's:" not in text


def test_a_changed_setting_is_named_with_cause_and_value() -> None:
    """A slower interrupt loses more operations; the old value is the baseline's own."""
    text = said("--set", "parameters.t_irq_latency=50us")
    assert "not the baseline's: parameters.t_irq_latency not set → 50us" in text
    assert "Changed since the baseline: parameters.t_irq_latency not set → 50us" in text
    before = base().metrics["arms.cold.loss.total"].mean
    assert before is not None
    assert f"The baseline has {100 * before:.3g} %" in text
    assert "Most moved: operations lost to irq_delivery_" in text


def test_of_time_the_cause_is_one_of_time() -> None:
    """A fault that takes longer; in the arm that is asked about."""
    text = said("--set", "parameters.t_fault=90us")
    (fast,) = [part for part in text.split("FAIL ") if part.startswith("fast")]
    assert "Most moved: ticks of fault in cold, " in fast


def test_an_arm_s_own_setting_has_its_name() -> None:
    """As `--set` calls it; of many the first three are listed."""
    text = said("--set", "arms.cold.host.unmap=per_record")
    assert "arms.cold.host.unmap per_window → per_record" in text
    sets = [
        word
        for k in ("t_fault", "t_copy", "t_pin", "t_unpin")
        for word in ("--set", f"parameters.{k}=9us")
    ]
    assert "; and 1 more" in said(*sets)


def test_the_same_settings_blame_the_simulator() -> None:
    """Numbers that differ although nothing was set differently."""
    text = Path("baselines/tiny.json").read_text()
    line = next(line for line in text.splitlines() if "arms.v6.ledger.ops.profiled" in line)
    Path("baselines/tiny.json").write_text(text.replace(line, line.replace("[", "[9", 1)))
    text = said()
    assert "No setting has changed since the baseline (speskew " in text
    assert "nor what the recorded files hold: the simulator has" in text


def test_the_same_numbers_blame_nothing_but_the_check() -> None:
    """A bound that was tightened: neither simulator nor program has moved."""
    scenario("counters", LITTLE.replace("4%", "1%"))
    text = said()
    assert "1 FAIL, 1 PASS" in text or "1 PASS, 1 FAIL" in text
    assert "No setting and no counter has changed since the baseline (speskew " in text
    assert "the simulator has" not in text


RECORDED = """\
name: mine
replications: 2
workload: {kind: recorded, path: prog.spestream, repeat: 20}
arms: [baremetal]
checks: [{name: counters, test: exact}]
"""


def test_a_program_that_was_recorded_again_is_blamed_not_the_simulator() -> None:
    """Of a run that is there, what it was made of counts, whatever lies there now."""
    streams = stock_folder() / "streams"
    shutil.copy(streams / "threads.0.spestream", "prog.spestream")
    Path("mine.yaml").write_text(RECORDED)
    assert call("baseline", "update", "mine.yaml", "-q").exit_code == 0
    assert call("run", "mine.yaml", "-q", "--no-report", "-o", "before").exit_code == 0
    shutil.copy(streams / "threads.1.spestream", "new")
    Path("new").replace("prog.spestream")
    assert call("run", "mine.yaml", "-q", "--no-report", "-o", "after").exit_code == 0
    blamed = re.compile(
        r"Changed since the baseline: content of prog\.spestream sha256 \w{16} → sha256 \w{16}"
    )
    for target in ("mine.yaml", "after"):
        text = " ".join(call("check", target, "-q").stdout.split())
        assert blamed.search(text), target
        assert "the simulator has" not in text
    assert call("check", "before", "-q").exit_code == 0
    assert "not the baseline's" not in call("check", "before", "-q").stdout


def test_a_baseline_that_no_check_asks_for() -> None:
    """Is read where it is there, or named; one that is named and not there is an error."""
    scenario(LITTLE)
    slow = ("--set", "parameters.t_irq_latency=50us")
    assert "The baseline has" in said(*slow)
    Path("baselines/tiny.json").rename("other.json")
    assert "The baseline has" not in said(*slow)
    named = ("--baseline", "other.json")
    assert "The baseline has" in said(*slow, *named)
    assert call("check", "tiny.yaml", "-q", "--baseline", "none.json").exit_code == 5
    call("run", "tiny.yaml", "-o", "out", "--no-report", "--no-band", *slow)
    assert "The baseline has" in " ".join(call("check", "out", *named).stdout.split())


def test_a_baseline_of_before_says_what_it_lacks() -> None:
    """It is read, compares numbers, and does not call everything changed."""
    old = base()
    old_file = replace(old, settings={})
    baselines.write(old_file)
    assert "not the baseline's:" not in said()
    assert "does not hold its settings" in said("--set", "parameters.t_irq_latency=50us")
    assert baselines.changed_settings(old_file, {"a": "1"}) == []


def test_words_and_checks_are_no_settings_and_do_not_make_it_stale() -> None:
    """A question, a check, replications: the digest stays; a setting moves it, and is written."""
    before = base()
    scenario(LITTLE, more="question: why?\n")
    assert call("baseline", "update", "tiny.yaml", "-q").stdout == ""
    text = Path("tiny.yaml").read_text()
    Path("tiny.yaml").write_text(text.replace("{jitter: on}", "{jitter: on, version: v1p2}"))
    done = call("baseline", "update", "tiny.yaml", "-q")
    assert done.stdout == "spe.version v1p0 → v1p2\n", "though every number is equal"
    assert base().provenance["scenario_hash"] != before.provenance["scenario_hash"]


def test_most_moved_of_nothing_is_empty() -> None:
    """A check that fails on a number alone."""
    call("run", "tiny.yaml", "-o", "out", "--no-report", "--no-band")
    assert blaming.most_moved("arms.v6.loss.total", read_result(Path("out")), base()) == ""
