"""Tables: rows in, columns out, and back."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.tables import Table, concat, of_rows

NAMES = ("arm", "n")


def test_rows_come_back() -> None:
    """In their order, under their names; as a frame too."""
    table = of_rows(iter([("v6", 1), ("v7", None)]), NAMES)
    assert list(table.columns) == list(NAMES)
    assert list(table.rows()) == [("v6", 1), ("v7", None)]
    assert len(table) == len(table.frame()) == 2
    assert table.frame()["arm"].tolist() == ["v6", "v7"]


def test_no_rows_are_a_table() -> None:
    """With its columns, which a file has too."""
    for empty in (of_rows([], NAMES), concat([], NAMES)):
        assert list(empty.columns) == list(NAMES)
        assert len(empty) == 0
        assert list(empty.rows()) == []
        assert empty.frame().columns.tolist() == list(NAMES)


def test_a_row_too_short_is_no_row() -> None:
    """Nor are columns of two lengths columns of a table."""
    with pytest.raises(ValueError, match="shorter"):
        of_rows([("v6", 1), ("v7",)], NAMES)
    with pytest.raises(ValueError, match=r"\[1, 2\]"):
        Table({"arm": ["v6"], "n": [1, 2]})


def test_concat_keeps_numbers_numbers() -> None:
    """Arrays stay an array; an array and a list become a list."""
    arrays = [Table({"arm": ["v6"], "n": np.array([k])}) for k in (1, 2)]
    whole = concat(arrays, NAMES)
    assert isinstance(whole.columns["n"], np.ndarray)
    assert list(whole.rows()) == [("v6", 1), ("v6", 2)]
    mixed = concat([arrays[0], of_rows([("v7", None)], NAMES)], NAMES)
    assert list(mixed.rows()) == [("v6", 1), ("v7", None)]
