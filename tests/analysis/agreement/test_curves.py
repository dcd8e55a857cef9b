"""Curves of theory: their columns are in the dictionary."""

from __future__ import annotations

from analysis.agreement import curves
from analysis.columns import AXES, COLUMNS
from tests.rigs.fakes import Plan, arm


def test_curves_have_known_columns() -> None:
    """The theory curves' columns too, one curve under each form that has points."""
    arms = [arm(Plan()), arm(Plan(name="v6", design="v6", lost=9, seed=3))]
    table = curves.theory_table(arms)
    points, frame = table.frame(), curves.curves_table(table).frame()
    assert list(frame.columns) == list(curves.CURVE_COLUMNS)
    assert set(frame.columns) <= set(COLUMNS)
    known = {c.name for c in AXES}
    assert set(points["abscissa"]) | set(points["quantity"]) <= known
    having = points[points["condition"] == ""]
    assert len(having)
    for row, quantity in set(zip(frame["row"], frame["quantity"], strict=True)):
        mine = frame[(frame["row"] == row) & (frame["quantity"] == quantity)]["x"]
        x = having[(having["row"] == row) & (having["quantity"] == quantity)]["x"]
        assert mine.min() < x.min() <= x.max() < mine.max()
