"""The figure of decisions: a panel a kind, every arm on it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from reports import figures
from reports.figures import decisions
from reports.figures.style import styled
from reports.store.rows import DecisionRow, read
from tests.reports import decided, drawing
from tests.rigs import samples


def test_every_arm_and_kind_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Titles of the kinds that can be decided, names of the arms, the random line."""
    found = decided.described()
    drawing.only(monkeypatch, "decisions")
    drawn = {d.key: d for d in figures.draw(found.result, found.tables)}["decisions"]
    ElementTree.fromstring(drawn.svg)
    for name in ("hot-functions", "hot-instructions", "baremetal", "v6", "few", "random samples"):
        assert name in drawn.svg
    assert "sharing" not in drawn.svg
    assert drawn.title == "Would you decide the same?"
    assert drawn.reading.endswith(".")
    assert "v6" in drawn.reading


def test_regret_falls_with_random_samples() -> None:
    """The line of a kind ends below where it begins; an arm's row has an answer."""
    rows = [r for r in read(DecisionRow, decided.described().tables) if r.kind == "hot-functions"]
    line = [r for r in rows if not r.arm]
    assert line[-1].regret_percent < line[0].regret_percent
    assert {r.arm: r.answer for r in rows if r.arm}.keys() == {"baremetal", "v6", "few"}
    assert all(r.answer for r in rows if r.arm)


def test_intervals_are_cut_at_the_axis() -> None:
    """Below what is drawn there is nothing: no error bar is negative."""
    for row in read(DecisionRow, decided.described().tables):
        assert decisions._low(row) <= max(row.regret_percent, decisions.FLOOR)
        assert decisions._high(row) >= max(row.regret_percent, decisions.FLOOR)


def test_a_run_that_was_not_asked_has_no_figure() -> None:
    """Nor a section."""
    assert "decisions" not in samples.KEYS
    with styled("decisions"):
        assert decisions.figure(samples.described(), samples.tables()) is None
