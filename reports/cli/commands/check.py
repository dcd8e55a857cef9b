"""`speskew check`: do a scenario's statements hold?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from reports.cli import completing, options
from reports.cli.errors import answered
from reports.cli.output import put, remark, say
from reports.exitcodes import ExitCode, bisect_code, table

FORMAT_NAMES = ("table", "json", "ktap", "junit", "md")
"""Keys of reports.checks.formats.FORMATS, which is not imported for --help."""
AS_BASELINE = "baseline"


def _replications(context: click.Context, option: click.Parameter, text: str | None) -> Any:
    """A count of 1 or more, or the word `baseline`."""
    if text is None or text == AS_BASELINE:
        return text
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise click.BadParameter(f"{text!r} is no count of 1 or more, nor the word {AS_BASELINE}")


BISECT_HELP = """

\b
With --bisect, for `git bisect run`:
  0, 1, 130  as above
  others     125: this commit cannot be tested"""


@contextmanager
def _bisecting(bisect: bool) -> Iterator[None]:
    """Exit codes as `git bisect run` wants them."""
    try:
        with answered():
            yield
    except SystemExit as leaving:
        if bisect and isinstance(leaving.code, int):
            raise SystemExit(bisect_code(ExitCode(leaving.code))) from leaving
        raise


@click.command("check", epilog=table() + BISECT_HELP)
@click.argument(
    "target", metavar="SCENARIO|RUN_DIR|SWEEP_DIR", shell_complete=completing.scenarios_and_runs
)
@click.option(
    "--baseline",
    "baseline_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Compare with this file. [default: baselines/NAME.json beside the scenario (of a run: in "
    ".), in ./scenarios or in the stock]",
)
@options.set_option()
@options.form_option(*FORMAT_NAMES)
@click.option("--bisect", is_flag=True, help="Exit codes for `git bisect run`.")
@click.option(
    "--replications",
    metavar="N|baseline",
    callback=_replications,
    help=f"So many, or the word {AS_BASELINE}: as many as the baseline has.",
)
@options.seed_option
@options.jobs_option
@options.engine_option
@options.quiet_option
def command(
    target: str,
    baseline_file: Path | None,
    overrides: tuple[str, ...],
    form: str,
    bisect: bool,
    replications: int | str | None,
    seed: int | None,
    jobs: int,
    engine: str,
    quiet: bool,
) -> None:
    """Decide the checks of a scenario: run it, or read a run or sweep that is there.

    Of a scenario with cells the scenario itself is run, without them; of a sweep's folder every
    check is decided in every cell.

    Every check is PASS, FAIL, UNDECIDED (the data cannot tell) or SKIP (it makes no sense here),
    with a sentence that says why. Results do not depend on -j.
    """
    with _bisecting(bisect):
        from reports.checks import deciding, formats
        from reports.progress import Terminal
        from sim.scenario.files.loader import Unheeded

        if deciding.is_folder(target):
            if overrides or replications is not None or seed is not None:
                raise click.UsageError("--set, --replications and --seed are for a scenario")
            report = deciding.of_folder(Path(target), baseline_file)
        else:
            asked = deciding.Asked(
                overrides=overrides,
                replications=replications if isinstance(replications, int) else None,
                as_baseline=replications == AS_BASELINE,
                seed=seed,
                jobs=jobs,
                engine=engine,
                display=Terminal(quiet=quiet),
            )
            remarks: list[Unheeded] = []
            scenario = deciding.load(target, asked, remarks)
            remark(remarks)
            if deciding.has_cells(scenario):
                say(f"speskew: {deciding.WITHOUT_CELLS}")
            report = deciding.of_scenario(scenario, target, baseline_file, asked)
        put(formats.FORMATS[form](report))
        if form != "table" and not quiet:  # the table ends with it
            say(report.summary())
        sys.exit(report.code)
