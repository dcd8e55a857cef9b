"""One arm's timeline: lanes over a few milliseconds, and close-ups of what takes microseconds.

In the window everything is drawn at least a hairline wide, and what lies closer together than a
hairline is drawn as one; the CSV has all of it. A blank stretch of the SPU's lane is a program that
stands still: nothing is executed, so nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from reports.figures.looks import LOOKS, Look
from reports.figures.panels import panels
from reports.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    SKY,
    VERMILION,
    axis_label,
    blank,
    memory_top,
    named,
)
from reports.results.result import Result
from reports.store.rows import TimelineRow
from reports.text import number, size
from reports.traces.timeline import EXIT_ENTRY
from sim.ledger import OpLabel

Spans = Sequence[TimelineRow]
BARE_LANES = ("CPU", "SPU", "PMBIRQ")
KVM_LANES = ("KVM", "VMM")
LETTERS = "abc"
MEMORY_IN, TITLE_IN, KEY_IN = 0.62, 0.25, 0.19
LEFT = 0.005
"""Where the legend begins, of the figure's width."""
HAIRLINE = 1 / 1500
"""Of the window's width."""
_STAGES = (
    "trap",
    "ordinary_exit",
    "fault",
    "walk",
    "pin",
    "map",
    "unpin",
    "inject",
    "prefault",
    "copy",
)
_LABELS = (OpLabel.PROFILED, *(label for label in OpLabel if label is not OpLabel.PROFILED))
STATES: dict[str, dict[str, Look]] = {
    "CPU": {
        "running": Look(GREEN),
        "guest kernel": Look(SKY),
        "in KVM": Look(ORANGE),
        "in the VMM": Look(VERMILION),
        "off CPU": Look(GREY),
    },
    "SPU": {label.value: LOOKS[label] for label in _LABELS},
    "PMBIRQ": {"on its way": Look(SKY), "at the core": Look(BLUE)},
    "KVM": {cause: LOOKS[cause] for cause in (*_STAGES, EXIT_ENTRY)},
    "VMM": {"vmm": LOOKS["vmm"]},
}
"""Look of each state; what the CPU does is no cause, and has colours of its own."""
_WORDS = {"profiled": "profiling", "vmm": "answers KVM_EXIT_RLIMIT", "inject": "inject interrupt"}


def arms(result: Result, rows_of: Mapping[str, Spans], most: int) -> list[str]:
    """Arms whose timelines are drawn, in the scenario's order: first those that show other states
    than the ones before them."""
    found = {arm: {(r.lane, r.state) for r in of} for arm, of in rows_of.items()}
    having = [n for n in result.arm_order if n in found]
    fresh = [n for k, n in enumerate(having) if found[n] not in [found[m] for m in having[:k]]]
    chosen = [*fresh, *(n for n in having if n not in fresh)][:most]
    return [n for n in having if n in chosen]


def maker(arm: str, result: Result, of: Spans) -> Callable[[], Figure | None]:
    """What draws one arm's timeline."""
    virtual = bool(result.arms[arm].setup.virtual)
    return lambda: figure(of, virtual=virtual)


def figure(of: Spans, *, virtual: bool) -> Figure:
    """The window on top, memory below it, close-ups at the bottom."""
    window = next(r for r in of if r.lane == "window")
    close = [r for r in of if r.lane == "close-up"]
    spans = [r for r in of if r.lane not in ("window", "close-up", "memory")]
    memory = [r for r in of if r.lane == "memory"]
    lanes = [*BARE_LANES, *(KVM_LANES if virtual else ())]
    keys = _legend_rows(lanes, spans)
    legend_height, lanes_height = TITLE_IN + KEY_IN * len(keys), 0.17 * len(lanes) + 0.62
    window_height = lanes_height + (MEMORY_IN if memory else 0)
    heights = [legend_height, window_height, *([lanes_height + 0.15] if close else [])]
    made = blank(sum(heights))
    parts: Any = made.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _legend(parts[0], keys, window)
    _window(parts[1], lanes, (window, close, spans, memory))
    if close:
        axes = panels(parts[2], 1, len(close), sharey=True)[0]
        for ax, letter, row in zip(axes, LETTERS, close, strict=False):
            _close_up(ax, lanes, spans, row, letter)
    return made


def _window(
    part: Any,
    lanes: list[str],
    of: tuple[TimelineRow, Spans, Spans, Spans],
) -> None:
    """The lanes, and the memory of the VM under the same axis of time."""
    window, close, spans, memory = of
    rows = 2 if memory else 1
    ratios = [0.17 * len(lanes) + 0.3, MEMORY_IN][:rows]
    axes = panels(part, rows, sharex=True, height_ratios=ratios)[:, 0]
    _lanes(axes[0], lanes, spans, window.begin_us / 1e3, window.end_us / 1e3, 1e3)
    _letters(axes[0], close, window)
    if memory:
        _memory(axes[1], memory)
    axes[-1].set_xlabel(axis_label("window_ms"))


def _close_up(ax: Axes, lanes: list[str], spans: Spans, close: TimelineRow, letter: str) -> None:
    begin, end = close.begin_us, close.end_us
    inside = [r for r in spans if r.end_us >= begin and r.begin_us <= end]
    moved = [replace(r, begin_us=r.begin_us - begin, end_us=r.end_us - begin) for r in inside]
    _lanes(ax, lanes, moved, 0, end - begin, 1.0)
    ax.set_title(f"{letter}: {close.state}")
    ax.set_xlabel(axis_label("close_up_us"))


