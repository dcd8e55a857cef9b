"""`speskew sweep`: options, progress, what is said in the end."""

from __future__ import annotations

import fcntl
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.exitcodes import ExitCode, table

if TYPE_CHECKING:
    from reports.sweeps.sweeping import Asked, Planned, Standing
    from sim.runs.backends import Workers
    from sim.scenario.model import Scenario

SHOWN_METRICS = (("loss.total", "loss"), ("time_added", "time added"), ("rlimit.exits", "exits"))
"""What the table on stdout has of each arm; result.json and cells.csv have everything."""


@click.command(epilog=table())
@click.argument("scenario")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of the sweep.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--replications", type=click.IntRange(1))
@click.option("--seed", type=click.IntRange(0))
@click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override a scenario key in every cell; a cell's own settings are stronger.",
)
@click.option("--engine", type=click.Choice(["fast", "reference"]), default="fast")
@click.option("-n", "--dry-run", is_flag=True, help="List the cells and what they cost; run none.")
@click.option("--resume", is_flag=True, help="Continue; finished units are not run again.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run on a Dask cluster, e.g. tcp://head:8786; needs speskew[cluster].",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
)
@click.option("--no-report", is_flag=True, help="Leave report.html out.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def sweep(
    scenario: str,
    output: Path | None,
    jobs: int,
    replications: int | None,
    seed: int | None,
    overrides: tuple[str, ...],
    engine: str,
    dry_run: bool,
    resume: bool,
    scheduler: str | None,
    form: str,
    no_report: bool,
    quiet: bool,
) -> None:
    """Run every cell of SCENARIO's matrix, cases or samples.

    Results depend neither on the order nor on -j. A cell that fails is reported with the command
    that reproduces it and does not stop the others.
    """
    from reports.cli import main

    with main.exits(), main.stream_errors():
        from reports.store import rundir
        from reports.sweeps import sweeping
        from sim.scenario import loader

        asked = sweeping.Asked(scenario, overrides, replications, seed, engine)
        base, cells = sweeping.plan(asked)
        if dry_run:
            _say_plan(cells, form)
            return
        folder = output or rundir.default_path(f"{base.name}-sweep", loader.dump(base))
        with closing(_workers(jobs, scheduler)) as workers, _owned(folder, base, resume=resume):
            sweeping.write_manifest(folder, base, asked, sys.argv[1:])
            result = _run(folder, base, cells, asked, workers, quiet=quiet, report=not no_report)
    _say(result, form)
    click.echo(str(folder / ("result.json" if no_report else "report.html")), err=True)
    sys.exit(_exit_code(cells, result))


def _workers(jobs: int, scheduler: str | None) -> Workers:
    from reports.cli import main
    from sim.runs import backends as workers

    if scheduler is not None:
        try:
            return workers.Cluster(scheduler)
        except workers.WorkersError as error:
            main.fail(ExitCode.USAGE, str(error))
    return workers.Processes(jobs) if jobs > 1 else workers.Here()


