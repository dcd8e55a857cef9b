"""Designs side by side: what is lost against memory and against time, and when RLIMIT exits fire.

Ringed points are on the front: no other design has less memory, or adds less time, without clearly
more loss. Grey bars are the band over UNVERIFIED times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reports.figures.panels import panels
from reports.figures.style import (
    GREY,
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
from reports.store.rows import DesignRow, LimitRow, Tables, by_arm, read
from reports.text import size

MAX_ARMS = 14
SIZES = {"0": 4096, "1 MiB": 1 << 20, "64 MiB": 1 << 26, "4 GiB": 1 << 32}
"""Marks of the axis of memory."""
LEAST_LOSS, LEAST_TIME, NOTHING = 1e-5, 1e-3, 4096
"""Percent of ops, percent of time, bytes: where less is drawn on a logarithmic axis."""

RING: Any = {
    "marker": "o",
    "color": INK,
    "markersize": 10,
    "fillstyle": "none",
    "markeredgewidth": 0.9,
    "linestyle": "none",
}


def figure(result: Result, tables: Tables) -> Figure | None:
    """Two panels of designs, and a third if some arm can exit."""
    rows = read(DesignRow, tables)[:MAX_ARMS]
    if not rows:
        return None
    limits = by_arm(LimitRow, tables)
    steps = {r.arm: limits[r.arm] for r in rows if r.arm in limits}
    made, top, bottom = headed(3.2, len(rows) + 1)
    axes = panels(bottom, 1, 3 if steps else 2)[0]
    drawn = _panel(axes[0], rows, "locked_bytes", _memory, between=False)
    axes[0].set_xticks(list(SIZES.values()), list(SIZES))
    _panel(axes[1], rows, "added_percent", _time)
    axes[0].set_ylabel(axis_label("loss_percent", "log"))
    if steps:
        _exits(axes[2], rows, steps)
    handles = [*(drawn[row.arm] for row in rows), Line2D([], [], **RING)]
    legend_in(top, handles, [*(named(row.arm) for row in rows), "on the front"])
    return made


@dataclass(frozen=True, slots=True)
class _Price:
    """Where a design stands on an axis, its band if there is one, and if it is on the front."""

    at: float
    band: tuple[float, float] | None
    front: bool


def _memory(row: DesignRow) -> _Price:
    return _Price(max(row.locked_bytes, NOTHING), None, row.on_front_memory)


def _time(row: DesignRow) -> _Price | None:
    low, here, high = row.added_low_percent, row.added_percent, row.added_high_percent
    if here is None:
        return None
    band = None
    if low is not None and high is not None:
        band = max(low, LEAST_TIME), max(high, LEAST_TIME)
    return _Price(max(here, LEAST_TIME), band, row.on_front_time)


def _panel(
    ax: Axes,
    rows: Sequence[DesignRow],
    axis: str,
    price_of: Callable[[DesignRow], _Price | None],
    *,
    between: bool = True,
) -> dict[str, ErrorbarContainer]:
    """Draws one; what stands for each arm."""
    drawn: dict[str, ErrorbarContainer] = {}
    for k, row in enumerate(rows):
        price = price_of(row)
        if price is None:
            continue
        losses = (row.loss_percent, row.loss_low_percent, row.loss_high_percent)
        y, low, high = (max(loss, LEAST_LOSS) for loss in losses)
        if price.band is not None:
            ends = list(price.band)
            ax.plot(ends, [y, y], color=GREY, linewidth=4, alpha=0.5, solid_capstyle="butt")
        drawn[row.arm] = ax.errorbar(
            [price.at],
            [y],
            yerr=[[y - low], [high - y]],
            fmt=MARKERS[k % 7],
            color=LINES[k % 7],
            markersize=5,
            linewidth=1.2,
            fillstyle="full" if k < 7 else "none",
        )
        if price.front:
            ax.plot([price.at], [y], **RING)
    log_axis(ax, between=between)
    log_y(ax)
    ax.set_xlabel(axis_label(axis, "log"))
    ax.grid()
    ax.set_axisbelow(True)
    return drawn


def _exits(ax: Axes, rows: Sequence[DesignRow], steps: Mapping[str, Sequence[LimitRow]]) -> None:
    """Exits of the first replication at and above each limit."""
    for k, row in enumerate(rows):
        if row.arm not in steps:
            continue
        of = steps[row.arm]
        end = 1.3 * max(r.limit_bytes for r in of)
        x = [r.limit_bytes for r in of]
        y = [r.exits for r in of]
        ax.step([*x, end], [*y, y[-1]], where="post", color=LINES[k % 7], linewidth=1.3)
        ax.plot(x[1:2], y[:1], MARKERS[k % 7], color=LINES[k % 7], markersize=4)
        ax.plot(x[-1:], y[-1:], "o", color=LINES[k % 7], markersize=6, fillstyle="none")
    marks = [0, max(of[-1].limit_bytes for of in steps.values())]
    ax.set_xticks(marks, [size(m) for m in marks])
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel(axis_label("limit_bytes"))
    ax.set_ylabel(axis_label("exits"))
    ax.grid()
