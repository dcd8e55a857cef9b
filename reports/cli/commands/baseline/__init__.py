"""`speskew baseline`: the committed numbers of a scenario."""

from __future__ import annotations

import json
from pathlib import Path

import click

from reports.cli import completing, options
from reports.cli.output import put, say
from reports.exitcodes import table


@click.group("baseline", epilog=table())
def command() -> None:
    """Keep the numbers of a scenario, to be compared by `speskew check`."""


@command.command(epilog=table())
@click.argument("scenario", shell_complete=completing.scenarios)
@click.option(
    "--baseline",
    "baseline_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write this file. [default: baselines/NAME.json beside the scenario]",
)
@click.option("--replications", type=click.IntRange(1), help="[default: as many as it has]")
@options.set_option()
@options.jobs_option
@click.option("-n", "--dry-run", is_flag=True, help="Say what would change; write nothing.")
@options.quiet_option
def update(
    scenario: str,
    baseline_file: Path | None,
    replications: int | None,
    overrides: tuple[str, ...],
    jobs: int,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Run SCENARIO and write its baseline; prints old → new, and touches nothing if equal."""
    from reports.checks import baselines, deciding
    from reports.progress import Terminal

    asked = deciding.Asked(overrides=overrides, jobs=jobs, display=Terminal(quiet=quiet))
    old, new = deciding.updated(scenario, baseline_file, replications, asked)
    lines = baselines.difference(old, new)
    put("".join(f"{line}\n" for line in lines))
    if not lines:
        say(f"{new.path}: nothing changed")
    elif dry_run:
        say(f"{new.path}: not written (--dry-run)")
    else:
        baselines.write(new)
        say(str(new.path))


@command.command(epilog=table())
@click.argument("target", metavar="SCENARIO|FILE", shell_complete=completing.scenarios)
@options.form_option("table", "json")
def show(target: str, form: str) -> None:
    """Print a baseline: where it comes from and what it holds."""
    from reports.checks import baselines, deciding

    found = baselines.read(deciding.path_of(target))
    if form == "json":
        put(json.dumps(found.as_dict(), indent=1, sort_keys=True) + "\n")
    else:
        put(baselines.as_table(found))


@command.command(epilog=table())
@click.argument("target", metavar="SCENARIO|FILE", shell_complete=completing.scenarios)
def migrate(target: str) -> None:
    """Rewrite a baseline of an older schema version as one of the present."""
    from reports.checks import baselines, deciding

    path = deciding.path_of(target)
    version = baselines.version_of(baselines.read_document(path))
    new = baselines.migrate(path)
    if version == baselines.BASELINE_VERSION:
        say(f"{path}: has baseline_version {version} already")
        return
    baselines.write(new)
    put(f"{path}: baseline_version {version} → {baselines.BASELINE_VERSION}\n")
