"""Total variation distance from baremetal and from the truth, each with its noise floor."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.panels import panels
from reports.figures.style import (
    BLUE,
    VERMILION,
    axis_label,
    blank,
    legend_above,
    log_axis,
    rows,
    x_grid,
)
from reports.results.result import Result
from reports.store.rows import DistanceRow, Tables, read

VIEWS = (("symbol", "tvd_by_symbol"), ("pc", "tvd_by_pc"))
PAIRS = (
    ("tvd_vs_baremetal", "tvd_noise_floor", "from baremetal", BLUE, "o", -0.17),
    ("tvd_vs_truth", "tvd_truth_floor", "from the truth", VERMILION, "D", 0.17),
)
DRAWN = tuple(name for pair in PAIRS for name in pair[:2])
FLOOR = 1e-6
"""Distances below this are drawn at it: an exact agreement has no place on a log axis."""
REACH = 0.1
"""The axis ends at this part of the smallest distance; intervals that go on to 0 are cut there."""


def figure(result: Result, tables: Tables) -> Figure | None:
    """One panel a view; a point is an arm's distance, a bar its noise floor.

    A view in which nothing can be apart is left out, such as the symbols of a program of one.
    """
    every = read(DistanceRow, tables)
    found = {view: {(r.arm, r.metric): r for r in every if r.view == view} for view, _ in VIEWS}
    views = [(v, title) for v, title in VIEWS if any(r.mean for r in found[v].values())]
    if not views:
        return None
    names = result.arm_order
    made = blank(1.3 + 0.34 * len(names))
    axes = panels(made, 1, len(views))[0]
    for ax, (view, title) in zip(axes, views, strict=True):
        for arm, (metric, floor, label, colour, marker, shift) in (
            (k, p) for p in PAIRS for k in range(len(names))
        ):
            label = label if arm == len(names) - 1 else ""
            point = found[view].get((names[arm], metric))
            noise = found[view].get((names[arm], floor))
            _point(ax, arm + shift, point, colour, marker, label and f"distance {label}, 95 %")
            _floor(ax, arm + shift, noise, colour, label and f"noise floor {label}")
        ax.set_xlim(left=_left([r for (_, m), r in found[view].items() if m in DRAWN]))
        log_axis(ax)
        rows(ax, names, labelled=ax is axes[0])
        x_grid(ax)
        ax.set_xlabel(axis_label(title, "log"))
    legend_above(axes[0], columns=2)
    return made


def _left(shown: list[DistanceRow]) -> float:
    means = [max(r.mean, FLOOR) for r in shown if r.mean is not None]
    lows = [max(r.low, FLOOR) for r in shown if r.low is not None]
    return max(0.7 * min([*means, *lows], default=FLOOR), REACH * min(means, default=FLOOR))


def _point(
    ax: Axes, y: float, row: DistanceRow | None, colour: str, marker: str, label: str
) -> None:
    mean = None if row is None else row.mean
    x = float("nan") if mean is None else max(mean, FLOOR)
    low = high = 0.0
    if row is not None and row.low is not None and row.high is not None:
        low, high = x - max(row.low, FLOOR), max(row.high, FLOOR) - x
    ax.errorbar(
        [x],
        [y],
        xerr=[[max(0.0, low)], [max(0.0, high)]],
        fmt=marker,
        color=colour,
        markersize=4,
        linewidth=1.4,
        label=label or None,
    )


def _floor(ax: Axes, y: float, row: DistanceRow | None, colour: str, label: str) -> None:
    mean = None if row is None else row.mean
    x = float("nan") if mean is None else max(mean, FLOOR)
    ax.plot([x], [y], "|", color=colour, markersize=11, markeredgewidth=1.6, label=label or None)
