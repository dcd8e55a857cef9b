"""Closed forms as curves, and under which conditions hold the arms as points on them.

A panel a quantity. Arms with the same interval are drawn side by side, so a point stands a little
left or right of its place; the table has the place itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.figures.panels import panels
from reports.figures.style import (
    INK,
    LINES,
    MARKERS,
    axis_label,
    headed,
    legend_in,
    log_axis,
    log_y,
    named,
)
from reports.results.result import Result
from reports.store.rows import Place, Point, Tables, curves, points

MAX_ARMS = 14
COLUMNS = 2
SIDE = 0.025
"""Distance of neighbours, as a part of the axis."""


def figure(result: Result, tables: Tables) -> Figure | None:
    """The quantities of which some arm has a point; the first arms if there are many."""
    found = points(tables)
    if not found:
        return None
    names = [n for n in result.arm_order if any(r.arm == n for r in found)][:MAX_ARMS]
    return _panels(found, curves(tables), names)


def _panels(found: Sequence[Point], forms: Sequence[Place], names: Sequence[str]) -> Figure:
    """Points of the arms `names` above their curves, a panel a quantity."""
    quantities = list(dict.fromkeys(r.quantity for r in found))
    rows = math.ceil(len(quantities) / COLUMNS)
    made, top, bottom = headed(2.6 * rows, 1 + len(names))
    axes = panels(bottom, rows, COLUMNS).ravel()
    for ax in axes[len(quantities) :]:
        ax.set_axis_off()
    drawn: dict[str, ErrorbarContainer] = {}
    for ax, quantity in zip(axes, quantities, strict=False):
        mine = [r for r in found if r.quantity == quantity]
        drawn |= _panel(ax, mine, [r for r in forms if r.quantity == quantity], names)
    handles = [Line2D([], [], color=INK, linewidth=1), *(drawn[name] for name in names)]
    legend_in(top, handles, ["closed form", *map(named, names)])
    return made


def _panel(
    ax: Axes, found: list[Point], forms: list[Place], names: Sequence[str]
) -> dict[str, ErrorbarContainer]:
    """Draws one; what stands for each arm."""
    for _, curve in groupby(forms, lambda r: r.row):
        of = list(curve)
        ax.plot([r.x for r in of], [r.theory for r in of], color=INK, linewidth=1)
    if all(r.x > 0 for r in found):
        log_axis(ax)
        if _decades(found) > 1 and found[0].abscissa != "interval_ops":
            log_y(ax)
    drawn: dict[str, ErrorbarContainer] = {}
    for row, shift in _side_by_side(found, names):
        k = list(names).index(row.arm)
        low = row.simulated if row.low is None else row.low
        high = row.simulated if row.high is None else row.high
        drawn[row.arm] = ax.errorbar(
            [_shifted(ax, row.x, shift)],
            [row.simulated],
            yerr=[[max(0.0, row.simulated - low)], [max(0.0, high - row.simulated)]],
            fmt=MARKERS[k % 7],
            color=LINES[k % 7],
            markersize=4.5,
            linewidth=1.3,
            fillstyle="full" if k < 7 else "none",
        )
    ax.set_xlabel(axis_label(found[0].abscissa))
    ax.set_ylabel(axis_label(found[0].quantity))
    ax.grid()
    ax.set_axisbelow(True)
    return drawn


def _decades(found: list[Point]) -> float:
    """Decades that the points and their intervals span; 0 if one reaches zero."""
    lowest = min(r.simulated if r.low is None else r.low for r in found)
    return math.log10(max(r.simulated for r in found) / lowest) if lowest > 0 else 0.0


def _side_by_side(found: list[Point], names: Sequence[str]) -> list[tuple[Point, float]]:
    """Rows of the arms that are drawn, each with its shift among those of about the same place."""
    drawn = [r for r in found if r.arm in names]
    out = []
    for row in drawn:
        near = [r for r in drawn if r.x == row.x] if row.abscissa == "interval_ops" else [row]
        out.append((row, SIDE * (near.index(row) - (len(near) - 1) / 2)))
    return out


def _shifted(ax: Axes, x: float, shift: float) -> float:
    low, high = ax.get_xlim()
    if ax.get_xscale() == "log":
        return float(x * (high / low) ** shift)
    return float(x + (high - low) * shift)
