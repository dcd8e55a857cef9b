"""`speskew explain`: any name that is printed."""

from __future__ import annotations

import json

import click

from reports.cli import completing, options
from reports.cli.errors import leave
from reports.cli.output import put, say
from reports.exitcodes import ExitCode, table

MOST_AT_LENGTH = 12
"""Entries that are told at length; more are a line each."""


@click.command("explain", epilog=table())
@click.argument("words", metavar="[NAME|WORDS]...", nargs=-1, shell_complete=completing.names)
@options.form_option("text", "json")
def command(words: tuple[str, ...], form: str) -> None:
    """Say what NAME means: a metric, column, ledger label, parameter, scenario key, design….

    WORDS of perf, of a manual or of yours ("AUX data lost", TRUNCATED, resonance, irq) find what
    they are about. Without any, list every name there is.
    """
    from reports.reference import explaining, searching

    name = " ".join(words)
    found = list(explaining.entries())
    if name:
        looked_up = searching.search(name)
        found = looked_up.entries
        if not found:
            leave(ExitCode.USAGE, searching.problem_with(name))
        if not looked_up.called:
            say(f"speskew: nothing is called {name!r}; it is about, or in the text of:")
    if form == "json":
        put(json.dumps([e.as_dict() for e in found], indent=1, sort_keys=True) + "\n")
    else:
        few = bool(name) and len(found) <= MOST_AT_LENGTH
        put(explaining.as_text(found) if few else explaining.as_list(tuple(found)))
