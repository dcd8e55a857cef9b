"""speskew compare: signs, pairs, intervals, formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.statistics.answers import Kind
from reports.exitcodes import ExitCode
from reports.results import result
from reports.results.metric import Metric
from reports.runs import comparing
from reports.store.rundir import RunDirError
from tests.rigs.fakes import Plan
from tests.rigs.samples import PLANS, SYMBOLS, described
from tests.rigs.tiny import command

call = command("compare")


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs as directories: the made-up one, and one with other seeds and losses."""
    monkeypatch.chdir(tmp_path)
    other = (
        Plan(lost=300, symbols=SYMBOLS, replications=5),
        Plan(name="v6", design="v6", lost=100, symbols=SYMBOLS, seed=9, replications=5),
    )
    for name, plans in (("a", PLANS), ("b", other)):
        Path(name).mkdir()
        Path(name, "result.json").write_text(result.dumps(described(plans)))


def rows(first: str, second: str) -> dict[str, comparing.Row]:
    """Rows of a single comparison, by name."""
    (found,) = comparing.compare(first, second)
    return {r.what: r for r in found.rows}


def test_six_rows_with_signs() -> None:
    """B − A: the cold arm loses more, takes no longer by pinning, locks nothing."""
    found = rows("a:baremetal", "a:unpinned-cold")
    assert list(found) == [
        "ops lost",
        "skew by symbol",
        "wall time",
        "locked memory, peak",
        "RLIMIT exits",
        "records delivered",
    ]
    loss = found["ops lost"]
    assert loss.a == pytest.approx(0.01)
    assert loss.b == pytest.approx(5.0)
    assert loss.difference.mean == pytest.approx(4.99)
    assert loss.difference.exact
    assert loss.paired
    skew = found["skew by symbol"].difference
    assert isinstance(skew.ci95, tuple)
    assert skew.ci95[0] > 0
    back = rows("a:unpinned-cold", "a:baremetal")["ops lost"].difference.mean
    assert back == pytest.approx(-4.99)


def test_an_arm_against_itself_is_exactly_equal() -> None:
    """Every difference is 0 and exact, skew apart, which has an interval of its own."""
    for what, row in rows("a:v6", "a:v6").items():
        assert row.difference.mean == 0, what
        assert row.difference.exact, what


def test_unlike_runs_are_not_paired() -> None:
    """Other numbers of replications: Welch's interval, and a note."""
    (found,) = comparing.compare("a:v6", "b:v6")
    assert not any(r.paired for r in found.rows)
    assert any("not paired" in note for note in found.notes)


def test_welch_agrees_with_scipy() -> None:
    """Difference and interval of two independent samples."""
    import numpy as np
    from scipy import stats

    x, y = np.array([1.0, 2.0, 4.0, 3.0]), np.array([5.0, 9.0, 6.0])
    ours = comparing._welch(x, y, "ms")
    theirs = stats.ttest_ind(y, x, equal_var=False).confidence_interval(0.95)
    assert ours.mean == pytest.approx(y.mean() - x.mean())
    assert ours.ci95 == pytest.approx((theirs.low, theirs.high))
    assert comparing._welch(x[:1], y, "ms").ci95 is None
    assert comparing._welch(x[:0], y, "ms").mean is None
    assert comparing._welch(x[:2] * 0, y[:2] * 0, "ms").ci95 == "exact"


def test_a_cut_interval_has_its_wider_side() -> None:
    """Cut at 0, an excess of 1 % is uncertain by the 3 % on its other side, not by 2 %."""
    found = [Metric(0.01, (0.0, 0.04), 4, "fraction"), Metric(0.02, "exact", 4, "fraction")]
    difference = comparing._skew_difference(1.0, 2.0, "%", found)
    assert difference.ci95 == pytest.approx((1.0 - 3.0, 1.0 + 3.0))


def test_two_runs_are_compared_arm_by_arm() -> None:
    """Arms that both have, in the first run's order."""
    assert [c.a.arm_name for c in comparing.compare("a", "b")] == ["baremetal", "v6"]


