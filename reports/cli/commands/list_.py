"""`speskew list`: what there is to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reports.cli import options
from reports.cli.output import put
from reports.exitcodes import table

if TYPE_CHECKING:
    from reports.reference.listing import What


@click.command("list", epilog=table())
@click.argument("what", type=click.Choice(["scenarios", "designs", "presets", "streams"]))
@options.form_option("table", "json")
def command(what: What, form: str) -> None:
    """List what there is to use."""
    from reports.reference import listing

    rows = listing.rows(what)
    if form == "json":
        put(listing.as_json(rows))
    else:
        put(listing.as_table(rows))
