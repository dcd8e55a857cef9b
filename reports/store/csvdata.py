"""Tables as CSV: what a figure is drawn from, and what a reader takes home.

A figure is drawn from its table and from nothing else, so that the CSV is what one sees, and a
page can be built again from a run directory. Text comes from other people's programs: a cell that a
spreadsheet would take for a formula gets an apostrophe in front, which reading takes away again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis.columns import COLUMNS, DATA_TABLES
from sim.errors import SpeskewError

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""What spreadsheets evaluate (OWASP, CSV injection), and our own apostrophe."""
Cell = str | int | float | bool | None


class TableError(SpeskewError, ValueError):
    """A CSV file is not the table that was expected."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, with its unit, and the type of its cells; an empty cell is None."""

    name: str
    type: type[str] | type[int] | type[float] | type[bool]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(FORMULA_STARTS) else text


def _unguarded(text: str) -> str:
    return text[1:] if text[:1] == "'" else text


def dumps(table: Table) -> str:
    """CSV with a head line and Unix line ends; numbers in the shortest form that reads back.

    Text is always in quotes: only they hold a carriage return whatever the line ends are.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([c.name for c in table.columns])
    for row in table.rows:
        writer.writerow([_written(cell) for cell in row])
    return out.getvalue()


def _written(cell: Cell) -> Cell:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return guarded(cell) if isinstance(cell, str) else cell


_READERS: dict[type, Callable[[str], Cell]] = {
    str: _unguarded,
    int: int,
    float: float,
    bool: {"yes": True, "no": False}.__getitem__,
}


def loads(name: str, shape: Sequence[Column], text: str) -> Table:
    """The table that `dumps` wrote; raises TableError with the line that does not fit."""
    reader = csv.reader(io.StringIO(text, newline=""))
    head = next(reader, [])
    wanted = [c.name for c in shape]
    if head != wanted:
        raise TableError(f"{name}.csv:1: columns are {', '.join(head)}; need {', '.join(wanted)}")
    rows = []
    for cells in reader:
        try:
            pairs = zip(shape, cells, strict=True)
            rows.append(tuple(_read(column, cell) for column, cell in pairs))
        except (ValueError, KeyError) as error:
            raise TableError(f"{name}.csv:{reader.line_num}: cannot read this row") from error
    return Table(name, tuple(shape), tuple(rows))


def _read(column: Column, cell: str) -> Cell:
    if cell == "" and column.type is not str:
        return None
    return _READERS[column.type](cell)


_TYPES: dict[str, type[str] | type[int] | type[float] | type[bool]] = {
    "string": str,
    "double": float,
    "bool": bool,
}


def _shape(names: Sequence[str]) -> tuple[Column, ...]:
    """Columns by the dictionary; integers of any width are int."""
    return tuple(Column(name, _TYPES.get(COLUMNS[name].dtype, int)) for name in names)


SHAPES = {
    file.removeprefix("data/").removesuffix(".csv"): _shape(names)
    for file, names in DATA_TABLES.items()
}
"""Columns of each table."""
