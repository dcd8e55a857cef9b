"""Regret against the number of samples: a panel a decision, random sampling and every arm."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from reports.figures.panels import panels
from reports.figures.style import (
    GREY,
    LINES,
    MARKERS,
    axis_label,
    blank,
    log_axis,
    log_y,
    named,
    x_grid,
)
from reports.results.result import Result
from reports.store.rows import DecisionRow, Tables, read

COLUMNS = 2
FLOOR = 0.01
"""Regrets below this, in percent, are drawn at it: none at all has no place on a log axis."""


def figure(result: Result, tables: Tables) -> Figure | None:
    """A grey line of random samples and a point for each arm; log axes, down to 0.01 %."""
    every = read(DecisionRow, tables)
    kinds = list(dict.fromkeys(r.kind for r in every))
    if not kinds:
        return None
    down = -(-len(kinds) // COLUMNS)
    made = blank(0.5 + 2.3 * down)
    grid = panels(made, down, COLUMNS)
    cells = [ax for line in grid for ax in line]
    for ax, kind in zip(cells, kinds, strict=False):
        _panel(ax, [r for r in every if r.kind == kind], result)
        ax.set_title(kind)
    for ax in cells[len(kinds) :]:
        ax.set_axis_off()
    legend = {"loc": "lower left", "fontsize": 7, "labelspacing": 0.25}
    cells[len(kinds) - 1].legend(**legend)  # nobody has so little regret by so few samples
    for ax in grid[-1]:
        ax.set_xlabel(axis_label("samples_per_replication", "log"))
    for line in grid:
        line[0].set_ylabel(axis_label("regret_percent", "log"))
    return made


def _panel(ax: Axes, rows: list[DecisionRow], result: Result) -> None:
    line = [r for r in rows if not r.arm]
    ax.plot(
        [r.samples_per_replication for r in line],
        [max(r.regret_percent, FLOOR) for r in line],
        color=GREY,
        linewidth=1.4,
        label="random samples",
    )
    points = {r.arm: r for r in rows if r.arm}
    for number, arm in enumerate(result.arm_order):
        row = points.get(arm)
        colour, marker = LINES[number % len(LINES)], MARKERS[number % len(MARKERS)]
        y = math.nan if row is None else max(row.regret_percent, FLOOR)
        ends = [[0.0], [0.0]] if row is None else [[y - _low(row)], [_high(row) - y]]
        ax.errorbar(
            [math.nan if row is None else row.samples_per_replication],
            [y],
            yerr=ends,
            fmt=marker,
            color=colour,
            markersize=5,
            markerfacecolor="none",
            linewidth=1.2,
            label=named(arm),
        )
    log_axis(ax)
    ax.xaxis.set_major_locator(LogLocator(base=100))  # seven digits are as wide as a decade
    log_y(ax)
    ax.set_ylim(bottom=0.7 * FLOOR)
    x_grid(ax)


def _low(row: DecisionRow) -> float:
    low = row.regret_percent if row.regret_low_percent is None else row.regret_low_percent
    return min(max(low, FLOOR), max(row.regret_percent, FLOOR))


def _high(row: DecisionRow) -> float:
    high = row.regret_percent if row.regret_high_percent is None else row.regret_high_percent
    return max(high, row.regret_percent, FLOOR)