@contextmanager
def _owned(folder: Path, scenario: Scenario, *, resume: bool) -> Iterator[None]:
    """The folder for this process alone; a second sweep into it is refused."""
    from reports.store.rundir import RunDirError
    from reports.sweeps import sweeping

    sweeping.prepare(folder, scenario, resume=resume)
    with (folder / sweeping.LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunDirError(f"{folder}: another sweep is writing there") from error
        sweeping.prepare(folder, scenario, resume=resume)  # again: now nobody else changes it
        yield


def _run(
    folder: Path,
    base: Scenario,
    cells: Sequence[Planned],
    asked: Asked,
    workers: Workers,
    *,
    quiet: bool,
    report: bool,
) -> dict[str, Any]:
    """Run and put together; on Ctrl-C finished units stay and no process is left."""
    from reports.cli import main
    from reports.runs.rebuilding import replace
    from reports.sweeps import sweeping
    from sim.runs.store import Store

    store = Store(folder / "units")
    store.sweep_up()
    sweeping.forget(folder)
    shown = Quiet() if quiet else Lines()
    try:
        failed = sweeping.run(cells, store, workers, shown)
        rows = sweeping.assemble(
            folder,
            cells,
            failed,
            lambda planned: sweeping.describe(planned, store, workers, asked.engine),
            each=base.samples is not None,
            progress=shown.assembled,
        )
        result = sweeping.document(base, rows)
        replace(folder / "cells.csv", sweeping.as_csv(result).encode())
        if "samples" in result:
            from reports.sweeps import screening

            replace(folder / "sensitivity.csv", screening.as_csv(result).encode())
        replace(folder / "result.json", sweeping.dumps(result).encode())
        if report:
            sweeping.rebuild(folder)
    except KeyboardInterrupt:
        main.fail(
            ExitCode.INTERRUPTED, f"interrupted; finished units are kept: --resume -o {folder}"
        )
    return result


# --- progress --------------------------------------------------------------------------------


class Quiet:
    """Says nothing."""

    def __call__(self, standing: Standing) -> None:
        """As `Lines`."""

    def assembled(self, done: int, total: int) -> None:
        """As `Lines`."""


class Lines(Quiet):
    """Progress on stderr: rewritten in place on a terminal, else a line per finished cell."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._cells = -1

    def __call__(self, standing: Standing) -> None:
        """Say how far it is."""
        if self._terminal:
            end = "\n" if standing.units_done == standing.units else ""
            click.echo(f"\r\x1b[K{line(standing)}{end}", err=True, nl=False)
        elif standing.cells_done > self._cells:
            click.echo(line(standing), err=True)
        self._cells = standing.cells_done

    def assembled(self, done: int, total: int) -> None:
        """Say how many cells have their results together: in place, or once if there are many."""
        if self._terminal:
            end = "\n" if done == total else ""
            click.echo(
                f"\r\x1b[Kputting results together: {done}/{total} cells{end}", err=True, nl=False
            )
        elif done == 0 and total > MANY:
            click.echo(f"putting the results of {total} cells together", err=True)


MANY = 20
"""Cells from which on that takes seconds."""


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


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


# --- what is said ----------------------------------------------------------------------------


def _say_plan(cells: Sequence[Planned], form: str) -> None:
    rows = [
        {
            "id": p.cell.id,
            "settings": dict(p.cell.settings),
            "units": sum(len(t.units) for t in p.tasks),
            "tasks": len(p.tasks),
            "seconds": round(p.nanoseconds / 1e9, 1),
            "problem": p.problem,
        }
        for p in cells
    ]
    if form == "json":
        click.echo(json.dumps(rows, indent=1, sort_keys=True))
        return
    for row in rows:
        what = (
            f"CANNOT RUN: {row['problem']}"
            if row["problem"]
            else (f"{row['units']} units in {row['tasks']} tasks, about {row['seconds']} s")
        )
        click.echo(f"{row['id']}  {what}")
    total = sum(p.nanoseconds for p in cells) / 1e9
    click.echo(f"{len(cells)} cells, about {duration(total)} on one core (an estimate)")


def _say(result: dict[str, Any], form: str) -> None:
    from reports.sweeps import sweeping

    if form == "json":
        click.echo(sweeping.dumps(result), nl=False)
    elif form == "csv":
        click.echo(sweeping.as_csv(result), nl=False)
    else:
        click.echo(as_table(result), nl=False)
    for row in result["cells"]:
        if row["status"] == "failed":
            click.echo(f"speskew: {row['id']} failed: {row['why']}\n  {row['reproduce']}", err=True)


def as_table(result: dict[str, Any]) -> str:
    """A line per cell and arm: the predicted loss, time added and exits; of samples, indices."""
    if "samples" in result:
        from reports.sweeps import page, screening

        words = {shown.metric: shown.title.lower() for shown in page.METRICS}
        return screening.as_table(result, words)
    axes = list(result["axes"])
    head = [*axes, "arm", *(f"predicted {words}" for _, words in SHOWN_METRICS)]
    rows = []
    for cell in result["cells"]:
        settings = [_said(cell["settings"].get(axis, "–")) for axis in axes]
        if cell["status"] == "failed":
            rows.append([*settings, "FAILED", *["–"] * len(SHOWN_METRICS)])
        for arm, numbers in cell.get("arms", {}).items():
            rows.append([*settings, arm, *(_shown(numbers.get(m)) for m, _ in SHOWN_METRICS)])
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]
    return "\n".join(lines) + "\n"


def _said(value: Any) -> str:
    from reports.text import printable

    return printable(value if isinstance(value, str) else json.dumps(value))


def _shown(value: Any) -> str:
    from reports.text import number, with_interval

    if value is None:
        return "–"
    if isinstance(value, dict):
        return (
            with_interval(value, 100, "%")
            if value["unit"] == "fraction"
            else (with_interval(value, 1, value["unit"]))
        )
    return number(value)


def _exit_code(cells: Sequence[Planned], result: dict[str, Any]) -> ExitCode:
    """Model error if a cell failed while running, usage error if one could not be started."""
    bad = sum(row["status"] == "failed" for row in result["cells"])
    if not bad:
        return ExitCode.OK
    return ExitCode.USAGE if bad == sum(bool(p.problem) for p in cells) else ExitCode.MODEL
