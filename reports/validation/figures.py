"""Figures of the page on validation: simulated points above closed forms, two panels each."""

from __future__ import annotations

import reports.plotting  # noqa: F401 (before matplotlib)

# isort: split
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from reports.figures.style import (
    LINES,
    MARKERS,
    axis_label,
    blank,
    legend_above,
    log_axis,
    log_y,
    styled,
    to_file_svg,
)

if TYPE_CHECKING:
    from reports.validation.rows import Row


@dataclass(frozen=True, slots=True)
class Panel:
    """One experiment: its key in the table, its axes by the dictionary, and their scales."""

    key: str
    x: str
    y: str
    scales: str = "linear linear"


FIGURES = {
    "gaps": (
        Panel("gap", "interval_ops", "gap_beyond_ops", "log linear"),
        Panel("law", "gap_less_interval_ops", "gaps_at_most"),
    ),
    "counts": (
        Panel("dispersion", "interval_ops", "count_dispersion", "log log"),
        Panel("accumulation", "selections_later", "position_variance", "log log"),
    ),
    "loss": (
        Panel("full", "window_bytes", "lost_fraction", "log log"),
        Panel("cold", "page_bytes", "lost_fraction", "log log"),
    ),
    "profiles": (
        Panel("bias", "bias_pp", "biased_share_error_pp"),
        Panel("tvd", "sample_count", "tvd_by_pc", "log log"),
    ),
    "limits": (
        Panel("collisions", "interval_ops", "collided_fraction", "log linear"),
        Panel("rlimit", "vcpu_count", "over_limit"),
    ),
    "knee": (Panel("knee", "interval_ops", "accuracy", "log linear"),),
}
"""Files and their panels."""


def draw(rows: Sequence[Row], digest: str) -> Iterator[tuple[str, bytes]]:
    """(name, SVG) of every figure; each names the table that it was drawn from."""
    for name, panels in FIGURES.items():
        with styled(name):
            made = blank(3.4)
            axes = np.ravel(made.subplots(1, 2, squeeze=False))
            for ax, panel in zip(axes, panels, strict=False):
                _panel(ax, panel, [r for r in rows if r.figure == panel.key])
            for ax in axes[len(panels) :]:
                ax.set_axis_off()
            svg = to_file_svg(made, f"validation-{name}")
        yield name, svg.replace(b">", f"><!-- validation.csv {digest} -->".encode(), 1)


def _panel(ax: Axes, panel: Panel, rows: list[Row]) -> None:
    series = list(dict.fromkeys(r.series for r in rows))
    for k, name in enumerate(series):
        line = [r for r in rows if r.series == name and r.simulated is None]
        ax.plot([r.x for r in line], [r.theory or 0.0 for r in line], color=LINES[k], linewidth=1)
        of = [r for r in rows if r.series == name and r.simulated is not None]
        if of:
            _points(ax, of, k, name)
        elif line:
            ax.lines[-1].set_label(name)
    along, up = panel.scales.split()
    if along == "log":
        log_axis(ax)
    if up == "log":
        log_y(ax)
    ax.set_xlabel(axis_label(panel.x))
    ax.set_ylabel(axis_label(panel.y))
    ax.grid()
    ax.set_axisbelow(True)
    legend_above(ax, columns=2)


def _points(ax: Axes, of: list[Row], k: int, name: str) -> None:
    """Means with their intervals; an interval that is hidden by its marker is narrow."""
    y = [r.simulated or 0.0 for r in of]
    spread = [
        [max(0.0, m - (r.low or 0.0)) for m, r in zip(y, of, strict=True)],
        [max(0.0, (r.high or 0.0) - m) for m, r in zip(y, of, strict=True)],
    ]
    ax.errorbar(
        [r.x for r in of],
        y,
        yerr=spread,
        fmt=MARKERS[k],
        color=LINES[k],
        markersize=4,
        linewidth=0,
        elinewidth=1.3,
        label=name,
    )
