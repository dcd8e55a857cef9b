"""`speskew report run`: the pages of a run or sweep again."""

from __future__ import annotations

from pathlib import Path

import click

from reports.cli import completing, options
from reports.cli.output import put_paths
from reports.exitcodes import table


@click.command("run", epilog=table())
@options.folder_argument("run_dir", shell_complete=completing.runs)
@options.figures_option
def run(run_dir: Path, figures: bool) -> None:
    """Build the report of RUN_DIR again, from what the run or sweep left there."""
    from reports.runs import rebuilding
    from reports.sweeps import sweeping

    sweep = (run_dir / sweeping.MANIFEST).is_file()
    rebuild = sweeping.rebuild if sweep else rebuilding.rebuild
    put_paths(rebuild(run_dir, figures=figures))
