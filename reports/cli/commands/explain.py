"""`speskew explain`: any name that is printed."""

from __future__ import annotations

import json

import click

from reports.cli import options
from reports.cli.errors import leave
from reports.cli.output import put
from reports.exitcodes import ExitCode, table


@click.command("explain", epilog=table())
@click.argument("name", required=False)
@options.form_option("text", "json")
def command(name: str | None, form: str) -> None:
    """Say what NAME means: a metric, column, ledger label, parameter, scenario key, design….

    Without NAME, list every name there is.
    """
    from reports.reference import explaining

    found = explaining.find(name) if name else list(explaining.entries())
    if name and not found:
        leave(ExitCode.USAGE, explaining.problem_with(name))
    if form == "json":
        put(json.dumps([e.as_dict() for e in found], indent=1, sort_keys=True) + "\n")
    else:
        put(explaining.as_text(found) if name else explaining.as_list(tuple(found)))
