"""The table of wrong verdicts: rates as stated, and the page has what comes out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from analysis.statistics.answers import Kind
from reports.validation import power, statistics
from reports.validation.statistics import (
    FLAG_TRIALS,
    MARGIN,
    REPLICATIONS,
    SYMBOLS,
    TRIALS,
    rates,
)
from tests.rigs.pages import DOCS, in_checkout


def slack(rate: float, trials: int = TRIALS) -> float:
    """Four standard errors of a rate over the trials."""
    return 4 * math.sqrt(rate * (1 - rate) / trials)


def cells() -> Iterator[object]:
    """Every cell of the table; of many symbols, which take long, all but the ends are deep."""
    for symbols, n in product(SYMBOLS, REPLICATIONS):
        between = symbols == SYMBOLS[-1] and n not in (REPLICATIONS[0], REPLICATIONS[-1])
        yield pytest.param(symbols, n, marks=pytest.mark.deep if between else ())


@pytest.mark.parametrize(("symbols", "n"), list(cells()))
def test_rates_are_as_stated(symbols: int, n: int) -> None:
    """Wrong ones at most 5 %, intervals hold in 93 % or more; each plus or minus 4 SE."""
    found = rates(symbols, n)
    assert found.false_skew <= 0.05 + slack(0.05)
    assert found.false_flags <= 0.05 + slack(0.05, FLAG_TRIALS)
    for held in (found.small, found.large, found.scatter, found.shares, found.losses):
        assert held >= 0.93 - slack(0.93)
    if n >= 8:
        assert found.skewed == 1.0


@in_checkout
def test_the_page_has_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made again, it is the page: one line of it here, the others by their first cells."""
    text = (DOCS / "background" / "validation.md").read_text()
    table = text.partition(statistics.BEGIN)[2].partition(statistics.END)[0].strip().split("\n")
    assert len(table) == 2 + len(SYMBOLS) * len(REPLICATIONS)
    monkeypatch.setattr(statistics, "SYMBOLS", (2,))
    monkeypatch.setattr(statistics, "REPLICATIONS", (4,))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{statistics.BEGIN}\nstale\n{statistics.END}\nafter\n")
    statistics.write(page)
    written = page.read_text()
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")
    assert "stale" not in written
    assert table[3] in written


@pytest.mark.parametrize("n", REPLICATIONS)
def test_power_rises_away_from_the_margin(n: int) -> None:
    """Wrong sides of the margin are rare; far from it the right answer is the rule from 4 on."""
    low, high = power.point(n, 0.0), power.point(n, 0.03)
    assert low.skewed <= 0.05
    assert high.same <= 0.05
    assert low.same + low.cannot_tell + low.skewed == pytest.approx(1)
    at = power.point(n, MARGIN)
    assert max(at.same, at.skewed) <= 0.05 + slack(0.05)
    if n >= 4:
        assert (low.same > 0.8, high.skewed) == (True, 1.0)


@in_checkout
def test_the_power_curves_are_those_of_the_page() -> None:
    """A point made again is in the table, the figure is drawn from it, the page shows it."""
    kept = (DOCS / "figures" / "validation-power.csv").read_text()
    assert len(kept.splitlines()) == 1 + len(REPLICATIONS) * len(power.BIASES)
    assert power.dumps([power.point(8, 0.0125)]).splitlines()[1] in kept.splitlines()
    found = [
        power.Point(int(n), *map(float, rest))
        for n, *rest in (line.split(",") for line in kept.splitlines()[1:])
    ]
    assert power.draw(found) == (DOCS / "figures" / "validation-power.svg").read_bytes()
    assert found[0].of(Kind.SAME) == found[0].same
    assert "validation-power.svg" in (DOCS / "background" / "validation.md").read_text()
