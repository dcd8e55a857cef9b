"""`speskew report index`: a page over many runs."""

from __future__ import annotations

from pathlib import Path

import click

from reports.cli import options
from reports.cli.output import put_paths
from reports.exitcodes import table


@click.command("index", epilog=table())
@options.folder_argument("folder", default="runs")
def index(folder: Path) -> None:
    """Write FOLDER/index.html: every run and sweep below FOLDER, with its numbers and a link."""
    from reports.store.files import replace
    from reports.sweeps.index import INDEX, page

    replace(folder / INDEX, page(folder).encode())
    put_paths([folder / INDEX])
