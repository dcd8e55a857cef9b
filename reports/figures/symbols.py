"""Left: share of each symbol in the truth. Right: each arm's share minus the truth's, 95 %."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.panels import panels
from reports.figures.style import (
    GREY,
    INK,
    LINES,
    MARKERS,
    NAME_CHARS,
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

TOP = 12
MAX_ARMS = 7


def figure(result: Result, tables: Tables) -> Figure | None:
    """The largest symbols of the first arm's truth; arms that sampled the same program."""
    rows_of = by_arm(SymbolRow, tables)
    every = {name: rows_of.get(name, []) for name in result.arm_order}
    first = every[result.arm_order[0]][:TOP]
    if not first:
        return None
    names = [r.symbol for r in first]
    found = {
        arm: [r for s in names for r in by_name if r.symbol == s] for arm, by_name in every.items()
    }
    chosen = _widest({arm: r for arm, r in found.items() if len(r) == len(names)})
    made = blank(1.5 + max(0.34, 0.075 * len(chosen)) * len(names))
    left, right = panels(made, 1, 2, width_ratios=(1, 1.5))[0]
    left.barh(range(len(names)), [r.truth_percent for r in first], 0.6, color=GREY)
    shown = [symbol(name, NAME_CHARS) for name in names]
    rows(left, shown)
    left.set_xlabel(axis_label("truth_percent"))
    left.set_title("truth")
    for k, (arm, of) in enumerate(chosen.items()):
        _deviations(right, arm, of, k, len(chosen))
    right.axvline(0, color=INK, linewidth=0.8)
    rows(right, shown, labelled=False)
    right.set_xlabel(axis_label("error_pp"))
    legend_above(right)
    x_grid(left)
    x_grid(right)
    return made


def _widest(found: dict[str, list[SymbolRow]]) -> dict[str, list[SymbolRow]]:
    """The first arm and those that differ most from the truth, in the scenario's order."""
    if len(found) <= MAX_ARMS:
        return found
    names = list(found)
    off = {n: max(abs(r.error_pp or 0.0) for r in found[n]) for n in names}
    rank = sorted(names[1:], key=lambda n: (-off[n], names.index(n)))[: MAX_ARMS - 1]
    return {n: r for n, r in found.items() if n in (names[0], *rank)}


def _deviations(ax: Axes, arm: str, of: list[SymbolRow], k: int, arms: int) -> None:
    y = np.arange(len(of)) + (k - (arms - 1) / 2) * 0.7 / max(arms, 2)
    mean = np.array([np.nan if r.error_pp is None else r.error_pp for r in of])
    ax.errorbar(
        mean,
        y,
        xerr=[r.half_width for r in of],
        fmt=MARKERS[k % 7],
        color=LINES[k % 7],
        markersize=3.5,
        linewidth=1.2,
        label=named(arm),
    )
