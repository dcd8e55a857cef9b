"""Loss in all (log axis), its causes (stacked shares), and time standing still (stacked)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.looks import LOOKS, MOST, REST
from reports.figures.panels import panels
from reports.figures.style import (
    LINES,
    axis_label,
    blank,
    cut_far,
    legend_above,
    log_axis,
    rows,
    x_grid,
)
from reports.results.arms import time_by_cause
from reports.results.result import Result
from reports.store.rows import LedgerRow, Tables, read
from reports.text import percent


def figure(result: Result, tables: Tables) -> Figure:
    """Two rows: ops on top, time below; one bar an arm."""
    names = result.arm_order
    made = blank(2.6 + 0.5 * len(names))
    halves: Any = made.subfigures(2, 1)
    top, bottom = halves
    left, right = panels(top, 1, 2, width_ratios=(1, 1.2))[0]
    _totals(left, names, result)
    _stacked(right, names, _cause_shares(result, tables), "causes of the loss", columns=2)
    rows(right, names, labelled=False)
    right.set_xlabel(axis_label("share_of_loss_percent"))
    right.set_xlim(0, 100)
    ax = panels(bottom)[0, 0]
    stopped = _stopped(result)
    _stacked(ax, names, stopped, "time in which the program stood still", columns=4)
    cut_far(ax, [sum(v) for v in zip(*stopped.values(), strict=True)], "ms")
    rows(ax, names)
    ax.set_xlabel(axis_label("stopped_ms"))
    return made


def _totals(ax: Axes, names: Sequence[str], result: Result) -> None:
    """A point and its interval per arm; the number in a column on the right."""
    lowest = 1.0
    for row, name in enumerate(names):
        total = result.arms[name].loss.total
        mean = total.mean
        said = "no ops" if mean is None else "none" if mean == 0 else percent(mean)
        ax.text(1.02, row, said, va="center", transform=ax.get_yaxis_transform(), fontsize=8)
        if not mean:
            continue
        ax.plot([100 * mean], [row], "o", color=LINES[0], markersize=5)
        lowest = min(lowest, 100 * mean)
        if total.low is not None and total.high is not None and not total.exact:
            low, high = (min(max(100 * v, 5 * mean), 100.0) for v in (total.low, total.high))
            ax.plot([low, high], [row, row], "-", color=LINES[0], linewidth=2)
            lowest = min(lowest, low)
    ax.set_xlim(lowest / 3, 150)
    log_axis(ax)
    rows(ax, names)
    ax.grid(axis="x")
    ax.set_title("ops lost")
    ax.set_xlabel(axis_label("loss_percent", "log"))


def _cause_shares(result: Result, tables: Tables) -> dict[str, list[float]]:
    """Share of the lost ops by cause [%], one value per arm; causes that occur only."""
    names = result.arm_order
    ops = {(r.arm, r.entry): r.amount for r in read(LedgerRow, tables) if r.ledger == "ops"}
    causes = list(result.arms[names[0]].loss.labels)
    lost = {n: sum(ops[n, c] for c in causes) or 1 for n in names}
    shares = {c: [100 * ops[n, c] / lost[n] for n in names] for c in causes}
    return {cause: values for cause, values in shares.items() if any(values)}


def _stopped(result: Result) -> dict[str, list[float]]:
    """Time standing still by cause [ms], one value per arm; the smallest causes are added up."""
    times = [time_by_cause(result.arms[name]) for name in result.arm_order]
    causes = [c for c in times[0] if c not in ("wall", "running")]
    table = {c: [t[c] for t in times] for c in causes}
    ranked = sorted((c for c in causes if any(table[c])), key=lambda c: (-max(table[c]), c))
    kept = {c: table[c] for c in ranked[:MOST]}
    rest = [table[c] for c in ranked[MOST:]]
    return kept | ({REST: [sum(v) for v in zip(*rest, strict=True)]} if rest else {})


def _stacked(
    ax: Axes, names: Sequence[str], table: dict[str, list[float]], title: str, *, columns: int
) -> None:
    left = np.zeros(len(names))
    for cause, values in table.items():
        ax.barh(range(len(names)), values, 0.6, left=left, label=cause, **LOOKS[cause].area())
        left += np.array(values)
    x_grid(ax)
    if table:
        legend_above(ax, title, columns=columns)
    else:
        ax.set_title(f"{title}: none")
