"""Figures of a sweep: heat maps on one scale, response curves, and which setting matters."""

from __future__ import annotations

import reports.plotting  # noqa: F401 (before matplotlib)

# isort: split
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from analysis.sweeps.sensitivity import Decomposition
from reports.figures.style import LINES, MARKERS, blank, headed, legend_above, legend_in, named
from reports.store.grid import Axis, Grid, Response
from reports.text import number

F64 = NDArray[np.float64]
COLUMNS = 4
"""Panels beside each other."""
ROWS = 4
"""Values of further axes that get panels of their own."""
DECADES = 100
"""From this ratio of the largest to the smallest value on, colours are logarithmic."""
ROOMY = 9
"""Cells beside each other up to which a band is written larger."""
LEGIBLE = 40
"""Levels beside each other that have room for a label; of more every second has one, or fewer."""
ABSENT = "#80808030"
DARK_INK, LIGHT_INK = "#101010", "#f4f4f4"


@dataclass(frozen=True, slots=True)
class Slice:
    """What a row of panels shows: levels of the axes that it does not draw."""

    fixed: tuple[tuple[int, int], ...]
    """(axis, level) pairs"""

    def of(self, values: F64) -> F64:
        """The drawn part of an array."""
        where: list[Any] = [slice(None)] * values.ndim
        for axis, level in self.fixed:
            where[axis] = level
        return np.asarray(values[tuple(where)])

    def text(self, axes: Sequence[Axis]) -> str:
        """``vcpus = 2``, a line each."""
        return "\n".join(
            f"{axes[a].name.rpartition('.')[2]} = {axes[a].levels[k]}" for a, k in self.fixed
        )


