"""`speskew schema`: what a scenario may hold, for editors."""

from __future__ import annotations

import json

import click

from reports.cli.output import put
from reports.exitcodes import table


@click.command("schema", epilog=table())
def command() -> None:
    """Print the JSON Schema of scenarios, for editors."""
    from sim.scenario.files.schema import schema

    put(json.dumps(schema(), indent=2) + "\n")
