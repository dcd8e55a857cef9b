"""Figures of a run, each drawn from one table: SVG for the page, PNG for papers.

Equal bytes for equal input. Arms and causes take the Okabe-Ito colours, which people with
colour-blindness can tell apart, and never colour alone: markers, line styles or labels go with it.
"""

from __future__ import annotations

import reports.plotting  # noqa: F401 (before matplotlib)

# isort: split
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from reports.figures import (
    blackouts,
    decisions,
    designs,
    distances,
    ledgers,
    locked,
    losses,
    perturbation,
    readings,
    symbols,
    theory,
    timelines,
)
from reports.figures.style import styled, to_png, to_svg
from reports.results.arms import several_designs
from reports.results.result import Result
from reports.store.rows import Tables, TimelineRow, by_arm

__all__ = ["MAX_TIMELINES", "Drawing", "Drawn", "draw", "drawings", "to_png", "to_svg"]

Make = Callable[[], Figure | None]
MAX_TIMELINES = 8
"""Arms whose timeline is drawn; the others are in the CSV."""


CLOSELY = "A few milliseconds, seen closely"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure to be: file name, title, the table that it shows, how to make it, its reading."""

    key: str
    title: str
    table: str
    make: Make
    reading: str
    notes: tuple[str, ...] = ()
    """What the figure leaves out, and why."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure for the page. `svg` is empty where there is nothing to show."""

    key: str
    title: str
    table: str
    svg: str
    reading: str
    notes: tuple[str, ...] = ()


def drawings(result: Result, tables: Tables) -> Iterator[Drawing]:
    """Every figure of a run; timelines come one an arm, as `timeline-1`, `timeline-2`, …."""
    yield from _of_decisions(result, tables)
    yield from _of_samples(result, tables)
    yield from _timelines(result, tables)
    yield from _of_designs(result, tables)


def _of_decisions(result: Result, tables: Tables) -> Iterator[Drawing]:
    """What the profile is for, if the scenario says so."""
    if tables["decisions"].rows:
        yield Drawing(
            "decisions",
            "Would you decide the same?",
            "decisions",
            lambda: decisions.figure(result, tables),
            readings.decisions(result),
        )


def _of_samples(result: Result, tables: Tables) -> Iterator[Drawing]:
    """What was sampled, what was lost, and how true the rest is."""
    yield Drawing(
        "ledgers",
        "Where operations and time went",
        "ledgers",
        lambda: ledgers.figure(result, tables),
        readings.ledgers(result),
    )
    yield Drawing(
        "losses",
        "Where the loss falls",
        "symbols",
        lambda: losses.figure(result, tables),
        readings.losses(result),
    )
    yield Drawing(
        "symbols",
        "Profile by symbol",
        "symbols",
        lambda: symbols.figure(result, tables),
        readings.symbols(result),
    )
    yield Drawing(
        "distances",
        "Distance of profiles, with the noise floor",
        "distances",
        lambda: distances.figure(result, tables),
        readings.distances(result),
    )
    yield Drawing(
        "blackouts",
        "Length of blackouts",
        "blackouts",
        lambda: blackouts.figure(result, tables),
        readings.blackouts(result),
    )


def _timelines(result: Result, tables: Tables) -> Iterator[Drawing]:
    rows_of = by_arm(TimelineRow, tables)
    shown = timelines.arms(result, rows_of, MAX_TIMELINES)
    if not shown:
        yield Drawing("timeline", CLOSELY, "timeline", lambda: None, readings.NO_TIMELINE)
    for number, arm in enumerate(shown, 1):
        yield Drawing(
            f"timeline-{number}",
            CLOSELY,
            "timeline",
            timelines.maker(arm, result, rows_of[arm]),
            readings.timeline(arm, result, rows_of, shown if number == len(shown) else ()),
        )


def _of_designs(result: Result, tables: Tables) -> Iterator[Drawing]:
    """What the designs cost, and whether theory says the same."""
    yield Drawing(
        "perturbation",
        "Perturbation: time added",
        "perturbation",
        lambda: perturbation.figure(result, tables),
        readings.perturbation(tables),
    )
    yield Drawing(
        "locked",
        "Locked memory against the limit",
        "locked",
        lambda: locked.figure(result, tables),
        readings.locked(result),
    )
    if several_designs(result):
        yield Drawing(
            "designs",
            "Designs side by side",
            "designs",
            lambda: designs.figure(result, tables),
            readings.designs(result, tables),
        )
    yield Drawing(
        "theory",
        "Does the model agree with theory?",
        "theory",
        lambda: theory.figure(result, tables),
        readings.theory(tables),
        readings.conditions(tables),
    )


def draw(result: Result, tables: Tables) -> list[Drawn]:
    """Every figure as SVG."""
    drawn = []
    for d in drawings(result, tables):
        with styled(d.key):
            figure = d.make()
            svg = "" if figure is None else to_svg(figure, d.key, d.title)
        drawn.append(Drawn(d.key, d.title, d.table, svg, d.reading, d.notes))
    return drawn
