"""`speskew compare`: two runs, or two arms."""

from __future__ import annotations

from pathlib import Path

import click

from reports.cli import completing, options
from reports.cli.output import put, say
from reports.exitcodes import table


@click.command("compare", epilog=table())
@click.argument("a", metavar="A", shell_complete=completing.runs)
@click.argument("b", metavar="B", shell_complete=completing.runs)
@options.form_option("table", "json", "md", "html")
@click.option(
    "--margin",
    type=click.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    metavar="PERCENT",
    help="A difference that does not matter: of A; points of what is in percent.",
)
@click.option(
    "--figures",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also write the figure of each pair there, as PNG and SVG, and its caption, *.txt.",
)
@click.option("-v", "--verbose", is_flag=True, help="Every entry of the ledgers too.")
def command(a: str, b: str, form: str, margin: float, figures: Path | None, verbose: bool) -> None:
    """Say what B has more of than A: loss, skew, time, memory, exits, records.

    Each difference has its interval and one of three answers: it differs by so much, it is the same
    within a margin, or that cannot be told.

    A and B are run directories, or arms of them: RUN_DIR:arm. Of two directories every arm that
    both have is compared. `--format html > page.html` makes a page of its own.
    """
    from reports.runs import comparing

    found = comparing.compare(a, b, everything=verbose, margin=margin / 100)
    if figures is not None:
        from reports.runs import compare_page
        from reports.store.files import check_writable

        check_writable(figures / "compare-1.svg")
        for path in compare_page.write_figures(found, figures):
            say(str(path))
    if form == "html":
        from reports.runs import compare_page  # and matplotlib, which the others do not need

        put(compare_page.page(found))
        return
    formats = {
        "table": comparing.as_table,
        "json": comparing.as_json,
        "md": comparing.as_markdown,
    }
    put(formats[form](found))
