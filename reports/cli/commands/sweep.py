"""`speskew sweep`: a scenario over a matrix of settings."""

from __future__ import annotations

import errno
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reports.cli import completing, options
from reports.cli.errors import leave
from reports.cli.output import put, remark, say
from reports.exitcodes import ExitCode, of_error, table
from sim.errors import SpeskewError

if TYPE_CHECKING:
    from reports.results.sweep_result import SweepResult
    from reports.sweeps.attempt import Plan
    from sim.runs.cluster import Scheduler

_F = TypeVar("_F", bound=Callable[..., Any])


def _tls_option(name: str, text: str) -> Callable[[_F], _F]:
    kind = click.Path(path_type=Path, exists=True, dir_okay=False)
    return click.option(f"--tls-{name}", type=kind, metavar="FILE", help=text)


@contextmanager
def _continued(folder: Path) -> Iterator[None]:
    """Whatever ends a sweep early: how to go on, if anything is kept."""
    from reports.store.rundir import RunDirError

    try:
        yield
    except KeyboardInterrupt:
        leave(ExitCode.INTERRUPTED, f"interrupted; {_resume(folder)}")
    except SpeskewError as error:
        if not (folder / "units").is_dir() or type(error) is RunDirError:
            raise
        leave(of_error(error), f"{error}; {_resume(folder)}")
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        if not folder.is_dir():
            leave(ExitCode.USAGE, f"{folder} was removed while the sweep ran; start it again")
        leave(ExitCode.USAGE, f"{folder}: {error.strerror or error}; {_resume(folder)}")


def _resume(folder: Path) -> str:
    return f"finished units are kept: --resume -o {shlex.quote(str(folder))}"


@click.command("sweep", epilog=table())
@click.argument("scenario", shell_complete=completing.scenarios)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of the sweep.")
@options.jobs_option
@options.replications_option
@options.seed_option
@options.set_option("Override a scenario key in every cell; a cell's own settings are stronger.")
@options.engine_option
@click.option("-n", "--dry-run", is_flag=True, help="List the cells and what they cost; run none.")
@click.option("--force", is_flag=True, help="Replace a sweep that is there.")
@click.option("--resume", is_flag=True, help="Continue; finished units are not run again.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run on a Dask cluster, e.g. tcp://head:8786; needs speskew[cluster].",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the scheduler to answer, and for a worker to be there.",
)
@_tls_option("ca", "The authority that signed the scheduler's certificate, for tls:// addresses.")
@_tls_option("cert", "Our certificate.")
@_tls_option("key", "The key of our certificate.")
@options.form_option("table", "json", "csv")
@click.option(
    "--band",
    is_flag=True,
    help="Run replication 0 of each arm again at the ends of the UNVERIFIED times, in each cell.",
)
@click.option("--no-report", is_flag=True, help="Leave report.html out.")
@options.figures_option
@options.quiet_option
def command(
    scenario: str,
    output: Path | None,
    jobs: int,
    replications: int | None,
    seed: int | None,
    overrides: tuple[str, ...],
    engine: str,
    dry_run: bool,
    force: bool,
    resume: bool,
    scheduler: str | None,
    wait: float,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    form: str,
    band: bool,
    no_report: bool,
    figures: bool,
    quiet: bool,
) -> None:
    """Run every cell of SCENARIO's matrix, cases or samples.

    Results depend neither on the order nor on -j. A cell that fails is reported with the command
    that reproduces it and does not stop the others.
    """
    _check_together(figures and no_report, force and resume)
    from reports.sweeps import attempt, estimating, sweeping, words

    plan = attempt.planned(sweeping.Asked(scenario, overrides, replications, seed, engine, band))
    remark(plan.remarks)
    if dry_run:
        put(words.plan(plan.cells, form, estimating.pace(plan.cells)))
        return
    at = _cluster(scheduler, wait, tls_ca, tls_cert, tls_key)
    folder = output or attempt.default_folder(plan)
    with (
        _continued(folder),
        words.shown(quiet=quiet, compiles=at is None and engine == "fast") as shown,
        closing(attempt.workers(jobs, at, shown)) as crew,
        attempt.owned(folder, plan.base, resume=resume, force=force),
    ):
        result = attempt.run(
            folder,
            plan,
            crew,
            sys.argv[1:],
            report=not no_report,
            figures=figures,
            shown=shown,
        )
    files = {"json": "result.json", "csv": "cells.csv"}
    put((folder / files[form]).read_bytes().decode() if form in files else words.as_table(result))
    _say_failures(result)
    if any(row.failed for row in result.cells):
        say(f"speskew: {_resume(folder)}")
    say(str(folder / ("result.json" if no_report else "report.html")))
    sys.exit(_exit_code(plan, result))


def _check_together(figures_without_page: bool, anew_and_on: bool) -> None:
    """Refuses options that contradict each other."""
    if figures_without_page:
        raise click.UsageError("--figures needs the report; drop --no-report")
    if anew_and_on:
        raise click.UsageError("--force begins anew, --resume goes on: give one of them")


def _cluster(
    address: str | None, wait: float, ca: Path | None, cert: Path | None, key: Path | None
) -> Scheduler | None:
    """Where the cells run if not here."""
    if address is not None:
        from sim.runs.cluster import Scheduler

        return Scheduler(address, wait, ca, cert, key)
    if ca or cert or key:
        raise click.UsageError("--tls-ca, --tls-cert and --tls-key are for --scheduler")
    return None


def _say_failures(result: SweepResult) -> None:
    for row in result.cells:
        if row.failed:
            say(f"speskew: {row.id} failed: {row.why}\n  {row.reproduce}")


def _exit_code(plan: Plan, result: SweepResult) -> ExitCode:
    """Model error if a cell failed while running, usage error if one could not be started."""
    bad = sum(row.failed for row in result.cells)
    if not bad:
        return ExitCode.OK
    could_not_start = sum(bool(p.problem) for p in plan.cells)
    return ExitCode.USAGE if bad == could_not_start else ExitCode.MODEL
