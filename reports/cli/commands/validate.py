"""`speskew validate`: whether scenarios can be run, without running them."""

from __future__ import annotations

import sys

import click

from reports.cli import completing, options
from reports.cli.output import put, remark, say
from reports.exitcodes import ExitCode, table


@click.command("validate", epilog=table())
@click.argument("scenarios", nargs=-1, required=True, shell_complete=completing.scenarios)
@options.set_option()
def command(scenarios: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """Check SCENARIOS as a whole; every problem with its file, line and column on stderr."""
    from sim.machine import effective
    from sim.scenario.files import loader

    bad = False
    for source in scenarios:
        remarks: list[loader.Unheeded] = []
        try:
            loaded = loader.load(source, overrides, remarks=remarks)
        except loader.ScenarioError as error:
            say(str(error))
            bad = True
            continue
        remark(f"{source}: {one}" for one in (*remarks, *effective.remarks(loaded.arms)))
        put(f"{source}: ok, {len(loaded.arms)} arms, {loaded.replications} replications\n")
    sys.exit(ExitCode.USAGE if bad else ExitCode.OK)
