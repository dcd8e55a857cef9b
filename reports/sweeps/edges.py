"""Per enable edge in a sweep: what an edge costs by part, against locked memory times time.

Pinning at every edge costs time, keeping the pin costs memory: a table of both for every cell and
arm, and a figure that sets one against the other. Bands over the UNVERIFIED times are there if the
sweep was asked for them (`--band`).
"""

from __future__ import annotations

import reports.plotting  # noqa: F401 (before matplotlib)

# isort: split
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.cost.edges import ALL, PARTS
from reports.figures.style import GREY, LINES, MARKERS, headed, legend_in, log_axis, log_y, named
from reports.pages.summary import edge
from reports.results.metric import Metric
from reports.results.result import PerEnable
from reports.results.sweep_result import CellResult, Numbers
from reports.store.grid import Grid
from reports.sweeps.maps import F64, middle
from reports.text import number

LOCKED = "rlimit.locked_per_enable"
HEAD = ("arm", *(f"{part}, µs" for part in PARTS), "all, µs", "locked, MiB·ms")
TITLE = "Per enable edge"
NOTE = (
    "Time per enable edge by part, in µs, with its band over the UNVERIFIED times where the sweep "
    "has one (--band); locked memory times the time that it is locked, per edge. charge is "
    "account_locked_vm once; charging again and waiting for the lock are in pin."
)
READING = (
    "Each point is an arm in a cell: what an enable edge costs in time, against the memory that "
    "it keeps locked times how long. Left is less memory, below is less time; grey bars are the "
    "band over the UNVERIFIED times. Points of an arm are joined over the levels of {inner}."
)
COLUMNS = 3
_ENDS = ("here", "low", "high")
NUMBERS = (LOCKED, *(f"per_enable.{part}.{end}_us" for part in (*PARTS, ALL) for end in _ENDS))
"""Of an arm, that tables and the figure are made of."""


def rows(cell: CellResult) -> Iterator[tuple[str, ...]]:
    """Of each arm with an enable edge that pins, in the order of HEAD."""
    for arm, numbers in cell.arms.items():
        parts = {part: found for part in (*PARTS, ALL) if (found := _part(numbers, part))}
        if parts:
            shown = (edge(parts[part]) if part in parts else "–" for part in (*PARTS, ALL))
            yield arm, *shown, _locked(numbers)


def _part(numbers: Numbers, part: str) -> PerEnable | None:
    here, low, high = (numbers.get(f"per_enable.{part}.{end}_us") for end in _ENDS)
    if not isinstance(here, (int, float)):
        return None
    if isinstance(low, (int, float)) and isinstance(high, (int, float)):
        return PerEnable(here, low, high)
    return PerEnable(here, None, None)


def _locked(numbers: Numbers) -> str:
    found = numbers.get(LOCKED)
    return "–" if not isinstance(found, Metric) or found.mean is None else number(found.mean)


# --- figure ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Points:
    """Of an arm over the grid: arrays with a dimension per axis."""

    locked: F64
    here: F64
    low: F64
    high: F64


def _points(whole: Grid, arm: str) -> _Points | None:
    at = f"per_enable.{ALL}"
    here, low, high = (whole.response(arm, f"{at}.{end}_us").mean for end in _ENDS)
    locked = whole.response(arm, LOCKED).mean
    known = np.isfinite(here) & np.isfinite(locked) & (here > 0) & (locked > 0)
    if not known.any():
        return None
    here = np.where(known, here, np.nan)
    return _Points(
        np.where(known, locked, np.nan),
        here,
        np.where(np.isfinite(low), low, here),
        np.where(np.isfinite(high), high, here),
    )


def drawable(whole: Grid) -> bool:
    """True if there is something to set against something."""
    return any(_points(whole, arm) is not None for arm in whole.arms)


def joined(whole: Grid) -> str:
    """The setting over whose levels points are joined; empty without one."""
    return whole.axes[-1].name if whole.axes else ""


def figure(whole: Grid) -> Figure:
    """A panel per level of the first axis; the points of an arm are joined over the last one."""
    having: Mapping[str, _Points] = {
        arm: found for arm in whole.arms if (found := _points(whole, arm)) is not None
    }
    last = len(whole.axes) - 1
    outer = whole.axes[0] if last > 0 else None
    levels = outer.levels if outer is not None else ("",)
    columns = 2 if len(levels) == COLUMNS + 1 else min(len(levels), COLUMNS)
    lines = -(-len(levels) // columns)
    made, top, bottom = headed(0.25 + 2.4 * lines, len(having))
    panels = bottom.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for level, ax in itertools.zip_longest(range(len(levels)), panels.flat):
        if level is None:
            ax.set_visible(False)
            continue
        for k, (arm, points) in enumerate(having.items()):
            _arm(ax, k, arm, _taken(whole, points, level))
        if outer is not None:
            ax.set_title(f"{outer.name} = {outer.levels[level]}", fontsize=8)
        log_axis(ax)
        log_y(ax)
        ax.grid()
        ax.set_axisbelow(True)
        ax.set_xlabel("locked × time per edge, MiB·ms (log)", fontsize=8)
    for ax in panels[:, 0]:
        ax.set_ylabel("time per edge, µs (log)", fontsize=8)
    legend_in(top, *panels[0, 0].get_legend_handles_labels())
    return made


def _taken(whole: Grid, points: _Points, level: int) -> _Points:
    """A line of points: the first axis at a level, the last one free, others at their middle."""
    last = len(whole.axes) - 1
    if last < 0:
        return points
    where = dict(middle(whole.axes, (last,)).fixed)
    if last > 0:
        where[0] = level
    index = tuple(where.get(axis, slice(None)) for axis in range(last + 1))
    return _Points(*(x[index] for x in (points.locked, points.here, points.low, points.high)))


def _arm(ax: Axes, k: int, arm: str, points: _Points) -> None:
    colour, marker = LINES[k % len(LINES)], MARKERS[k % len(MARKERS)]
    x, y, low, high = (
        np.atleast_1d(v) for v in (points.locked, points.here, points.low, points.high)
    )
    ax.vlines(x, low, high, color=GREY, linewidth=4, alpha=0.5)
    ax.plot(x, y, "-", color=colour, marker=marker, label=named(arm), linewidth=1, markersize=5)
