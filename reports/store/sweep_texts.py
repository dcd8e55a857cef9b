"""A sweep's cells as they stand in its result.json and cells.csv, each made by itself.

These two files have every number of every cell, which nothing else of a sweep looks at: a cell is
text as soon as it has its result, in the process that has it, and kept deflated.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from reports.results import written
from reports.results.metric import Metric
from reports.results.sweep_result import CellResult, SweepResult

CELL_COLUMNS = ("arm", "metric", "mean", "low", "high", "n", "unit")
"""Of cells.csv, behind the cell and its settings."""
_NO_CELLS = '\n "cells": []'
"""In a result.json without cells, once: texts have no newline there."""
_DEPTH = 2
"""How far a cell is indented."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A cell in result.json and its lines of cells.csv, deflated."""

    json: bytes
    csv: bytes


def of(cell: CellResult, axes: Sequence[str]) -> Texts:
    """The texts of a cell of a sweep over these settings."""
    made = (written.inner(cell, _DEPTH), "".join(_lines(cell, axes)))
    return Texts(*(zlib.compress(text.encode(), 1) for text in made))


def as_json(result: SweepResult, cells: Iterable[Texts]) -> Iterator[bytes]:
    """The bytes of result.json, piece by piece; only `cells` has the numbers of the cells."""
    head, tail = written.text(replace(result, cells=())).split(_NO_CELLS)
    yield f'{head}\n "cells": ['.encode()
    for number, cell in enumerate(cells):
        yield b",\n  " if number else b"\n  "
        yield zlib.decompress(cell.json)
    yield f"\n ]{tail}".encode()


def as_csv(axes: Sequence[str], cells: Iterable[Texts]) -> Iterator[bytes]:
    """The bytes of cells.csv, piece by piece: a line per cell, arm and metric."""
    yield f"{_csv(('cell', *axes, *CELL_COLUMNS))}\n".encode()
    for cell in cells:
        yield zlib.decompress(cell.csv)


def cell_rows(result: SweepResult) -> Iterator[tuple[Any, ...]]:
    """A row per cell, arm and metric: its settings, then CELL_COLUMNS; "" where there is none."""
    axes = list(result.axes)
    for cell in result.cells:
        settings = [cell.settings.get(axis, "") for axis in axes]
        for arm, numbers in cell.arms.items():
            for name in sorted(numbers):
                yield (cell.id, *settings, arm, name, *_columns(numbers[name]))


def _lines(cell: CellResult, axes: Sequence[str]) -> Iterator[str]:
    """Of cells.csv. Metrics of equal values are one object, and one text."""
    settings = [_cell_text(cell.settings.get(axis, "")) for axis in axes]
    ends: dict[int, str] = {}
    for arm, numbers in cell.arms.items():
        begins = _csv((cell.id, *settings, arm))
        for name in sorted(numbers):
            value = numbers[name]
            end = ends.get(id(value))
            if end is None:
                end = ends[id(value)] = _csv(_columns(value))
            yield f"{begins},{_name(name)},{end}\n"


@cache
def _name(name: str) -> str:
    return _csv((name,))


def _csv(fields: Sequence[Any]) -> str:
    """A part of a line: its fields quoted as they must be."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(fields)
    return out.getvalue()


def _cell_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _columns(value: Metric | float) -> tuple[object, ...]:
    if not isinstance(value, Metric):
        return (value, "", "", "", "")
    mean, low, high = value.mean, value.low, value.high
    return (
        "" if mean is None else mean,
        "" if low is None else low,
        "" if high is None else high,
        value.n,
        value.unit,
    )
