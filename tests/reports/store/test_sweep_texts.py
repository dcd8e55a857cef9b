"""Cells as texts: put together they are the files that the whole result would be."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace

from reports.results import sweep_result, written
from reports.results.sweep_result import CellResult
from reports.store import sweep_texts
from reports.store.sweep_texts import CELL_COLUMNS
from tests.rigs.swept_result import document


def as_csv(cells: Sequence[CellResult], axes: Sequence[str]) -> list[list[str]]:
    """What a reader of cells.csv finds."""
    made = [sweep_texts.of(cell, axes) for cell in cells]
    text = b"".join(sweep_texts.as_csv(axes, made)).decode()
    return list(csv.reader(io.StringIO(text)))


def test_json_is_that_of_the_whole_result() -> None:
    """Byte by byte, failed cells too, whatever a text in the result says; also of no cells."""
    result = replace(sweep_result.of_json(document()), question='why\n "cells": []?')
    cells = [sweep_texts.of(cell, list(result.axes)) for cell in result.cells]
    numberless = replace(result, cells=tuple(replace(cell, arms={}) for cell in result.cells))
    assert b"".join(sweep_texts.as_json(numberless, cells)).decode() == written.text(result)
    one = replace(result, cells=result.cells[:1])
    assert b"".join(sweep_texts.as_json(one, cells[:1])).decode() == written.text(one)


def test_csv_has_a_line_per_cell_arm_and_metric() -> None:
    """Settings that a cell does not have are empty; what is no text stands as JSON has it."""
    read = sweep_result.of_json(document())
    axes = [*read.axes, "some.list"]
    cells = [replace(c, settings={**c.settings, "some.list": [1, "a"]}) for c in read.cells[:1]]
    cells += read.cells[1:]
    text = b"".join(
        sweep_texts.as_csv(axes, [sweep_texts.of(cell, axes) for cell in cells])
    ).decode()
    head, *lines = csv.reader(io.StringIO(text))
    assert head == ["cell", *axes, *CELL_COLUMNS]
    assert len(lines) == sum(len(numbers) for c in cells for numbers in c.arms.values())
    assert list(dict.fromkeys(line[0] for line in lines)) == [c.id for c in cells if c.arms]
    at = head.index("some.list")
    assert {line[at] for line in lines} == {json.dumps([1, "a"]), ""}


def test_rows_are_as_the_csv_has_them() -> None:
    """The same columns, values as they are; a comma or a quote in a name is no end of it."""
    read = sweep_result.of_json(document())
    numbers = {'a,"b': 1, "": 2.5, **read.cells[0].arms["baremetal"]}
    first = replace(read.cells[0], arms={'x,"y': numbers, "": numbers})
    result = replace(read, cells=(first, *read.cells[1:]))
    axes = list(result.axes)
    rows = list(sweep_texts.cell_rows(result))
    text = b"".join(
        sweep_texts.as_csv(axes, [sweep_texts.of(cell, axes) for cell in result.cells])
    ).decode()
    lines = list(csv.reader(io.StringIO(text)))[1:]
    assert [[str(value) for value in row] for row in rows] == lines
