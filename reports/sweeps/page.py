"""report.html of a sweep: heat maps, response curves, which setting matters, every cell.

Made from the sweep's result.json alone: equal bytes for equal input, no network, no script.
"""

from __future__ import annotations

import reports.plotting  # noqa: F401 (before matplotlib)

# isort: split
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from analysis.cost.edges import ALL
from analysis.sweeps.sensitivity import Decomposition, decompose
from reports.figures import alone
from reports.figures.alone import Standing
from reports.figures.style import styled, to_svg
from reports.pages import templating
from reports.results.metric import Metric
from reports.results.sweep_result import CellResult, Indices, Numbers, SweepResult
from reports.store.grid import Grid, Response, grid
from reports.sweeps import bands, edges, effects, firstscreen, maps, screening
from reports.text import number, percent, with_interval


@dataclass(frozen=True, slots=True)
class Shown:
    """A metric that the page draws."""

    key: str
    metric: str
    title: str
    words: str


METRICS = (
    Shown("loss", "loss.total", "Operations lost", "operations that no sample can stand for"),
    Shown("time", "time_added", "Time added", "wall time above baremetal's"),
    Shown("exits", "rlimit.exits_per_run", "RLIMIT exits", "KVM_EXIT_RLIMIT per VM and run"),
    Shown(
        "skew",
        "skew.truth.symbol",
        "Skew",
        "samples in the wrong symbol, sampling noise aside",
    ),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure with its file name and its reading."""

    key: str
    title: str
    make: Callable[[], Figure]
    reading: str


GRID_HEAD = ("arm", "setting", "alone", "with others", "noise")
GRID_NOTE = (
    "Parts of the variance over the cells. Noise is the part that replications alone would make."
)


@dataclass(frozen=True, slots=True)
class Section:
    """One metric: what is constant, and pictures of what is not."""

    shown: Shown
    constant: str
    pictures: tuple[Picture, ...]
    ranks: tuple[tuple[str, ...], ...]
    head: tuple[str, ...] = GRID_HEAD
    note: str = GRID_NOTE
    readings: tuple[tuple[str, str], ...] = ()
    """Arms and what is said of them."""
    table: str = "Which setting matters, in numbers"
    """What the table below the pictures is called."""
    names: int = 2
    """Columns of it that hold names."""


def sections(result: SweepResult) -> list[Section]:
    """A section for each metric that some cell has."""
    if result.samples is not None:
        return [made for shown in METRICS if (made := _sampled(result, shown)) is not None]
    whole = grid(result)
    found = [made for shown in METRICS if (made := _section(whole, shown)) is not None]
    return [*found, *_edges(result, whole)]


EDGES = Shown("edges", f"per_enable.{ALL}.here_us", edges.TITLE, "what an enable edge costs")


def _edges(result: SweepResult, whole: Grid) -> Iterator[Section]:
    """What an enable edge costs in time, and in memory times time; nothing where none pins."""
    axes = [axis.name for axis in whole.axes]
    lines = [
        (*(_as_set(cell, axis) for axis in axes), *row)
        for cell in result.cells
        for row in edges.rows(cell)
    ]
    if not lines:
        return
    reading = edges.READING.format(inner=edges.joined(whole) or "nothing")
    drawn = edges.drawable(whole)
    picture = Picture("edges", "When to unpin", partial(edges.figure, whole), reading)
    yield Section(
        EDGES,
        "",
        (picture,) if drawn else (),
        tuple(lines),
        (*axes, *edges.HEAD),
        edges.NOTE,
        table="Every part of an edge, in every cell",
        names=len(axes) + 1,
    )


def _section(whole: Grid, shown: Shown) -> Section | None:
    every = {arm: whole.response(arm, shown.metric) for arm in whole.arms}
    known = {arm: r for arm, r in every.items() if np.isfinite(r.mean).any()}
    if not known:
        return None
    varied = {arm: r for arm, r in known.items() if np.nanmin(r.mean) < np.nanmax(r.mean)}
    unit = whole.unit(shown.metric)
    fraction = unit == "fraction"
    same = ", ".join(
        f"{arm}: {percent(v) if fraction else number(v)}"
        for arm, r in known.items()
        if arm not in varied
        for v in [float(np.nanmax(r.mean))]
    )
    if not varied or not whole.axes:
        return Section(shown, same, (), ())
    label = f"{shown.title.lower()}, {'%' if fraction else unit}"
    scale = 100.0 if fraction else 1.0
    found = {arm: d for arm, r in varied.items() if (d := decompose(r.mean, r.error)) is not None}
    made = list(_pictures(whole, shown, varied, found, label, scale))
    return Section(shown, same, tuple(made), tuple(_ranks(whole, found)))


def _pictures(
    whole: Grid,
    shown: Shown,
    varied: dict[str, Response],
    found: dict[str, Decomposition],
    label: str,
    scale: float,
) -> Iterator[Picture]:
    if len(whole.axes) > 1:
        drawn = _drawn(whole, found)
        rest = [axis.name for k, axis in enumerate(whole.axes) if k not in drawn]
        held = len(rest) and len(maps.slices(whole.axes, drawn)) == 1
        words = f" {', '.join(rest)}: at the middle level only." if held else ""
        ends = {a: e for a in varied if (e := bands.over(whole, a, shown.metric)) is not None}
        words += " Below a number is its band over the UNVERIFIED times." if ends else ""
        yield Picture(
            f"map-{shown.key}",
            f"{shown.title}: map",
            partial(maps.heat, whole, drawn, varied, label, scale, ends),
            f"{shown.words}, mean over replications. All panels share one scale of colours; cells "
            f"are of equal size whatever the settings' distances; – was not run or failed.{words}",
        )
    yield Picture(
        f"curves-{shown.key}",
        f"{shown.title}: response curves",
        partial(maps.curves, whole, varied, label, scale),
        f"{shown.words}, with 95 % intervals over replications, one setting at a time. "
        "Other settings are held at the level above each panel.",
    )
    if found and len(whole.axes) > 1:
        yield Picture(
            f"matters-{shown.key}",
            f"{shown.title}: which setting matters",
            partial(maps.importance, whole, found, shown.title.lower()),
            "Sobol' indices over the levels of this sweep, each equally likely; exact, since the "
            "grid is complete. They rank these settings over these levels, not beyond them.",
        )


def _drawn(whole: Grid, found: dict[str, Decomposition]) -> tuple[int, int]:
    """The two axes that a map draws, down and across: those that matter most."""

    def weight(axis: int) -> float:
        return sum(d.axes[axis].total for d in found.values())

    ranked = sorted(range(len(whole.axes)), key=lambda a: (-weight(a), a))
    first, second = sorted(ranked[:2])
    return first, second


def _ranks(whole: Grid, found: dict[str, Decomposition]) -> Iterator[tuple[str, ...]]:
    """A line per arm and axis, the largest total first: arm, axis, alone, with others, noise."""
    for arm, of in found.items():
        pairs = sorted(zip(whole.axes, of.axes, strict=True), key=lambda p: -p[1].total)
        noise = "unknown" if of.noise is None else percent(of.noise)
        for axis, index in pairs:
            yield arm, axis.name, percent(index.first), percent(index.total), noise


# --- samples ---------------------------------------------------------------------------------

_SAMPLED_NOTE = {
    "morris": "mu* is the mean size of an elementary effect, extrapolated to the whole range; mu "
    "keeps its sign; sigma is its spread over the points, which is small if the effect is the same "
    "wherever the other settings stand.",
    "sobol": "S1 is the part of the variance that a setting makes alone, ST with all that it does "
    "together with others.",
}
_NOISE_NOTE = (
    " Each with the half-width of its 95 % interval over the points (conf). Noise is what the "
    "index would be if replications made all of it, from differences within replications, which "
    "share their random numbers."
)


def _sampled(result: SweepResult, shown: Shown) -> Section | None:
    """Which setting matters for a metric, arm by arm."""
    method = screening.made(result).method
    entries = {
        arm: found[shown.metric]
        for arm, found in screening.by_arm(result).items()
        if shown.metric in found
    }
    if not entries:
        return None
    what = shown.title.lower()
    told: dict[str, list[str]] = {}
    for arm, entry in entries.items():
        told.setdefault(screening.sentence(entry, method, what), []).append(arm)
    readings = tuple((", ".join(arms), text) for text, arms in told.items())
    having = {arm: e for arm, e in entries.items() if e.effects}
    ranks = tuple(
        (arm, *line) for arm in having for line in screening.lines(result, arm, shown.metric)
    )
    pictures = tuple(_effects(having, method, shown)) if having else ()
    head = ("arm", "setting", *screening.columns(method))
    note = _SAMPLED_NOTE[method] + _NOISE_NOTE
    return Section(shown, "", pictures, ranks, head, note, readings)


def _effects(having: Mapping[str, Indices], method: str, shown: Shown) -> Iterator[Picture]:
    order = effects.order(having, method)
    unit = next(iter(having.values())).unit
    factor, said = screening.scaled(unit, method)
    what = shown.title.lower()
    label = f"{what}: {said}" if method == "sobol" else f"effect on {what}, {said}"
    settings = order[: effects.SHOWN]
    rest = len(order) - len(settings)
    yield Picture(
        f"effects-{shown.key}",
        f"{shown.title}: which setting matters",
        partial(effects.figure, having, settings, method, label, factor),
        f"{shown.words}. Each arm has a scale of its own. Bars are 95 % intervals over the points; "
        "what lies within the grey cannot be told from the noise of replications. Settings that do "
        "nothing in any arm are left out"
        f"{f', and {rest} that do least' if rest else ''}.",
    )


def page(result: SweepResult) -> str:
    """The page of a sweep."""
    made = sections(result)
    drawn = {p.key: Markup(_svg(p)) for section in made for p in section.pictures}
    failed = [row for row in result.cells if row.failed]
    return templating.render(
        "sweep.html.j2",
        result=result,
        sections=made,
        drawn=drawn,
        failed=failed,
        head=[*result.axes, "arm", *(shown.title for shown in METRICS)],
        rows=list(_rows(result)),
        first=firstscreen.lines(
            result,
            [(shown.key, shown.metric, shown.title) for shown in (*METRICS, EDGES)],
            {s.shown.key: s.ranks for s in made if s.shown is not EDGES},
        ),
        about=screening.about(result) if result.samples is not None else "",
    )


def _svg(picture: Picture) -> str:
    with styled(picture.key):
        return to_svg(picture.make(), picture.key, picture.title)


def standing(result: SweepResult) -> dict[str, Standing]:
    """What makes each figure of a sweep stand alone, by its name."""
    origin = f"seed {result.seed}, {len(result.cells)} cells"

    def make(picture: Picture) -> Standing:
        said = alone.legend(result.scenario, picture.title, picture.reading, origin)
        return lambda: (picture.make(), said)

    return {p.key: make(p) for section in sections(result) for p in section.pictures}


def _as_set(row: CellResult, axis: str) -> str:
    said, effective = _text(row.settings.get(axis, "–")), row.as_run(axis)
    return f"{said} → {effective}" if effective else said


def _rows(result: SweepResult) -> Iterator[tuple[str, list[str]]]:
    """Folder of the cell (empty if it failed) and its texts, a line per arm."""
    for row in result.cells:
        settings = [_as_set(row, axis) for axis in result.axes]
        if row.failed:
            yield "", [*settings, "failed", *itertools.repeat("–", len(METRICS))]
        for arm, numbers in row.arms.items():
            yield (
                f"cells/{row.id}",
                [*settings, arm, *(_banded(numbers, shown.metric) for shown in METRICS)],
            )


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _banded(numbers: Numbers, metric: str) -> str:
    band = bands.of(numbers, metric)
    text = _number(numbers.get(metric))
    return text if band is None else f"{text} ({band.text} UNVERIFIED)"


def _number(found: Metric | float | None) -> str:
    if found is None:
        return "–"
    if not isinstance(found, Metric):
        return number(found)
    fraction = found.unit == "fraction"
    return with_interval(found, 100 if fraction else 1, "%" if fraction else "")
