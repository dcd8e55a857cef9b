"""A block of plain text for a mail to a list: what was predicted, and the command that does so.

At most 72 columns, as mailing lists want it; it says in its first line that nothing was measured.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from reports.pages import firstscreen
from reports.pages.firstscreen import Row
from reports.store.read import Source
from reports.text import printable
from sim.scenario.files import loader

COLUMNS = 72
_SHOWN = ("ops lost", "time added", "locked")


def render(source: Source) -> str:
    """The block, with an end of line."""
    result = source.result
    rows = firstscreen.rows(result, source.tables)
    version = source.versions.get("speskew", "")
    lines = [
        *_filled(f"speskew {version}, simulated, not measured: {printable(result.scenario)}"),
        *_filled(printable(result.question)),
        "",
    ]
    for row in rows:
        note = f" ({row.note})" if row.note else ""
        lines += _filled(f"{row.name}{note}: {row.answer}", "* ", "  ")
    lines += ["", *_table(rows), ""]
    margin = next(iter(result.arms.values())).skew.margin
    lines += _filled(
        f"Small ranges are those over times that nobody has published. {result.replications} "
        f"replications, seed {result.seed}; margin of a verdict {100 * margin:g} %."
    )
    lines += ["", "Made by:", *_command(source)]
    return "\n".join(lines) + "\n"


def _filled(text: str, first: str = "", others: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        COLUMNS,
        initial_indent=first,
        subsequent_indent=others,
        break_on_hyphens=False,
    )


def _table(rows: Sequence[Row]) -> Iterator[str]:
    """Name and numbers; a range stands on the line below its number."""
    name = min(24, max(len(row.name) for row in rows))
    width = (COLUMNS - 2 - name) // len(_SHOWN)
    yield "  " + " " * name + "".join(f"{column:>{width}}" for column in _SHOWN)
    for row in rows:
        cells = {cell.column: cell for cell in row.cells}
        shown = [cells[column] for column in _SHOWN]
        yield f"  {row.name[:name]:<{name}}" + "".join(f"{c.value:>{width}}" for c in shown)
        if any(c.band for c in shown):
            bands = "".join(f"{c.band.replace(' to ', '..'):>{width}}" for c in shown)
            yield f"  {'':<{name}}{bands}".rstrip()


def _command(source: Source) -> Iterator[str]:
    """A stock scenario by its name, where that is what ran; else the file, which is to be sent."""
    result = source.result
    path = loader.stock_folder() / f"{result.scenario}.yaml"
    if path.is_file():
        plain = loader.load(path)
        asked = loader.load(path, (), result.replications, result.seed)
        if loader.dump(asked) == source.resolved:
            more = "" if asked.seed == plain.seed else f" --seed {asked.seed}"
            if asked.replications != plain.replications:
                more += f" --replications {asked.replications}"
            yield f"  speskew run {result.scenario}{more}"
            return
    yield "  speskew run scenario.resolved.yaml    # of the run directory"
