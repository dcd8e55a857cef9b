"""The experiments of docs/background/validation.md: on their forms, with power, and up to date.

30 replications each; a point may lie 4 standard errors off its form, beyond what the end of a run
may add.
"""

from __future__ import annotations

import math
import re

import pytest

from analysis.statistics.tails import t_quantile
from reports.validation.figures import FIGURES
from reports.validation.rows import REPLICATIONS, Row, digest, dumps, loads
from reports.validation.table import table
from tests.rigs.pages import DOCS, ROOT, in_checkout

Z = 4
CSV = DOCS / "figures" / "validation.csv"
PAGE = DOCS / "background" / "validation.md"
JUDGED = [panel.key for panels in FIGURES.values() for panel in panels if panel.key != "knee"]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Every experiment, run."""
    return table()


def points(rows: list[Row], figure: str) -> list[Row]:
    """The simulated ones."""
    return [r for r in rows if r.figure == figure and r.simulated is not None]


@pytest.mark.parametrize("figure", JUDGED)
def test_points_lie_on_their_forms(rows: list[Row], figure: str) -> None:
    """Every one within Z standard errors of 30 replications."""
    found = points(rows, figure)
    assert len(found) >= 4
    assert {r.n for r in found} == {REPLICATIONS}
    off = {(r.series, r.x): r.z for r in found if r.z is None or abs(r.z) > Z}
    assert off == {}


@pytest.mark.parametrize("figure", JUDGED)
def test_a_form_a_quarter_off_is_noticed(rows: list[Row], figure: str) -> None:
    """Control: with every expectation 25 % higher some point lies outside, end effect allowed."""
    t = t_quantile(0.975, REPLICATIONS - 1)
    beyond = []
    for r in points(rows, figure):
        assert r.simulated is not None
        assert r.theory is not None
        assert r.low is not None
        assert r.high is not None
        error = (r.high - r.low) / 2 / t
        end = 0.03 * r.theory  # no experiment's end adds more to what it expects
        beyond.append(abs(r.simulated - 1.25 * r.theory) - end > Z * error)
    assert any(beyond)


def test_blackouts_of_three_shapes_lose_the_same(rows: list[Row]) -> None:
    """Rows 3 and 5 are insensitive: three laws of one mean, window by window."""
    found = points(rows, "full")
    shapes = {r.series for r in found}
    assert shapes == {"constant", "uniform", "exponential"}
    for window in {r.x for r in found}:
        same = [r for r in found if r.x == window]
        assert len(same) == len(shapes)
        low, high = max(r.low or 0.0 for r in same), min(r.high or 0.0 for r in same)
        assert low <= high * 1.03  # intervals meet


def test_accuracy_has_a_knee(rows: list[Row]) -> None:
    """Target 2, untuned: short intervals lose accuracy, the more the faster the core; long do not.

    The knee of the published study lies at a longer interval than this one.
    """
    at = {(r.series, r.x): r.simulated or 0.0 for r in points(rows, "knee")}
    series = sorted({s for s, _ in at})
    for name in series:
        assert at[name, 256.0] < at[name, 1024.0]
        assert min(at[name, float(p)] for p in (2048, 3072, 4096)) > 0.94
    assert at["CPI 0.25", 256.0] < at["CPI 0.5", 256.0] < at["CPI 1", 256.0]
    assert at["CPI 0.25", 512.0] < 0.94


@in_checkout
def test_the_committed_table_is_the_simulated_one(rows: list[Row]) -> None:
    """If this fails, run `make docs`."""
    committed = loads(CSV.read_text(encoding="utf-8"))
    assert [(r.figure, r.series, r.n) for r in committed] == [
        (r.figure, r.series, r.n) for r in rows
    ]
    for name in ("x", "theory", "simulated", "low", "high"):
        found, kept = ([getattr(r, name) for r in t] for t in (rows, committed))
        assert [math.nan if v is None else v for v in found] == pytest.approx(
            [math.nan if v is None else v for v in kept], rel=1e-9, abs=1e-12, nan_ok=True
        )


@in_checkout
@pytest.mark.parametrize("name", FIGURES)
def test_the_committed_figure_shows_the_committed_table(name: str) -> None:
    """Each SVG names the table that it was drawn from, and stands in the page."""
    text = CSV.read_text(encoding="utf-8")
    assert dumps(loads(text)) == text
    svg = (DOCS / "figures" / f"validation-{name}.svg").read_text(encoding="utf-8")
    assert f"validation.csv {digest(text)}" in svg
    assert f"(../figures/validation-{name}.svg)" in PAGE.read_text(encoding="utf-8")


@in_checkout
def test_the_page_names_tests_that_exist() -> None:
    """Every `file::test` of the page, and every row of the theory has its line."""
    text = PAGE.read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+/test_\w+\.py)::(test_\w+)`", text)
    assert len(named) > 20
    for file, test in named:
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert f"def {test}(" in source, (file, test)
    forms = text.partition("\n## Closed forms\n")[2].partition("\n## ")[0]
    rows = set(re.findall(r"^\| (\d+b?) \|", forms, re.MULTILINE))
    assert rows == {*map(str, range(1, 13)), "5b"}
