"""`speskew figure`: one figure of a run or a sweep, as a file that stands alone."""

from __future__ import annotations

from pathlib import Path

import click

from reports.cli import completing, figures, options
from reports.cli.output import put, put_paths
from reports.exitcodes import table

_FORMATS = ("svg", "png", "txt")


@click.command("figure", epilog=table())
@options.folder_argument("run_dir", shell_complete=completing.runs)
@click.argument("name", required=False, shell_complete=completing.figures)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="FILE.svg, FILE.png, or FILE.txt for the caption; SVG without an ending.  "
    "[default: NAME.svg]",
)
@options.force_option
def command(run_dir: Path, name: str | None, output: Path | None, force: bool) -> None:
    """Draw figure NAME of RUN_DIR, a run's or a sweep's; without NAME, list what there is.

    A file says by itself what it shows, of which scenario, and that it is a prediction; its caption
    is the text that a report has under it.
    """
    if name is None:
        put("".join(f"{key}\n" for key in figures.standing(run_dir)))
        return
    target = output or Path(f"{name}.svg")
    form = target.suffix.removeprefix(".") or "svg"
    if form not in _FORMATS:
        why = f"{target}: give a name that ends in .svg, .png or .txt"
        raise click.BadParameter(why, param_hint="-o")
    _draw(run_dir, name, target, form, force=force)
    put_paths([target])


def _draw(run_dir: Path, name: str, target: Path, form: str, *, force: bool) -> None:
    from reports.figures import alone
    from reports.store import files

    found = figures.standing(run_dir)
    if name not in found:
        raise click.BadParameter(f"{name!r} is none of {', '.join(found)}", param_hint="NAME")
    files.check(target, force=force)
    made = alone.files(name, found[name], (form,))
    if not made:
        raise files.ExportError(f"{run_dir} has nothing to show in the figure {name!r}")
    files.replace(target, *made.values())
