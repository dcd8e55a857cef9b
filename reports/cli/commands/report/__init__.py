"""`speskew report`: a run, a folder of runs, a capture; a file each."""

from __future__ import annotations

import click

from reports.cli.commands.report.index import index
from reports.cli.commands.report.run import run
from reports.cli.commands.report.spe import spe
from reports.exitcodes import table


class _RunDirUnlessNamed(click.Group):
    """`report X` is `report run X` unless X is a sub-command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group("report", cls=_RunDirUnlessNamed, epilog=table())
def command() -> None:
    """Report on a run directory (report RUN_DIR) or on a capture of metal (report spe CAPTURE)."""


for sub in (spe, run, index):
    command.add_command(sub)
