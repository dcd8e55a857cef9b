"""`speskew sweep`: a scenario over a matrix of settings."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.cli import completing, options
from reports.cli.errors import leave
from reports.cli.output import put, remark, say
from reports.exitcodes import ExitCode, table

if TYPE_CHECKING:
    from reports.results.sweep_result import SweepResult
    from reports.sweeps.attempt import Plan


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
@options.form_option("table", "json", "csv")
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
    form: str,
    no_report: bool,
    figures: bool,
    quiet: bool,
) -> None:
    """Run every cell of SCENARIO's matrix, cases or samples.

    Results depend neither on the order nor on -j. A cell that fails is reported with the command
    that reproduces it and does not stop the others.
    """
    if figures and no_report:
        raise click.UsageError("--figures needs the report; drop --no-report")
    if force and resume:
        raise click.UsageError("--force begins anew, --resume goes on: give one of them")
    from reports.sweeps import attempt, estimating, sweeping, words

    plan = attempt.planned(sweeping.Asked(scenario, overrides, replications, seed, engine))
    remark(plan.remarks)
    if dry_run:
        put(words.plan(plan.cells, form, estimating.pace(plan.cells)))
        return
    base = plan.base
    folder = output or attempt.default_folder(plan)
    shown = words.Quiet() if quiet else words.Lines()
    with (
        closing(attempt.workers(jobs, scheduler)) as crew,
        attempt.owned(folder, base, resume=resume, force=force),
    ):
        try:
            result = attempt.run(
                folder,
                plan,
                crew,
                sys.argv[1:],
                report=not no_report,
                figures=figures,
                shown=shown,
            )
        except KeyboardInterrupt:
            leave(
                ExitCode.INTERRUPTED,
                f"interrupted; finished units are kept: --resume -o {folder}",
            )
    formats = {"table": words.as_table, "json": sweeping.dumps, "csv": sweeping.as_csv}
    put(formats[form](result))
    _say_failures(result)
    say(str(folder / ("result.json" if no_report else "report.html")))
    sys.exit(_exit_code(plan, result))


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
