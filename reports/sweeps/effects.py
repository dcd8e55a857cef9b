"""Which setting matters, of a sampled sweep: an index per setting and arm, with interval and noise.

The classical picture of Morris' method puts mu* and sigma on two axes; here both stand in one row
per setting, so that names can be read.
"""

from __future__ import annotations

import reports.plotting  # noqa: F401 (before matplotlib)

# isort: split
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.sweeps.sensitivity import CLEAR
from reports.figures.style import (
    LEGEND_COLUMNS,
    LINES,
    MARKERS,
    headed,
    legend_in,
    named,
    rows,
    x_grid,
)
from reports.results.sweep_result import Indices, Influence
from reports.sweeps.screening import WEIGHT, ranked, short

SHOWN = 20
"""Settings in a figure; the table has all."""
COLUMNS = 2
"""Panels beside each other."""
SECOND = {"morris": ("sigma", "its spread over the points (sigma)"), "sobol": ("S1", "alone (S1)")}
FIRST = {"morris": "mean effect (mu*)", "sobol": "with others (ST)"}
NOISE = "#80808050"


def order(entries: Mapping[str, Indices], method: str) -> list[str]:
    """Settings that do something in some arm, by what they do at most."""
    most: dict[str, float] = {}
    for entry in entries.values():
        for setting, effect in ranked(entry, method):
            most[setting] = max(most.get(setting, 0.0), effect.number(WEIGHT[method]))
    return sorted((s for s, w in most.items() if w > 0), key=lambda s: (-most[s], s))


def figure(
    entries: Mapping[str, Indices], settings: Sequence[str], method: str, label: str, scale: float
) -> Figure:
    """A panel per arm and its scale, a row per setting; noise may reach as far as grey."""
    columns = min(len(entries), COLUMNS)
    lines = -(-len(entries) // columns)
    made, top, bottom = headed(0.1 + lines * (0.65 + 0.24 * len(settings)), LEGEND_COLUMNS)
    panels = bottom.subplots(lines, columns, squeeze=False, sharey=True)
    for k, ((arm, entry), ax) in enumerate(zip(entries.items(), panels.flat, strict=False)):
        effects = [entry.effects[s] for s in settings]
        _panel(ax, effects, method, scale, k)
        rows(ax, [short(s) for s in settings])
        ax.set_title(named(arm), fontsize=8)
        ax.set_xlabel(label, fontsize=8)
    for ax in panels.flat[len(entries) :]:
        ax.set_visible(False)
    legend_in(top, *panels[0, 0].get_legend_handles_labels())
    return made


def _panel(ax: Axes, effects: Sequence[Influence], method: str, scale: float, index: int) -> None:
    weight, colour = WEIGHT[method], LINES[index % len(LINES)]
    at = range(len(effects))
    noise = [CLEAR * scale * (e.noise or 0.0) for e in effects]
    weights = [scale * e.number(weight) for e in effects]
    bars = [scale * e.number(f"{weight}_conf") for e in effects]
    below = [min(bar, max(w, 0.0)) for bar, w in zip(bars, weights, strict=True)]
    ax.errorbar(
        weights,
        at,
        xerr=[below, bars],
        fmt=MARKERS[index % len(MARKERS)],
        color=colour,
        capsize=2,
        markersize=5,
        linewidth=1.2,
        label=FIRST[method],
    )
    second, words = SECOND[method]
    ax.plot(
        [scale * e.number(second) for e in effects],
        at,
        "d",
        color=colour,
        markersize=4,
        markerfacecolor="none",
        linestyle="none",
        label=words,
    )
    ax.barh(at, noise, 0.8, color=NOISE, linewidth=0, label="noise")
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]) if method == "sobol" else 0.0)
    x_grid(ax)
