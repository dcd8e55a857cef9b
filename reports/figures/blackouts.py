"""Fraction of blackouts that are at most so many ops long, by arm and cause."""

from __future__ import annotations

from itertools import groupby

from matplotlib.figure import Figure

from reports.figures.panels import panels
from reports.figures.style import LINES, axis_label, blank, legend_above, log_axis, named
from reports.results.result import Result
from reports.store.rows import BlackoutRow, Tables, read

MAX_CURVES = 7


def figure(result: Result, tables: Tables) -> Figure | None:
    """Cumulative distributions; the curves that cost most ops if there are many."""
    by_curve = groupby(read(BlackoutRow, tables), lambda r: (r.arm, r.cause))
    curves = {k: list(of) for k, of in by_curve}
    if not curves:
        return None
    cost = {k: result.arms[k[0]].blackouts[k[1]].ops for k in curves}
    keep = sorted(curves, key=lambda k: (-cost[k], k))[:MAX_CURVES]
    made = blank(3.4 + 0.08 * len(keep))
    ax = panels(made)[0, 0]
    for k, (arm, cause) in enumerate(c for c in curves if c in keep):
        of = curves[arm, cause]
        x = [max(1, r.at_least_ops) for r in of]
        y = [r.cumulative_fraction for r in of]
        count = sum(r.count for r in of)
        ax.step(
            [x[0], *x],
            [0.0, *y],
            where="post",
            color=LINES[k % 7],
            linestyle=("-", "--", "-.", ":")[k % 4],
            linewidth=1.6,
            label=f"{named(arm)}: {cause} ({count:,})",
        )
    log_axis(ax)
    ax.grid()
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(axis_label("at_least_ops", "log, 0 drawn at 1"))
    ax.set_ylabel(axis_label("cumulative_fraction"))
    legend_above(ax)
    return made
