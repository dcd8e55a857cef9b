"""`speskew compare`: two runs, or two arms."""

from __future__ import annotations

import click

from reports.cli import completing, options
from reports.cli.output import put
from reports.exitcodes import table


@click.command("compare", epilog=table())
@click.argument("a", metavar="A", shell_complete=completing.runs)
@click.argument("b", metavar="B", shell_complete=completing.runs)
@options.form_option("table", "json", "md", "html")
@click.option("-v", "--verbose", is_flag=True, help="Every entry of the ledgers too.")
def command(a: str, b: str, form: str, verbose: bool) -> None:
    """Say what B has more of than A: loss, skew, time, memory, exits, records.

    A and B are run directories, or arms of them: RUN_DIR:arm. Of two directories every arm that
    both have is compared. `--format html > page.html` makes a page of its own.
    """
    from reports.runs import comparing

    found = comparing.compare(a, b, everything=verbose)
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
