"""Time added to baremetal's by cause (stacked), and the band of what nobody has measured."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.looks import LOOKS, MOST, REST
from reports.figures.panels import panels
from reports.figures.style import (
    COLOURS,
    INK,
    axis_label,
    blank,
    cut_far,
    legend_above,
    log_axis,
    rows,
    x_grid,
)
from reports.results.result import Result
from reports.store.rows import PerturbationRow, Tables, by_arm
from reports.text import percent

SMALLEST = 1e-4
"""Percent of wall time: what the log axis begins at, if nothing is smaller."""


def figure(result: Result, tables: Tables) -> Figure | None:
    """Left: causes, largest first, in ms. Right: the whole with its band, in % of baremetal's.

    Populating memory before the guest first runs is in neither: it is paid once per VM.
    """
    rows_of = by_arm(PerturbationRow, tables)
    found = {n: rows_of[n] for n in result.arm_order if n in rows_of}
    if not found:
        return None
    made = blank(2.0 + 0.36 * len(found))
    left, right = panels(made, 1, 2, width_ratios=(1.5, 1))[0]
    _causes(left, found)
    _bands(right, found)
    return made


def _causes(ax: Axes, found: dict[str, list[PerturbationRow]]) -> None:
    parts = {
        n: {
            r.cause: r.added_ms for r in of if r.cause not in ("all", "prefault") and r.added_ms > 0
        }
        for n, of in found.items()
    }
    every = {c for p in parts.values() for c in p}
    ranked = sorted(every, key=lambda c: (-max(p.get(c, 0.0) for p in parts.values()), c))
    groups = [[c] for c in ranked[:MOST]]
    if rest := ranked[MOST:]:
        groups.append(rest)
    left = dict.fromkeys(found, 0.0)
    for k, group in enumerate(groups):
        widths = [sum(parts[n].get(c, 0.0) for c in group) for n in found]
        label = group[0] if k < MOST else REST
        at = list(left.values())
        ax.barh(range(len(found)), widths, 0.6, left=at, label=label, **LOOKS[label].area())
        left = {n: x + w for (n, x), w in zip(left.items(), widths, strict=True)}
    rows(ax, list(found))
    x_grid(ax)
    cut_far(ax, list(left.values()), "ms")
    ax.set_xlabel(axis_label("added_ms"))
    legend_above(ax, columns=4)


def _bands(ax: Axes, found: dict[str, list[PerturbationRow]]) -> None:
    """A point where this run lies in its band; the numbers in a column on the right."""
    smallest = 100.0
    for row, of in enumerate(found.values()):
        low, here, high = (100 * share for share in of[-1].shares())
        low, high, at = (max(x, SMALLEST) for x in (low, high, here))
        if high > low * 1.001:
            ax.plot(
                [low, high], [row, row], color=INK, linewidth=4, alpha=0.35, solid_capstyle="butt"
            )
        ax.plot([at], [row], "o", color=COLOURS[0], markersize=5)
        ax.text(
            1.02,
            row,
            percent(here / 100),
            va="center",
            transform=ax.get_yaxis_transform(),
            fontsize=8,
        )
        smallest = min(smallest, low)
    ax.set_xlim(left=smallest / 2)
    log_axis(ax)
    rows(ax, list(found), labelled=False)
    x_grid(ax)
    ax.set_xlabel(axis_label("added_percent", "log"))
    ax.set_title("all causes; bar: UNVERIFIED times")
