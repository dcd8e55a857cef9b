"""`speskew import`: what others have, made into workloads."""

from __future__ import annotations

import click

from reports.cli.commands.import_.spe import spe
from reports.cli.commands.import_.streams import drmemtrace, execlog, tarmac
from reports.exitcodes import table
from reports.signals import terminable


@click.group("import", epilog=table())
def command() -> None:
    """Make a workload of what other tools recorded."""
    click.get_current_context().with_resource(terminable())


for sub in (spe, drmemtrace, tarmac, execlog):
    command.add_command(sub)