def _lanes(ax: Axes, lanes: list[str], spans: Spans, begin: float, end: float, per: float) -> None:
    """Every lane as a row of rectangles; `per` is µs in a unit of the axis."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for r in spans:
        found.setdefault((r.lane, r.state), []).append((r.begin_us / per, r.end_us / per))
    for row, lane in enumerate(lanes):
        for state, look in STATES[lane].items():
            for path in _rectangles(found.get((lane, state), []), row, begin, end):
                # no patch of the axes, whose limits are set: to look for them takes long
                ax.add_artist(PathPatch(path, **look.area(edge=0.4)))
    marks = [r for r in spans if r.begin_us == r.end_us and r.lane in lanes]
    if marks:
        x = [r.begin_us / per for r in marks]
        y = [lanes.index(r.lane) - 0.42 for r in marks]
        ax.plot(x, y, marker="v", color=INK, markersize=3.5, clip_on=False, linewidth=0)
    ax.set_xlim(begin, end)
    ax.set_ylim(len(lanes) - 0.5, -0.75)
    ax.set_yticks(range(len(lanes)), lanes)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def _rectangles(
    found: Sequence[tuple[float, float]], row: int, begin: float, end: float
) -> list[Path]:
    """One compound path of all spans, cut to the axis; those a hairline apart are one."""
    gap = (end - begin) * HAIRLINE
    merged: list[list[float]] = []
    for a, b in sorted((max(a, begin), min(b, end)) for a, b in found if a < end and b > begin):
        if merged and a - merged[-1][1] < gap:
            merged[-1][1] = max(b, merged[-1][1])
        else:
            merged.append([a, b])
    if not merged:
        return []
    low, high = row - 0.32, row + 0.32
    corners = [((a, low), (b, low), (b, high), (a, high), (a, low)) for a, b in merged]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(merged)
    return [Path(np.array(corners).reshape(-1, 2), codes)]


def _letters(ax: Axes, close: Spans, window: TimelineRow) -> None:
    """Where the close-ups lie in the window; letters keep clear of each other."""
    width = window.length_us / 1e3
    last = window.begin_us / 1e3 - width
    for letter, r in zip(LETTERS, close, strict=False):
        x = max(r.begin_us / 1e3, last + 0.02 * width)
        ax.annotate(
            letter,
            (x, 1.0),
            xycoords=("data", "axes fraction"),
            ha="left",
            va="bottom",
            fontsize=9,
            fontweight="bold",
        )
        ax.axvline(r.begin_us / 1e3, color=INK, linewidth=0.7, linestyle=":")
        last = x


def _memory(ax: Axes, spans: Spans) -> None:
    """Charged (area), pinned by this vCPU (line), limit (dashed)."""
    looks = {
        "locked": (SKY, "-"),
        "pinned by this vCPU": (BLUE, "-"),
        "RLIMIT_MEMLOCK": (INK, "--"),
    }
    top, limit = memory_top(
        [r.bytes or 0 for r in spans if r.state != "RLIMIT_MEMLOCK"],
        [r.bytes or 0 for r in spans if r.state == "RLIMIT_MEMLOCK"],
    )
    for state, (colour, line) in looks.items():
        found = [r for r in spans if r.state == state]
        x = [v / 1e3 for r in found for v in (r.begin_us, r.end_us)]
        y = [r.bytes or 0 for r in found for _ in range(2)]
        if not x or (limit and state == "RLIMIT_MEMLOCK"):
            continue
        ax.plot(x, y, label=state, color=colour, linewidth=1.2, linestyle=line)
        if state == "locked":
            ax.fill_between(x, y, color=SKY, alpha=0.35, linewidth=0)
    ax.set_ylim(0, top * 1.15 or 1)
    ax.set_yticks([0, top] if top else [0], ["0", size(top)] if top else ["0"])
    ax.set_title(f"memory of the VM{limit}", fontsize=8, pad=2)
    ax.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1.0),
        ncols=3,
        borderaxespad=0,
        borderpad=0,
        handlelength=1.5,
        columnspacing=1,
    )


def _legend_rows(lanes: Sequence[str], spans: Spans) -> list[tuple[str, list[str]]]:
    """For each lane, the states that occur."""
    seen = {(r.lane, r.state) for r in spans if r.end_us > r.begin_us}
    found = [(lane, [s for s in STATES[lane] if (lane, s) in seen]) for lane in lanes]
    return [(lane, states) for lane, states in found if states]


def _legend(part: Any, keys: list[tuple[str, list[str]]], window: TimelineRow) -> None:
    """A title, and a line for each lane: its states and their colours."""
    height = TITLE_IN + KEY_IN * len(keys)
    part.text(
        LEFT,
        1 - 0.5 * TITLE_IN / height,
        f"{named(window.arm)}: {number(window.length_us / 1e3)} ms of "
        f"replication {window.replication}, vCPU {window.vcpu}",
        va="center",
    )
    for k, (lane, states) in enumerate(keys):
        y = 1 - (TITLE_IN + KEY_IN * (k + 0.5)) / height
        part.text(LEFT, y, lane, va="center", fontsize=8)
        handles: list[Any] = [
            Patch(label=_WORDS.get(s, s), **STATES[lane][s].area()) for s in states
        ]
        made = Legend(
            part,
            handles,
            [h.get_label() for h in handles],
            loc="center left",
            bbox_to_anchor=(LEFT + 0.07, y),
            ncols=len(states),
            handlelength=1.0,
            handleheight=0.7,
            columnspacing=1.0,
            borderaxespad=0,
            borderpad=0,
            fontsize=7.5,
            handletextpad=0.4,
        )
        part.add_artist(made)
