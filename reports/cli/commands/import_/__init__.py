"""`speskew import`: what others have, made into workloads."""

from __future__ import annotations

import click

from reports.cli.commands.import_.spe import spe
from reports.cli.commands.import_.streams import drmemtrace, execlog, tarmac
from reports.exitcodes import table


@click.group("import", epilog=table())
def command() -> None:
    """Make a workload of what other tools recorded."""


for sub in (spe, drmemtrace, tarmac, execlog):
    command.add_command(sub)
