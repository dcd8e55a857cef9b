"""The table of wrong verdicts: rates as stated, and the page has what comes out."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from reports.validation import statistics
from reports.validation.statistics import REPLICATIONS, SYMBOLS, TRIALS, rates
from tests.rigs.pages import DOCS, in_checkout


def slack(rate: float) -> float:
    """Four standard errors of a rate over the trials."""
    return 4 * math.sqrt(rate * (1 - rate) / TRIALS)


@pytest.mark.parametrize("n", REPLICATIONS)
@pytest.mark.parametrize("symbols", SYMBOLS)
def test_rates_are_as_stated(symbols: int, n: int) -> None:
    """Wrong ones at most 5 %, intervals hold in 93 % or more; each plus or minus 4 SE."""
    found = rates(symbols, n)
    assert found.false_skew <= 0.05 + slack(0.05)
    assert found.false_flags <= 0.05 + slack(0.05)
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
