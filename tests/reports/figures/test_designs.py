"""Several designs side by side: the table and the front."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from reports import figures
from reports.figures import readings
from reports.store.rows import DesignRow, LimitRow, by_arm, read
from tests.reports import drawing
from tests.reports.figures.plans import DESIGNS
from tests.rigs.samples import described, tables


def test_several_designs_are_set_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """From four designs on: loss, memory, time, fronts, exits; with fewer no section."""
    of = tables(DESIGNS)
    drawing.only(monkeypatch, "designs")
    found = {d.key: d for d in figures.draw(described(DESIGNS), of)}
    ElementTree.fromstring(found["designs"].svg)
    rows = {r.arm: r for r in read(DesignRow, of)}
    assert list(rows) == [p.name for p in DESIGNS[1:]]
    assert rows["unpinned"].locked_bytes == 0
    assert rows["unpinned"].on_front_memory
    assert not rows["first-fault"].on_front_memory  # as much memory as v6, clearly more loss
    assert set(by_arm(LimitRow, of)) >= {"v6", "first-fault"}
    assert all(r.loss_low_percent <= r.loss_percent for r in rows.values())
    assert "v3-mlock keeps all guest memory resident" in found["designs"].reading
    few = tables(DESIGNS[:4])
    assert few["designs"].rows == few["limits"].rows == ()
    assert "designs" not in {d.key for d in figures.drawings(described(DESIGNS[:4]), few)}


def test_nobody_may_be_on_both_fronts() -> None:
    """Then the reading says that, and names nobody."""
    of = tables(DESIGNS)
    table = of["designs"]
    column = [c.name for c in table.columns].index("on_front_time")
    rows = tuple((*row[:column], False, *row[column + 1 :]) for row in table.rows)
    text = readings.designs(described(DESIGNS), {"designs": replace(table, rows=rows)})
    assert text.startswith("No arm is on both fronts")
