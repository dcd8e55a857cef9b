"""`speskew run`: a scenario's arms side by side."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from reports.cli import completing, options
from reports.cli.errors import leave
from reports.cli.output import put, remark, say
from reports.exitcodes import ExitCode, of_error, table
from sim.errors import SpeskewError


@click.command("run", epilog=table())
@click.argument("scenario", shell_complete=completing.scenarios)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Run directory.")
@options.jobs_option
@options.engine_option
@options.replications_option
@options.seed_option
@options.set_option()
@options.form_option("table", "json")
@click.option("--force", is_flag=True, help="Replace an existing run directory.")
@click.option(
    "--keep-records",
    is_flag=True,
    help="Write records.parquet and aux.parquet, and count the latency view.",
)
@click.option("--no-report", is_flag=True, help="Write no report.html and no report.md.")
@click.option(
    "--no-band",
    is_flag=True,
    help="Do not run replication 0 again at the ends of the UNVERIFIED times.",
)
@options.figures_option
@options.quiet_option
def command(
    scenario: str,
    output: Path | None,
    jobs: int,
    engine: str,
    replications: int | None,
    seed: int | None,
    overrides: tuple[str, ...],
    form: str,
    force: bool,
    keep_records: bool,
    no_report: bool,
    no_band: bool,
    figures: bool,
    quiet: bool,
) -> None:
    """Run SCENARIO (a YAML file or a stock name) and print a summary.

    Writes a run directory with results, tables and report.html. Results do not depend on -j.
    """
    if figures and no_report:
        raise click.UsageError("--figures needs the report; drop --no-report")
    from reports.results import result
    from reports.runs import running
    from sim.scenario.files import loader

    remarks: list[loader.Unheeded] = []
    loaded = loader.load(scenario, overrides, replications, seed, remarks)
    remark(remarks)
    asked = running.Options(
        source=scenario,
        out=output,
        jobs=jobs,
        engine=engine,
        force=force,
        keep_records=keep_records,
        report=not no_report,
        band=not no_band,
        figures=figures,
        quiet=quiet,
        argv=tuple(sys.argv[1:]),
    )
    outcome = running.run(loaded, loader.dump(loaded), asked)
    put(outcome.summary if form == "table" else result.dumps(outcome.result))
    say(str(outcome.target / "report.html" if outcome.reported else outcome.target))
    if isinstance(outcome.cut, SpeskewError):
        leave(of_error(outcome.cut), f"{outcome.cut}; finished arms are kept and marked")
    if outcome.cut is not None:
        leave(ExitCode.INTERRUPTED, "interrupted; finished arms are kept and marked")
    if not (no_report or outcome.reported):
        again = f"speskew report run {shlex.quote(str(outcome.target))}"
        leave(ExitCode.INTERRUPTED, f"interrupted; the result is whole, for the report: {again}")
