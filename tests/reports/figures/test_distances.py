"""Distances and their floors: a panel for each view in which anything can be apart."""

from __future__ import annotations

from reports.figures import distances
from tests.rigs.fakes import Plan
from tests.rigs.samples import described, tables


def test_a_panel_a_view() -> None:
    """Symbols and instructions, an arm a row; every distance has its marker in both."""
    made = distances.figure(described(), tables())
    assert made is not None
    assert len(made.axes) == len(distances.VIEWS)
    for ax, _ in zip(made.axes, distances.VIEWS, strict=True):
        labels = {str(name) for name in ax.get_legend_handles_labels()[1]}
        assert {"distance from baremetal, 95 %", "distance from the truth, 95 %"} <= labels


def test_nothing_apart_is_no_figure() -> None:
    """Without samples there is no distance to draw."""
    plans = (Plan(samples=0),)
    assert distances.figure(described(plans), tables(plans)) is None
