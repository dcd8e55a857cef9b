"""Rows of the tables of data/ as classes."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args, get_type_hints

import pytest

from reports.store.csvdata import SHAPES, TableError
from reports.store.rows import ROWS, LedgerRow, PerturbationRow, Row, SymbolRow, by_arm, read
from tests.rigs.samples import described, tables


def test_every_table_has_its_class() -> None:
    """In the order of the tables, so that none is forgotten."""
    assert [kind.TABLE for kind in ROWS] == list(SHAPES)


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: str(kind.TABLE))
def test_fields_are_the_columns(kind: type[Row]) -> None:
    """A field is a column of the dictionary, in its order and of its type."""
    shape = SHAPES[kind.TABLE]
    assert [field.name for field in fields(kind)] == [column.name for column in shape]
    hints = get_type_hints(kind)
    for column in shape:
        kinds = set(get_args(hints[column.name])) - {type(None)} or {hints[column.name]}
        assert kinds == {column.type}, column.name


def test_rows_are_read_by_name() -> None:
    """Every arm has its ledgers; what an arm adds is of the others than the first."""
    made, result = tables(), described()
    assert list(by_arm(LedgerRow, made)) == list(result.arm_order)
    executed = [r.amount for r in read(LedgerRow, made) if r.entry == "executed"]
    assert executed == [a.ledger.ops["executed"] for a in result.arms.values()]
    assert result.arm_order[0] not in by_arm(PerturbationRow, made)


def test_an_empty_cell_that_means_nothing_is_an_error() -> None:
    """Which table, row and column; a cell that may be empty may be."""
    made = tables()
    table = made["symbols"]
    (arm, symbol, _, *rest), *others = table.rows
    damaged = replace(table, rows=((arm, symbol, None, *rest), *others))
    with pytest.raises(TableError, match=r"symbols\.csv: row 1: no truth_percent"):
        read(SymbolRow, {"symbols": damaged})
    fewer = replace(table, rows=((*table.rows[0][:-3], None, None, table.rows[0][-1]),))
    assert read(SymbolRow, {"symbols": fewer})[0].half_width == 0


def test_a_band_is_told_in_parts_of_what_it_is_added_to() -> None:
    """10 ms with 2 of them added is 8 ms and a quarter; no band is a band of no width."""
    row = PerturbationRow("v6", "all", 2.0, 1.0, 4.0, 10.0)
    assert row.shares() == (0.125, 0.25, 0.5)
    assert row.banded
    alone = replace(row, lowest_ms=None, highest_ms=None)
    assert alone.shares() == (0.25, 0.25, 0.25)
    assert not alone.banded