def test_everything_is_shown_on_request() -> None:
    """Entries of the ledgers that are not zero on both sides follow the six."""
    more = comparing.compare("a:baremetal", "a:v6", everything=True)[0].rows[6:]
    names = {r.what for r in more}
    assert {"ops.executed", "time.pin", "selections.collided"} <= names
    assert "ops.irq_masked" not in names
    pin = next(r for r in more if r.what == "time.pin").difference
    assert pin.mean == pytest.approx(1e6 / 192_000_000 * 1e3 / 1e3)


def test_each_difference_has_one_of_three_answers() -> None:
    """By the margin: a part of A, points of what is in percent; nothing at all of what A lacks."""
    found = rows("a:baremetal", "a:v6")
    loss, wall, exits = found["ops lost"], found["wall time"], found["RLIMIT exits"]
    assert wall.a is not None
    assert (loss.margin, wall.margin) == pytest.approx((1.0, 0.01 * wall.a))
    assert loss.answer.words() == "the same within ±1 %"
    assert (exits.margin, exits.answer.kind) == (0.0, Kind.SKEWED)
    assert exits.answer.words() == "differs by 2 exits"
    same = rows("a:baremetal", "a:baremetal")
    assert same["RLIMIT exits"].answer.words() == "the same"
    (narrow,) = comparing.compare("a:baremetal", "a:v6", margin=1e-6)
    assert narrow.rows[2].answer.cell().startswith("differs by ")


def test_json_and_the_option_have_them() -> None:
    """`answer`, `words`, `margin` beside the number; --margin is in percent."""
    done = call("a:baremetal", "a:v6", "--format", "json", "--margin", "50")
    first = json.loads(done.stdout)[0]["rows"][0]
    assert (first["answer"], first["margin"]) == ("same", 50.0)
    assert first["words"].startswith("the same within ±50 %")
    assert call("a:baremetal", "a:v6", "--margin", "-1").exit_code == ExitCode.USAGE


def test_formats() -> None:
    """A table for people, JSON with names and units, Markdown with one row a quantity."""
    text = call("a:baremetal", "a:v6").stdout
    assert text.startswith("A: a:baremetal\nB: a:v6\n")
    assert "all 10 equal" in text
    assert "differs by" in text
    found: list[dict[str, Any]] = json.loads(call("a", "a", "--format", "json").stdout)
    assert len(found) == len(PLANS)
    assert {"name", "unit", "a", "b", "difference", "paired"} <= set(found[0]["rows"][0])
    md = call("a:baremetal", "a:v6", "--format", "md").stdout
    assert sum(line.startswith("| ") for line in md.splitlines()) == 7


def test_upper_bounds_and_refusals_are_noted() -> None:
    """Whoever quotes the row must see it."""
    assert "UPPER BOUND" in call("a:baremetal", "a:unpinned-cold").stdout
    assert "the VMM refused" in call("a:baremetal", "a:refused").stdout
    assert call("a:unpinned-cold", "a:unpinned-cold").stdout.count("UPPER BOUND") == 1


@pytest.mark.parametrize(
    ("first", "why"),
    [("nowhere", "no such run directory"), ("a:ghost", "no arm"), (".", "no run directory")],
)
def test_what_cannot_be_compared(first: str, why: str) -> None:
    """Exit 2 and the reason."""
    with pytest.raises(RunDirError, match=why):
        comparing.compare(first, "a")
    done = call(first, "a")
    assert (done.exit_code, done.stdout) == (ExitCode.USAGE, "")


def test_versions_are_checked() -> None:
    """A result of another version: 5."""
    Path("b/result.json").write_text('{"result_version": 99}')
    assert call("a", "b").exit_code == ExitCode.BASELINE


def test_a_sweep_is_no_run() -> None:
    """What to name instead."""
    Path("b/result.json").write_text('{"cells": []}')
    done = call("a", "b")
    assert done.exit_code == ExitCode.USAGE
    assert "b is a sweep; name one of its cells: b/cells/<id>" in done.stderr


def test_colons_in_names() -> None:
    """A directory may have one; the arm is what follows the first that ends a directory."""
    odd = (Plan(name="x"), Plan(name="z"))
    Path("c:d").mkdir()
    Path("c:d", "result.json").write_text(result.dumps(described(odd)))
    assert [c.a.arm_name for c in comparing.compare("c:d", "c:d")] == ["x", "z"]
    assert comparing.compare("c:d:x", "c:d:z")[0].b.arm_name == "z"
