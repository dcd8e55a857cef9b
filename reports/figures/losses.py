"""Does loss become skew? Loss inside each symbol, beside the profile's error there.

The diamond is what a noise-free profile of the ops that were not lost would get wrong (theory row
12); the dot is what the profile does get wrong. Where they agree the loss explains the error; a dot
without a diamond is noise or another mechanism.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.panels import panels
from reports.figures.style import (
    BLUE,
    INK,
    NAME_CHARS,
    VERMILION,
    axis_label,
    blank,
    legend_above,
    named,
    rows,
    x_grid,
)
from reports.results.result import Result
from reports.store.rows import SymbolRow, Tables, by_arm
from reports.text import symbol

MAX_ARMS = 3
TOP = 8


def figure(result: Result, tables: Tables) -> Figure | None:
    """The arms whose loss would move most of the profile, one row each."""
    rows_of = by_arm(SymbolRow, tables)
    every = {n: _moved(rows_of.get(n, [])) for n in result.arm_order}
    found = {n: every[n] for n in chosen(result, [n for n in every if every[n]])}
    if not found:
        return None
    sizes = [len(r) for r in found.values()]
    made = blank(0.75 * len(found) + 0.2 * sum(sizes) + 0.5)
    grid = panels(made, len(found), 2, height_ratios=[2 + s for s in sizes])
    for (left, right), (name, of) in zip(grid, found.items(), strict=True):
        left.barh(range(len(of)), [r.lost_percent or 0.0 for r in of], 0.6, color=VERMILION)
        rows(left, [symbol(r.symbol, NAME_CHARS) for r in of])
        left.set_title(named(name))
        left.set_xlim(0, None)
        _errors(right, of)
        x_grid(left)
        x_grid(right)
    grid[-1][0].set_xlabel(axis_label("lost_percent"))
    grid[-1][1].set_xlabel(axis_label("error_pp"))
    legend_above(grid[0][1], columns=1)
    return made


def chosen(result: Result, having: Sequence[str]) -> list[str]:
    """Of the arms that have samples, those whose loss moves most of the profile, in order."""
    moved = {n: result.arms[n].loss_skew.mean or 0.0 for n in having}
    names = [n for n in having if moved[n] > 0]
    rank = sorted(names, key=lambda n: (-moved[n], names.index(n)))[:MAX_ARMS]
    return [n for n in names if n in rank]


def _moved(of: list[SymbolRow]) -> list[SymbolRow]:
    """The symbols that the loss moves most, by truth share."""
    known = [r for r in of if r.moved_by_loss_pp is not None and r.error_pp is not None]
    rank = sorted(known, key=lambda r: (-abs(r.moved_by_loss_pp or 0.0), r.symbol))[:TOP]
    return [r for r in known if r in rank]


def _errors(ax: Axes, of: list[SymbolRow]) -> None:
    y = np.arange(len(of))
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.errorbar(
        [r.error_pp or 0.0 for r in of],
        y,
        xerr=[r.half_width for r in of],
        fmt="o",
        color=BLUE,
        markersize=4,
        linewidth=1.2,
        label="found, 95 %",
    )
    ax.plot(
        [r.moved_by_loss_pp or 0.0 for r in of],
        y,
        "D",
        color=VERMILION,
        markersize=6,
        fillstyle="none",
        linewidth=0,
        label="expected from the loss alone",
    )
    rows(ax, [symbol(r.symbol, NAME_CHARS) for r in of], labelled=False)
