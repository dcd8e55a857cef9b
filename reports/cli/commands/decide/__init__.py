"""`speskew decide`: would anybody who reads the profile decide otherwise?"""

from __future__ import annotations

from pathlib import Path

import click

from reports.cli import completing, options
from reports.cli.output import put
from reports.exitcodes import table


def _names(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    from sim.scenario.models.decisions import KINDS
    from sim.scenario.words import suggest

    for name in value:
        if name not in KINDS:
            raise click.BadParameter(suggest(name, tuple(KINDS)))
    return tuple(dict.fromkeys(value))


def _top(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    from sim.scenario.models.decisions import checked_top

    try:
        return None if value is None else checked_top(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _margin(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    from analysis.statistics.amounts import AmountError, ratio

    if value is None:
        return None
    try:
        share = ratio(value)
    except AmountError as error:
        raise click.BadParameter(str(error)) from None
    if not 0 < share <= 1:
        raise click.BadParameter("above 0 %, at most 100 %")
    return share


@click.command("decide", epilog=table())
@click.argument("run_dir", type=click.Path(path_type=Path), shell_complete=completing.runs)
@click.option(
    "--kind",
    "names",
    multiple=True,
    callback=_names,
    help="What is decided: layout, sharing, hot-functions, hot-instructions, hot-pages, "
    "hot-pages-64KiB, hot-pages-2MiB, or slow-loads; may be repeated. [default: what the "
    "scenario asks for, else all]",
)
@click.option(
    "--top",
    metavar="N|SHARE",
    callback=_top,
    help="How many items a choice takes, e.g. 20 or 10%. [default: the scenario's, else each "
    "kind's own]",
)
@click.option(
    "--margin",
    metavar="SHARE",
    callback=_margin,
    help="Regrets that differ by less do not matter. [default: the scenario's, else 1%]",
)
@options.jobs_option
@options.form_option("table", "json")
@options.quiet_option
def command(
    run_dir: Path,
    names: tuple[str, ...],
    top: str | None,
    margin: float | None,
    jobs: int,
    form: str,
    quiet: bool,
) -> None:
    """Say whether one decides the same by each arm's profile as by baremetal's.

    Regret is what the choice by a profile misses, of what the best choice catches: the hottest
    functions, the pages for fast memory, the order of basic blocks. Baremetal thinned to as many
    samples tells bias from too few samples. Arms are run again where the run has not been asked.
    """
    from reports.pages import decided as pages
    from reports.progress import Terminal
    from reports.runs.decided import decide

    scenario, found = decide(run_dir, names, top, margin, jobs, Terminal(quiet=quiet))
    put(pages.as_json(scenario, found) if form == "json" else pages.as_text(found))
