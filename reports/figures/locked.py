"""Locked memory over the first replication, with the limit dashed."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.panels import panels
from reports.figures.style import INK, LINES, axis_label, blank, log_axis, memory_top, named
from reports.results.result import Result
from reports.store.rows import LockedRow, Tables, by_arm
from reports.text import size

MAX_ROWS = 12
FIRST_US = 0.1
"""Where time 0 is drawn on a logarithmic axis of microseconds."""


def figure(result: Result, tables: Tables) -> Figure | None:
    """One row for each arm that locks memory."""
    rows_of = by_arm(LockedRow, tables)
    having = [(n, rows_of[n]) for n in result.arm_order if n in rows_of][:MAX_ROWS]
    if not having:
        return None
    made = blank(0.7 + 1.05 * len(having))
    axes = panels(made, len(having), sharex=True)[:, 0]
    for k, (ax, (name, of)) in enumerate(zip(axes, having, strict=True)):
        _row(ax, name, of, LINES[k % 7])
    log_axis(axes[-1], between=False)
    axes[-1].set_xlabel(axis_label("t_us", "log, 0 drawn at 0.1"))
    return made


def _row(ax: Axes, name: str, of: list[LockedRow], colour: str) -> None:
    t = [max(r.t_us, FIRST_US) for r in of]
    used = [r.locked_bytes for r in of]
    limit = [np.nan if r.limit_bytes is None else r.limit_bytes for r in of]
    ax.step(t, used, where="post", color=colour, linewidth=1.4)
    ax.fill_between(t, used, step="post", color=colour, alpha=0.25, linewidth=0)
    bounded = [r.limit_bytes for r in of if r.limit_bytes is not None]
    if bounded:
        ax.step(t, limit, where="post", color=INK, linewidth=1.2, linestyle="--")
    top, above = memory_top(used, bounded)
    ax.set_ylim(0, top * 1.15)
    ax.set_yticks([0, top / 2, top], ["0", size(int(top / 2)), size(top)])
    ax.grid(axis="y")
    note = above or (", limit dashed" if bounded else ", no limit")
    ax.set_title(f"{named(name)}: peak {size(max(used))}{note}", pad=3)
