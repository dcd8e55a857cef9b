"""`speskew validate`: whether scenarios can be run, without running them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from reports.cli import completing, options
from reports.cli.output import put, remark, say
from reports.exitcodes import ExitCode, table

if TYPE_CHECKING:
    from sim.scenario.models.scenario import Scenario


@click.command("validate", epilog=table())
@click.argument("scenarios", nargs=-1, required=True, shell_complete=completing.scenarios)
@options.set_option()
def command(scenarios: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """Check SCENARIOS as a whole; every problem with its file, line and column on stderr."""
    from sim.errors import SpeskewError
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
        try:
            remark(f"{source}: {one}" for one in _doubts(loaded))
        except SpeskewError as error:  # the workload's file is none
            say(f"{source}: {error}")
            bad = True
            continue
        put(f"{source}: ok, {len(loaded.arms)} arms, {loaded.replications} replications\n")
    sys.exit(ExitCode.USAGE if bad else ExitCode.OK)


def _doubts(loaded: Scenario) -> Iterator[str]:
    """What the import of each workload found in doubt, as a run would say it."""
    from sim.machine.resolve import stream_remarks

    settings = {getattr(a.settings.workload, "path", ""): a.settings for a in loaded.arms}
    for path, of in settings.items():
        for one in stream_remarks(of):
            yield f"in doubt in the workload {path}: {one}"
