"""What all figures share: colours, sizes, axes, and how they become bytes."""

from __future__ import annotations

import gc
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from itertools import pairwise
from typing import Any, cast

import matplotlib as mpl
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from analysis.columns import AXES, COLUMNS
from analysis.metrics import METRICS
from reports.figures.panels import Laid, MinorMarks
from reports.text import number, printable, size

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#F0E442")
"""Okabe and Ito (2008) with grey for black, the text's; yellow is last, for areas only."""
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY, YELLOW = COLOURS
LINES = COLOURS[:7]
MARKERS = "osD^v<>"
INK = "#010203"
"""Stands for the page's text colour until the SVG is made."""
WIDTH_IN = 8.0
NAME_CHARS = 30
PNG_DPI = 200
FEW_DECADES = 30
STRIP_IN, LINE_IN, LEGEND_COLUMNS = 0.25, 0.2, 4
"""A legend on top of a figure: inches around it and of a line, entries in a line."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "grid.color": "#999999",
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
}


@contextmanager
def styled(key: str) -> Iterator[None]:
    """Our style whatever a matplotlibrc says, deterministic ids, no complaints about glyphs."""
    ours = mpl.style.context(["default", _STYLE | {"svg.hashsalt": key}])
    with ours, warnings.catch_warnings(), _uncollected():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


@contextmanager
def _uncollected() -> Iterator[None]:
    """Garbage waits for the end: a figure is all cycles, and alive, however often one looks."""
    usual = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if usual:
            gc.enable()


_LONG = re.compile(r"(\d\.\d\d)\d+")
"""Coordinates to a hundredth of a point are more than enough."""
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def _svg(figure: Figure, key: str, **look: Any) -> str:
    """SVG without prolog and metadata; ids are numbered, since matplotlib's depend on rounding."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata=_NO_METADATA, **look)
    svg = re.sub(r"<metadata>.*?</metadata>", "", out.getvalue(), flags=re.DOTALL)
    svg = re.sub(r"(?<=<path )[^>]*", lambda found: _LONG.sub(r"\1", found[0]), svg)
    numbers = {name: k for k, name in enumerate(re.findall(r'\bid="([^"]*)"', svg))}

    def renamed(found: re.Match[str]) -> str:
        return f"{found[1]}{key}-{numbers[found[2]]}"

    return re.sub(r'(\bid="|href="#|url\(#)([^")]*)', renamed, svg[svg.index("<svg") :])


def to_file_svg(figure: Figure, key: str) -> bytes:
    """A file of its own: white ground, black text, no date."""
    return _svg(figure, key, facecolor="white").encode()


def to_svg(figure: Figure, key: str, title: str) -> str:
    """Inline SVG: ids of its own, the page's text colour."""
    svg = _svg(figure, key, transparent=True).replace(INK, "currentColor")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)


def to_png(figure: Figure) -> bytes:
    """A picture for a paper: white ground, 200 dots per inch, no metadata."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=PNG_DPI, facecolor="white", metadata={"Software": None})
    return out.getvalue()


def blank(height: float) -> Figure:
    """An empty figure of the page's width; `height` in inches."""
    return Laid(figsize=(WIDTH_IN, height))


def headed(height: float, entries: int) -> tuple[Figure, Any, Any]:
    """An empty figure, the strip on top of it for a legend of so many entries, and what is below.

    `height` in inches is that of the latter. A legend of the figure itself would lie under the
    title that a file gets (`reports.figures.alone`).
    """
    strip = STRIP_IN + LINE_IN * -(-entries // LEGEND_COLUMNS)
    made = blank(strip + height)
    top, below = cast("Any", made.subfigures(2, 1, height_ratios=[strip, height]))
    return made, top, below


def legend_in(strip: Any, handles: Sequence[Any], names: Sequence[str]) -> None:
    """The legend of a figure that is `headed`."""
    strip.legend(
        handles,
        names,
        loc="center left",
        ncols=LEGEND_COLUMNS,
        handlelength=1.5,
        columnspacing=1,
    )


def axis_label(name: str, note: str = "") -> str:
    """What stands at an axis, as the column dictionary has it; `note`: how it is drawn."""
    found = next((c for c in (*COLUMNS.values(), *AXES) if c.name == name), None)
    column = found or METRICS[name]
    return column.label_with(note)


def named(text: str) -> str:
    """A name that fits a figure."""
    return printable(text, NAME_CHARS)


def _shown(value: float, _position: int | None = None) -> str:
    return number(value)


def log_axis(ax: Axes, *, between: bool = True) -> None:
    """A logarithmic x axis of what is drawn; plain numbers at decades, or closer if few fit, and
    marks `between` them."""
    ax.set_xscale("log")
    _numbered(ax.xaxis, between=between)


def log_y(ax: Axes) -> None:
    """A logarithmic y axis, likewise."""
    ax.set_yscale("log")
    _numbered(ax.yaxis, between=True)


def _numbered(axis: Axis, *, between: bool) -> None:
    low, high = sorted(axis.get_view_interval())
    if high < 3 * low:
        axis.set_major_locator(MaxNLocator(3))
    elif high < FEW_DECADES * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(_shown))
    MinorMarks.stand_in(axis, drawn=between)


def rows(ax: Axes, names: Sequence[str], *, labelled: bool = True) -> None:
    """One row per name, the first on top."""
    if labelled:
        ax.set_yticks(range(len(names)), [named(n) for n in names])
    else:
        ax.set_yticks([])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)


def legend_above(ax: Axes, title: str | None = None, columns: int = 2) -> None:
    """A legend between an axes and what is above it."""
    count = len(ax.get_legend_handles_labels()[1])
    if count:
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1.01),
            ncols=min(columns, count),
            handlelength=1.5,
            columnspacing=1,
            borderaxespad=0,
            borderpad=0,
            title=title,
            alignment="left",
            title_fontsize=9,
        )


FAR = 8.0
"""A bar so many times longer than the next one is cut off."""


def cut_far(ax: Axes, totals: Sequence[float], unit: str) -> None:
    """Ends the axis short of bars that would leave no room for the others; their numbers stay."""
    ranked = sorted(t for t in totals if t > 0)
    far = [b for a, b in pairwise(ranked) if b > FAR * a and a > WORTH]
    if not far:
        return
    end = 1.15 * max(t for t in ranked if t < far[-1])
    ax.set_xlim(0, end)
    for row, total in enumerate(totals):
        if total > end:
            ax.text(
                1.01,
                row,
                f"→ {number(total)} {unit}",
                va="center",
                fontsize=8,
                transform=ax.get_yaxis_transform(),
            )


def memory_top(used: Sequence[int], limits: Sequence[int]) -> tuple[int, str]:
    """Bytes that an axis must reach, and what to say of a limit that is too far above it."""
    peak = max(used, default=0)
    if not limits or max(limits) <= FAR * peak or not peak:
        return max(peak, *limits, 0), ""
    return peak, f" (RLIMIT_MEMLOCK is far above: {size(max(limits))})"


WORTH = 0.1
"""Bars shorter than this, in units of the axis, are not worth the room."""


def x_grid(ax: Axes) -> None:
    """Vertical lines behind the data; on a linear axis few, so that their numbers fit."""
    if ax.get_xscale() == "linear":
        ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.grid(axis="x")
    ax.set_axisbelow(True)
