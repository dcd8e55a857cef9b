"""The command line: data on stdout, everything else on stderr, exit codes of `ExitCode`.

A verb is a file in `reports.cli.commands`, found by its name; it is imported when it is asked for
or listed, and imports what does its work when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from reports.cli.errors import answered
from reports.cli.output import never_fail_to_encode
from reports.exitcodes import table
from reports.signals import terminable

VERBS = (
    "baseline",
    "cache",
    "calibrate",
    "check",
    "compare",
    "decide",
    "explain",
    "export",
    "figure",
    "import",
    "list",
    "memlock",
    "record",
    "report",
    "run",
    "schema",
    "show",
    "sweep",
    "validate",
)
_KEYWORDS = ("import", "list")  # a module has another name where Python or click has this one


class Verbs(click.Group):
    """A group whose commands are modules, and whose errors are answered in one place."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, sorted."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The `command` of the verb's module."""
        if cmd_name not in VERBS:
            return None
        name = f"{cmd_name}_" if cmd_name in _KEYWORDS else cmd_name
        command: click.Command = import_module(f"reports.cli.commands.{name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; click itself would say "Aborted!" on Ctrl-C and leave with 1."""
        with answered():
            return super().invoke(ctx)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """As click's; also output that cannot be written or encoded is answered."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        never_fail_to_encode()
        with terminable(), answered():
            code = super().main(args, prog_name, complete_var, False, **extra)
            sys.stdout.flush()  # here, while a full disk is still a message
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=Verbs, epilog=table(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="speskew")
def main() -> None:
    """Predict how much Arm SPE profiles differ between baremetal and KVM guests, and why.

    No number this program prints is a measurement.
    """
