"""Four figures as SVG text: equal bytes for equal input, readable on light and on dark.

Text and axes take the page's text colour (`currentColor`); arms and causes take the Okabe-Ito
colours, which people with colour-blindness can tell apart. Names are never read as mathtext.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from analysis import frames, profiles, stats
from analysis.stats import F64
from reports import readings
from reports.summary import time_by_cause
from reports.text import number, percent, printable, size
from sim.results import log_linear_edge
from sim.scenario.model import UNLIMITED

if TYPE_CHECKING:
    from sim.batch import ArmResult
    from sim.results import LockedPoint

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#F0E442")
"""Okabe and Ito (2008) with grey for black, the text's; yellow is last, for areas only."""
LINES = COLOURS[:7]
GREY = COLOURS[6]
INK = "#010203"
"""Stands for the page's text colour until the SVG is made."""
TOP_SYMBOLS = 12
MAX_ARMS = 7
MAX_CURVES = 7
MAX_STEPS = 1500
FIRST_US = 0.1
"""Where time 0 is drawn on a logarithmic axis of microseconds."""
WIDTH_IN = 8.0
NAME_CHARS = 30

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


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure for the page: SVG, what it shows, and one sentence that reads it."""

    key: str
    title: str
    svg: str
    reading: str


def draw(arms: Sequence[ArmResult], result: dict[str, Any]) -> list[Drawn]:
    """The figures that this result has something to show in."""
    makers: list[tuple[str, str, Callable[[], Figure | None], Callable[[], str]]] = [
        ("ledgers", "Where operations and time went",
         lambda: ledgers(result), lambda: readings.ledgers(result)),
        ("symbols", "Profile by symbol",
         lambda: symbols(arms), lambda: readings.symbols(result)),
        ("blackouts", "Length of blackouts",
         lambda: blackouts(arms), lambda: readings.blackouts(result)),
        ("locked", "Locked memory against the limit",
         lambda: locked(arms), lambda: readings.locked(result)),
    ]  # fmt: skip
    drawn = []
    for key, title, make, read in makers:
        with styled(key):
            figure = make()
            svg = "" if figure is None else to_svg(figure, key, title)
        drawn.append(Drawn(key, title, svg, read()))
    return drawn


@contextmanager
def styled(key: str) -> Iterator[None]:
    """Our style, deterministic ids, and no complaints about glyphs that a font lacks."""
    with mpl.rc_context(_STYLE | {"svg.hashsalt": key}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def to_svg(figure: Figure, key: str, title: str) -> str:
    """Inline SVG: no prolog, no metadata, ids of its own, the page's text colour."""
    out = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{key}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{key}-", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)


def _figure(height: float) -> Figure:
    return Figure(figsize=(WIDTH_IN, height), layout="constrained")


def _name(text: str) -> str:
    return printable(text, NAME_CHARS)


def _shown(value: float, _position: int | None = None) -> str:
    return number(value)


_PLAIN = FuncFormatter(_shown)
_NO_LABEL = FuncFormatter(lambda value, _position: "")


def _log_axis(ax: Axes) -> None:
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(_PLAIN)
    ax.xaxis.set_minor_formatter(_NO_LABEL)


def _rows(ax: Axes, names: Sequence[str], *, labelled: bool = True) -> None:
    """One row per name, the first on top."""
    texts = [_name(n) for n in names] if labelled else [""] * len(names)
    ax.set_yticks(range(len(names)), texts)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)


# --- ledgers ---------------------------------------------------------------------------------


def ledgers(result: dict[str, Any]) -> Figure:
    """Loss in all (log axis), its causes (stacked shares), and time standing still (stacked)."""
    names = result["arm_order"]
    figure = _figure(2.6 + 0.5 * len(names))
    halves: Any = figure.subfigures(2, 1)
    top, bottom = halves
    left, right = top.subplots(1, 2, width_ratios=(1, 1.2))
    _loss_totals(left, names, result)
    _stacked(right, names, _cause_shares(result), "causes of the loss")
    _rows(right, names, labelled=False)
    right.set_xlabel("share of lost ops, %")
    right.set_xlim(0, 100)
    ax = bottom.subplots()
    _stacked(ax, names, _stopped(result), "time in which the program stood still")
    _rows(ax, names)
    ax.set_xlabel("ms per vCPU and replication")
    return figure