def middle(axes: Sequence[Axis], drawn: Sequence[int]) -> Slice:
    """Every axis that is not drawn at its middle level."""
    rest = [a for a in range(len(axes)) if a not in drawn]
    return Slice(tuple((a, len(axes[a].levels) // 2) for a in rest))


def slices(axes: Sequence[Axis], drawn: Sequence[int]) -> list[Slice]:
    """Every combination of the other axes if these are few, else their middle."""
    rest = [a for a in range(len(axes)) if a not in drawn]
    every = itertools.product(*(range(len(axes[a].levels)) for a in rest))
    made = [Slice(tuple(zip(rest, levels, strict=True))) for levels in every]
    return made if len(made) <= ROWS else [middle(axes, drawn)]


# --- heat maps -------------------------------------------------------------------------------


Ends = Mapping[str, F64]
"""Of an arm, the low and the high ends of its band [2, *levels]."""


def heat(
    grid: Grid,
    drawn: tuple[int, int],
    responses: dict[str, Response],
    label: str,
    scale: float,
    bands: Ends | None = None,
) -> Figure:
    """Panels of one metric: columns are arms, rows further settings; one scale for all of them.

    `drawn` are the axes down and across. The band of a cell, if there is one, stands below its
    number; colours are of the number.
    """
    shown = slices(grid.axes, drawn)
    chunks = list(_chunks(list(responses), COLUMNS))
    lines = [(row, chunk) for chunk in chunks for row in shown]
    columns = max(map(len, chunks))
    tall = 0.55 + (0.4 if bands else 0.3) * len(grid.axes[drawn[0]].levels)
    made = blank(0.9 + len(lines) * (tall + 0.35))
    axes = made.subplots(len(lines), columns, squeeze=False, sharex=True, sharey=True)
    values = np.stack([row.of(r.mean) for row in shown for r in responses.values()]) * scale
    norm, kind = _norm(values)
    cmap = mpl.colormaps["RdBu_r" if kind == "around 0" else "cividis"]
    for line, ((row, chunk), panels) in enumerate(zip(lines, axes, strict=True)):
        for name, ax in itertools.zip_longest(chunk, panels):
            if name is None:
                ax.set_visible(False)
                continue
            parts = [row.of(responses[name].mean), *_ends(row, name, bands)]
            upright = (part if drawn[0] < drawn[1] else part.T for part in parts)
            small = 6.0 if columns * len(grid.axes[drawn[1]].levels) <= ROOMY else 4.5
            _panel(ax, [part * scale for part in upright], norm, cmap, small)
            if line % len(shown) == 0:
                ax.set_title(named(name), fontsize=8)
            _levels(ax, grid.axes[drawn[0]], grid.axes[drawn[1]])
        label_of_row = "\n".join(filter(None, (row.text(grid.axes), grid.axes[drawn[0]].name)))
        panels[0].set_ylabel(label_of_row, fontsize=7)
    for ax in axes[-1]:
        ax.set_xlabel(grid.axes[drawn[1]].name, fontsize=8)
    mappable = ScalarMappable(norm, cmap)
    bar = made.colorbar(mappable, ax=axes, fraction=0.03, pad=0.01, aspect=30)
    bar.set_label(f"{label} ({kind})", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    if bar.solids is not None:
        bar.solids.set_rasterized(False)  # a page takes no pictures, only lines and areas
        bar.solids.set_edgecolor("face")
    bar.ax.minorticks_off()
    return made


def _chunks(names: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(names), size):
        yield list(names[start : start + size])


def _norm(values: F64) -> tuple[Normalize, str]:
    """From 0 to the largest; about 0 if signs differ; logarithmic if values span two decades."""
    known = values[np.isfinite(values)]
    largest = float(np.abs(known).max(initial=0.0)) or 1.0
    if (known < 0).any():
        return Normalize(-largest, largest), "around 0"
    above = known[known > 0]
    if above.size and above.min() * DECADES < largest:
        return LogNorm(float(above.min()), largest), "logarithmic; 0 is grey"
    return Normalize(0.0, largest), "from 0"


def _ends(row: Slice, name: str, bands: Ends | None) -> list[F64]:
    return [row.of(end) for end in bands[name]] if bands and name in bands else []


def _panel(ax: Axes, parts: Sequence[F64], norm: Normalize, cmap: Colormap, small: float) -> None:
    """Values, and the ends of their bands, if there are any, in letters of the size `small`."""
    values, *ends = parts
    coloured = values if not isinstance(norm, LogNorm) else np.where(values > 0, values, np.nan)
    ax.pcolormesh(np.ma.masked_invalid(coloured), norm=norm, cmap=cmap, linewidth=0)
    for (y, x), value in np.ndenumerate(values):
        drawn = np.isfinite(coloured[y, x])
        if not drawn:
            ax.add_patch(Rectangle((x, y), 1, 1, facecolor=ABSENT, linewidth=0))
        if values.shape[1] > LEGIBLE:
            continue
        red, green, blue, _ = cmap(norm(value)) if drawn else (1.0, 1.0, 1.0, 1.0)
        light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        ink = (DARK_INK if light else LIGHT_INK) if drawn else None
        text = number(value) if np.isfinite(value) else "–"
        known = [number(float(end[y, x])) for end in ends if np.isfinite(end[y, x])]
        ax.text(
            x + 0.5,
            y + (0.36 if known else 0.5),
            text,
            ha="center",
            va="center",
            fontsize=7,
            color=ink,
        )
        if known:
            ax.text(
                x + 0.5,
                y + 0.7,
                " to ".join(known),
                ha="center",
                va="center",
                fontsize=small,
                color=ink,
            )


def _levels(ax: Axes, down: Axis, across: Axis) -> None:
    # a map is as high as it has levels, but no wider than a page
    ax.set_yticks([k + 0.5 for k in range(len(down.levels))], down.levels, fontsize=7)
    ticks, labels = _legible([k + 0.5 for k in range(len(across.levels))], across.levels)
    ax.set_xticks(ticks, labels, fontsize=7)
    ax.set_ylim(len(down.levels), 0)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _legible(at: Sequence[float], levels: Sequence[str]) -> tuple[Sequence[float], Sequence[str]]:
    """Where levels stand, and what they are called, as many as can be read."""
    step = -(-len(levels) // LEGIBLE)
    return at[::step], levels[::step]


# --- response curves -------------------------------------------------------------------------


def curves(grid: Grid, responses: dict[str, Response], label: str, scale: float) -> Figure:
    """A panel per axis, a line per arm with 95 % intervals; other axes at their middle."""
    count = len(grid.axes)
    columns = min(count, 3)
    lines = -(-count // columns)
    made, top, bottom = headed(0.1 + 2.5 * lines, len(responses))
    panels = bottom.subplots(lines, columns, squeeze=False, sharey=True)
    for index, ax in itertools.zip_longest(range(count), panels.flat):
        if index is None:
            ax.set_visible(False)
            continue
        axis = grid.axes[index]
        at, scaled = _positions(axis)
        where = middle(grid.axes, (index,))
        for k, (name, response) in enumerate(responses.items()):
            mean, low, high = (
                where.of(v) * scale for v in (response.mean, response.low, response.high)
            )
            bars = np.nan_to_num(np.stack([mean - low, high - mean])).clip(0)
            order = np.argsort(at)
            ax.errorbar(
                np.array(at)[order],
                mean[order],
                bars[:, order],
                label=named(name),
                capsize=2,
                color=LINES[k % len(LINES)],
                marker=MARKERS[k % len(MARKERS)],
                linewidth=1.2,
                markersize=4 + 2 * (len(responses) - 1 - k),
                markerfacecolor="none",
            )
        if scaled == "log":
            ax.set_xscale("log")
        ticks, labels = _legible(at, axis.levels)
        ax.set_xticks(ticks, labels, fontsize=7, rotation=30 if len(axis.levels) > 4 else 0)
        ax.minorticks_off()
        ax.set_xlabel(f"{axis.name} ({scaled})", fontsize=8)
        ax.set_title(where.text(grid.axes), fontsize=7)
        ax.grid(axis="y")
        ax.set_axisbelow(True)
    for ax in panels[:, 0]:
        ax.set_ylabel(label, fontsize=8)
        if not any((r.low < 0).any() for r in responses.values()):
            ax.set_ylim(bottom=0)
    legend_in(top, *panels[0, 0].get_legend_handles_labels())
    return made


def _positions(axis: Axis) -> tuple[tuple[float, ...], str]:
    """Where levels stand: to scale if they are quantities, else side by side."""
    if axis.at is None:
        return tuple(map(float, range(len(axis.levels)))), "not to scale"
    low, high = min(axis.at), max(axis.at)
    return axis.at, "log" if low > 0 and high >= 4 * low else "linear"


# --- which setting matters -------------------------------------------------------------------


def importance(grid: Grid, found: dict[str, Decomposition], label: str) -> Figure:
    """Per axis and arm the total index, and in it what the axis does alone."""
    names = list(found)
    made = blank(1.0 + 0.3 * len(grid.axes) * max(1, len(names)) ** 0.7)
    ax = made.subplots()
    thick = 0.8 / len(names)
    for k, name in enumerate(names):
        at = [a - 0.4 + (k + 0.5) * thick for a in range(len(grid.axes))]
        colour = LINES[k % len(LINES)]
        ax.barh(at, [i.total for i in found[name].axes], thick, color=colour, alpha=0.35)
        ax.barh(at, [i.first for i in found[name].axes], thick, color=colour, label=named(name))
    ax.set_yticks(range(len(grid.axes)), [axis.name for axis in grid.axes])
    ax.set_ylim(len(grid.axes) - 0.4, -0.6)
    ax.set_xlim(0, 1)
    ax.grid(axis="x")
    ax.set_axisbelow(True)
    ax.set_xlabel(f"part of the variance of {label}: alone (full), with others (pale)", fontsize=8)
    legend_above(ax, columns=4)
    return made
