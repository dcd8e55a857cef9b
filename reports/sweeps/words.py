"""What `speskew sweep` says: its plan, how far it is, its table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from reports import heartbeat
from reports.heartbeat import Beat
from reports.results.metric import Metric
from reports.results.sweep_result import CellResult, Numbers, SweepResult
from reports.sweeps import bands, edges, page, screening
from reports.sweeps.estimating import Pace
from reports.sweeps.sweeping import Planned, Standing
from reports.text import aligned, duration, number, printable, with_interval

SHOWN_METRICS = (
    ("loss.total", "loss"),
    ("time_added", "time added"),
    ("rlimit.exits_per_run", "exits a run"),
)
"""What the table on stdout has of each arm; result.json and cells.csv have everything."""
EXITS = "exits/run"
"""The unit of a count that is clear without its interval."""
MANY = 20
"""Cells from which on putting results together takes seconds."""


class Quiet:
    """Says nothing."""

    def __call__(self, standing: Standing) -> None:
        """As `Lines`."""

    def assembled(self, done: int, total: int) -> None:
        """As `Lines`."""

    def waiting(self, what: str) -> None:
        """As `Lines`."""

    def unreadable(self, unit: Path, why: str) -> None:
        """Say, also when quiet, that a stored unit cannot be used."""
        click.echo(f"speskew: {printable(str(unit))}: {why}; it is run again", sys.stderr)


class Lines(Quiet):
    """Progress on stderr, through a beat: in place on a terminal, else a line per finished cell."""

    def __init__(self, beat: Beat) -> None:
        self._beat = beat
        self._terminal = sys.stderr.isatty()
        self._cells = -1

    def __call__(self, standing: Standing) -> None:
        """Say how far it is."""
        self._beat.what = line(standing)
        if self._terminal or standing.cells_done > self._cells:
            self._beat.line(line(standing))
        self._cells = standing.cells_done

    def assembled(self, done: int, total: int) -> None:
        """Say how many cells have their results together: in place, or once if there are many."""
        self._beat.what = f"putting results together: {done}/{total} cells"
        if self._terminal:
            self._beat.line(self._beat.what)
        elif done == 0 and total > MANY:
            self._beat.line(f"putting the results of {total} cells together")

    def waiting(self, what: str) -> None:
        """What is said if nothing else is, for a while."""
        self._beat.what = what


@contextmanager
def shown(*, quiet: bool, compiles: bool) -> Iterator[Quiet]:
    """Who says how a sweep goes; whatever takes long, a line comes every few seconds.

    `compiles` if the fast engine's kernel is needed on this machine.
    """
    if quiet:
        yield Quiet()
        return
    first = compiles and not heartbeat.compiled()
    what = heartbeat.COMPILING if first else "simulating"
    with heartbeat.working(what, quiet=False, in_place=sys.stderr.isatty()) as beat:
        if first:
            beat.line(heartbeat.ONCE)
        yield Lines(beat)


def line(standing: Standing) -> str:
    """``3/9 cells, 24/72 units, 2.1 s, about 4 s left: vm.vcpus=2-…``."""
    text = f"{standing.cells_done}/{standing.cells} cells, "
    text += f"{standing.units_done}/{standing.units} units"
    if not standing.last:
        return f"{text} there" if standing.kept else text
    text += f", {standing.elapsed:.1f} s"
    if standing.left is not None and standing.units_done < standing.units:
        text += f", about {duration(standing.left)} left"
    return f"{text}: {standing.last}"


def plan(cells: Sequence[Planned], form: str, pace: Pace) -> str:
    """Every cell and what it costs at the pace of this machine, as JSON or as a line each."""
    rows = [
        {
            "id": p.cell.id,
            "settings": dict(p.cell.settings),
            "units": sum(len(t.units) for t in p.tasks),
            "tasks": len(p.tasks),
            "seconds": round(pace.seconds(p), 2),
            "problem": p.problem,
        }
        for p in cells
    ]
    if form == "json":
        return json.dumps(rows, indent=1, sort_keys=True) + "\n"
    lines = []
    for row in rows:
        what = (
            f"CANNOT RUN: {row['problem']}"
            if row["problem"]
            else (f"{row['units']} units in {row['tasks']} tasks, about {row['seconds']} s")
        )
        lines.append(f"{row['id']}  {what}")
    total = pace.start_ns / 1e9 + sum(map(pace.seconds, cells))
    lines.append(
        f"{len(cells)} cells, about {duration(total)} on one core, the report aside: an "
        f"estimate from {pace.timed} short units, timed here and now"
    )
    return "".join(f"{line}\n" for line in lines)


def as_table(result: SweepResult) -> str:
    """A line per cell and arm: predicted loss, time added, exits, verdict; of samples, indices.

    In brackets the band over the UNVERIFIED times, if the sweep has one. A second table is of
    enable edges. What is in doubt in the workloads stands below.
    """
    doubts = "".join(f"{printable(one)}\n" for one in result.doubts)
    if result.samples is not None:
        words = {shown.metric: shown.title.lower() for shown in page.METRICS}
        return screening.as_table(result, words) + doubts
    axes = list(result.axes)
    head = [*axes, "arm", *(f"predicted {words}" for _, words in SHOWN_METRICS), "profile"]
    rows = []
    for cell in result.cells:
        settings = [as_set(cell, axis) for axis in axes]
        if cell.failed:
            rows.append([*settings, "FAILED", *["–"] * len(SHOWN_METRICS), ""])
        for arm, numbers in cell.arms.items():
            shown = (_banded(numbers, m) for m, _ in SHOWN_METRICS)
            rows.append([*settings, arm, *shown, printable(cell.verdicts.get(arm, "–"))])
    return "\n".join([*aligned([head, *rows]), *_edge_lines(result)]) + "\n" + doubts


def _edge_lines(result: SweepResult) -> list[str]:
    """A table of what enable edges cost, after an empty line; nothing where none pins."""
    axes = list(result.axes)
    rows = [
        [*(as_set(cell, axis) for axis in axes), *map(printable, row)]
        for cell in result.cells
        for row in edges.rows(cell)
    ]
    if not rows:
        return []
    head = [*axes, *edges.HEAD]
    head[len(axes)] = "arm, per enable edge"
    return ["", *aligned([head, *rows])]


def as_set(cell: CellResult, axis: str) -> str:
    """A cell's value of an axis, beside what it is run as: ``1000ops → 1024ops``."""
    said, effective = _said(cell.settings.get(axis, "–")), cell.as_run(axis)
    return f"{said} → {printable(effective)}" if effective else said


def _said(value: Any) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value))


def _banded(numbers: Numbers, metric: str) -> str:
    """A number with its interval, and with its band over the UNVERIFIED times if it has one."""
    band = bands.of(numbers, metric)
    text = _shown(numbers.get(metric))
    return text if band is None else f"{text} ({band.text})"


def _shown(value: Metric | float | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, Metric) and value.unit == EXITS and value.mean is not None:
        return number(value.mean)
    if isinstance(value, Metric):
        fraction = value.unit == "fraction"
        return with_interval(value, 100, "%") if fraction else with_interval(value, 1, value.unit)
    return number(value)