def _loss_totals(ax: Axes, names: Sequence[str], result: dict[str, Any]) -> None:
    """A point and its interval per arm; the number in a column on the right."""
    lowest = 1.0
    for row, name in enumerate(names):
        total = result["arms"][name]["loss"]["total"]
        mean = total["mean"]
        said = "no ops" if mean is None else "none" if mean == 0 else percent(mean)
        ax.text(1.02, row, said, va="center", transform=ax.get_yaxis_transform(), fontsize=8)
        if not mean:
            continue
        ax.plot([100 * mean], [row], "o", color=LINES[0], markersize=5)
        lowest = min(lowest, 100 * mean)
        if isinstance(total["ci95"], list):
            low, high = (min(max(100 * v, 5 * mean), 100.0) for v in total["ci95"])
            ax.plot([low, high], [row, row], "-", color=LINES[0], linewidth=2)
            lowest = min(lowest, low)
    _log_axis(ax)
    ax.set_xlim(lowest / 3, 150)
    _rows(ax, names)
    ax.grid(axis="x")
    ax.set_title("ops lost")
    ax.set_xlabel("% of population ops (log)")


def _cause_shares(result: dict[str, Any]) -> dict[str, list[float]]:
    """Share of the lost ops by cause [%], one value per arm; causes that occur only."""
    arms = [result["arms"][name] for name in result["arm_order"]]
    causes = [c for c in arms[0]["loss"] if c != "total"]
    lost = [sum(a["ledger"]["ops"][c] for c in causes) or 1 for a in arms]
    table = {
        c: [100 * a["ledger"]["ops"][c] / n for a, n in zip(arms, lost, strict=True)]
        for c in causes
    }
    return {cause: values for cause, values in table.items() if any(values)}


def _stopped(result: dict[str, Any]) -> dict[str, list[float]]:
    """Time standing still by cause [ms], one value per arm; the smallest causes are added up."""
    times = [time_by_cause(result["arms"][name]) for name in result["arm_order"]]
    causes = [c for c in times[0] if c not in ("wall", "running")]
    table = {c: [t[c] for t in times] for c in causes}
    ranked = sorted((c for c in causes if any(table[c])), key=lambda c: (-max(table[c]), c))
    kept = {c: table[c] for c in ranked[: len(COLOURS) - 1]}
    rest = [table[c] for c in ranked[len(COLOURS) - 1 :]]
    return kept | ({"other causes": [sum(v) for v in zip(*rest, strict=True)]} if rest else {})


def _stacked(ax: Axes, names: Sequence[str], table: dict[str, list[float]], title: str) -> None:
    left = np.zeros(len(names))
    for k, (cause, values) in enumerate(table.items()):
        ax.barh(range(len(names)), values, 0.6, left=left, color=COLOURS[k % 8], label=cause)
        left += np.array(values)
    ax.grid(axis="x")
    ax.set_axisbelow(True)
    if table:
        _legend_above(ax, title, columns=3)
    else:
        ax.set_title(f"{title}: none")


# --- symbols ---------------------------------------------------------------------------------


def symbols(arms: Sequence[ArmResult]) -> Figure | None:
    """Left: share of each symbol in the truth. Right: each arm's share minus the truth's, 95 %."""
    first = arms[0]
    whole = profiles.truth(first, "symbol")
    if not whole.any():
        return None
    order = np.argsort(-whole, kind="stable")[:TOP_SYMBOLS]
    order = order[whole[order] > 0]
    names = [profiles.labels(first.stream, "symbol")[k] for k in order]
    same = [a for a in arms if a.stream.symbols == first.stream.symbols]
    chosen = _widest(same, order)
    figure = _figure(1.5 + max(0.34, 0.075 * len(chosen)) * len(names))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    share = 100 * profiles.shares(whole)[order]
    left.barh(range(len(names)), share, 0.6, color=GREY)
    _rows(left, names)
    left.set_xlabel("share of executed ops, %")
    left.set_title("truth")
    for k, arm in enumerate(chosen):
        _deviations(right, arm, order, k, len(chosen))
    right.axvline(0, color=INK, linewidth=0.8)
    _rows(right, names, labelled=False)
    right.set_xlabel("share in the profile minus truth, percentage points")
    _legend_above(right)
    for ax in (left, right):
        ax.grid(axis="x")
        ax.set_axisbelow(True)
    return figure


def _legend_above(ax: Axes, title: str | None = None, columns: int = 2) -> None:
    count = len(ax.get_legend_handles_labels()[1])
    if count:
        ax.legend(
            loc="lower left", bbox_to_anchor=(0, 1.01), ncols=min(columns, count),
            handlelength=1.5, columnspacing=1, borderaxespad=0, borderpad=0, title=title,
            alignment="left", title_fontsize=9,
        )  # fmt: skip


def _bias(arm: ArmResult, order: profiles.I64) -> tuple[F64, F64]:
    """Mean and half-width of share minus truth [symbols], percentage points."""
    p = profiles.shares(profiles.truth(arm, "symbol"))
    found = 100 * (profiles.shares(profiles.sampled(arm, "symbol")) - p)[:, order]
    found = found[np.isfinite(found).all(axis=1)]
    if not len(found):
        return np.full(order.size, np.nan), np.zeros(order.size)
    half = np.zeros(order.size)
    if len(found) > 1:
        error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
        half = stats.t_quantile(0.975, len(found) - 1) * error
    return found.mean(axis=0), half


