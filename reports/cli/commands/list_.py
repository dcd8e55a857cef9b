"""`speskew list`: what there is to use."""

from __future__ import annotations

import json

import click

from reports.cli import options
from reports.cli.output import put
from reports.exitcodes import table


@click.command("list", epilog=table())
@click.argument("what", type=click.Choice(["scenarios", "designs", "presets", "streams"]))
@options.form_option("table", "json")
def command(what: str, form: str) -> None:
    """List what there is to use."""
    from reports.reference import listing

    rows = listing.rows(what)
    if form == "json":
        put(json.dumps(rows, indent=1, sort_keys=True) + "\n")
    else:
        put(listing.as_table(rows))