def _widest(arms: Sequence[ArmResult], order: profiles.I64) -> list[ArmResult]:
    """The first arm and those that differ most from the truth, in the scenario's order."""
    if len(arms) <= MAX_ARMS:
        return list(arms)
    off = [float(np.nan_to_num(np.abs(_bias(a, order)[0])).max()) for a in arms]
    rank = sorted(range(1, len(arms)), key=lambda k: (-off[k], k))[: MAX_ARMS - 1]
    return [arms[k] for k in sorted([0, *rank])]


def _deviations(ax: Axes, arm: ArmResult, order: profiles.I64, k: int, arms: int) -> None:
    mean, half = _bias(arm, order)
    y = np.arange(order.size) + (k - (arms - 1) / 2) * 0.7 / max(arms, 2)
    ax.errorbar(
        mean, y, xerr=half, fmt="osD^v<>"[k % 7], color=LINES[k % 7], markersize=3.5,
        linewidth=1.2, label=_name(arm.arm.name),
    )  # fmt: skip


# --- blackouts -------------------------------------------------------------------------------


def blackouts(arms: Sequence[ArmResult]) -> Figure | None:
    """Fraction of blackouts that are at most so many ops long, by arm and cause."""
    curves = [
        (arm.arm.name, cause, found)
        for arm in arms
        for cause, found in frames.merged_blackouts(arm).items()
        if found.count
    ]
    if not curves:
        return None
    keep = sorted(curves, key=lambda c: (-c[2].ops, c[0], c[1]))[:MAX_CURVES]
    figure = _figure(3.4 + 0.08 * len(keep))
    ax = figure.subplots()
    for k, (name, cause, found) in enumerate(c for c in curves if c in keep):
        bins = sorted(found.ops_hist)
        x = [max(1, log_linear_edge(b)) for b in bins]
        y = np.cumsum([found.ops_hist[b] for b in bins]) / found.count
        ax.step(
            [x[0], *x], [0.0, *y], where="post", color=LINES[k % 7],
            linestyle=("-", "--", "-.", ":")[k % 4], linewidth=1.6,
            label=f"{_name(name)}: {cause} ({found.count:,})",
        )  # fmt: skip
    _log_axis(ax)
    ax.grid()
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("ops executed unsampled in a blackout (log; 0 drawn at 1; 6 % resolution)")
    ax.set_ylabel("fraction of blackouts")
    _legend_above(ax)
    return figure


# --- locked memory ---------------------------------------------------------------------------


def locked(arms: Sequence[ArmResult]) -> Figure | None:
    """Locked memory over the first replication, with the limit dashed in the same colour."""
    having = [a for a in arms if any(p.locked_bytes for p in a.runs[0].locked)]
    if not having:
        return None
    rows = min(len(having), 12)
    figure = _figure(0.7 + 1.05 * rows)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for k, (ax, arm) in enumerate(zip(axes, having, strict=False)):
        _locked_row(ax, arm, LINES[k % 7])
    _log_axis(axes[-1])
    for ax in axes:
        ax.minorticks_off()
    axes[-1].set_xlabel("wall time of the first replication, µs (log; 0 drawn at 0.1)")
    return figure


def _locked_row(ax: Axes, arm: ArmResult, colour: str) -> None:
    run = arm.runs[0]
    points = _thinned(run.locked)
    per_us = 64 * arm.clock_hz / 1e6
    end = max(run.wall, points[-1].t) / per_us
    t = [*(max(p.t / per_us, FIRST_US) for p in points), max(end, FIRST_US)]
    used = [p.locked_bytes for p in (*points, points[-1])]
    limit = [p.limit_bytes for p in (*points, points[-1])]
    ax.step(t, used, where="post", color=colour, linewidth=1.4)
    ax.fill_between(t, used, step="post", color=colour, alpha=0.25, linewidth=0)
    bounded = max(limit) < UNLIMITED
    if bounded:
        ax.step(t, limit, where="post", color=INK, linewidth=1.2, linestyle="--")
    top = max(max(used), max(limit) if bounded else 0)
    ax.set_ylim(0, top * 1.15)
    ax.set_yticks([0, top / 2, top], ["0", size(int(top / 2)), size(top)])
    ax.grid(axis="y")
    note = "limit dashed" if bounded else "no limit"
    ax.set_title(f"{_name(arm.arm.name)}: peak {size(max(used))}, {note}", pad=3)


def _thinned(points: Sequence[LockedPoint]) -> list[LockedPoint]:
    """At most MAX_STEPS points, with the highest of each stretch kept."""
    stride = -(-len(points) // MAX_STEPS)
    if stride <= 1:
        return list(points)
    chunks = (points[k : k + stride] for k in range(0, len(points), stride))
    return [max(chunk, key=lambda p: p.locked_bytes) for chunk in chunks]
