"""Parquet: a column from its bytes is the column that Arrow itself would make."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.columns import COLUMNS
from analysis.tables import Table
from reports.store import parquet

CELLS: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(),
    "bool": st.booleans(),
    "double": st.floats(),
    **{
        f"{sign}int{bits}": st.integers(*ends)
        for bits in (8, 16, 32, 64)
        for sign, ends in (("u", (0, 2**bits - 1)), ("", (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)))
    },
}
EXAMPLE = {COLUMNS[name].dtype: name for name in sorted(COLUMNS) if COLUMNS[name].dtype in CELLS}
"""A column of each type that a table has."""


@pytest.mark.parametrize("dtype", sorted(EXAMPLE))
@given(data=st.data())
def test_a_column_is_arrows(dtype: str, data: st.DataObject) -> None:
    """Cells that are empty, or of any value of the type."""
    cells = data.draw(st.lists(st.none() | CELLS[dtype]))
    (found,) = parquet.arrow(Table({EXAMPLE[dtype]: cells})).columns
    found.validate(full=True)
    kind = pyarrow.type_for_alias(dtype)
    assert found.combine_chunks().equals(pyarrow.array(cells, kind, from_pandas=True))


@pytest.mark.parametrize("dtype", sorted(set(EXAMPLE) - {"string"}))
@given(data=st.data())
def test_an_array_is_a_column(dtype: str, data: st.DataObject) -> None:
    """A part of a larger array too, whose cells do not lie side by side."""
    kind = pyarrow.type_for_alias(dtype)
    cells = np.array(data.draw(st.lists(CELLS[dtype])), kind.to_pandas_dtype())
    (found,) = parquet.arrow(Table({EXAMPLE[dtype]: np.repeat(cells, 2)[::2]})).columns
    assert found.combine_chunks().equals(pyarrow.array(cells, kind, from_pandas=True))


@pytest.mark.parametrize("cells", [[1.5], [2**63], [-1], [math.nan], ["no"]])
def test_a_cell_of_another_type_is_refused(cells: list[object]) -> None:
    """Rather than rounded or wrapped."""
    with pytest.raises((ValueError, OverflowError)):
        parquet.arrow(Table({EXAMPLE["uint16"]: cells}))


def test_a_file_has_no_metadata_of_pandas(tmp_path: Path) -> None:
    """Only the dictionary's, per field."""
    parquet.write_parquet(Table({"arm": ["v6"]}), tmp_path / "x.parquet")
    schema = pyarrow.parquet.read_schema(tmp_path / "x.parquet")
    assert not schema.metadata
    assert schema.field("arm").metadata[b"meaning"].decode() == COLUMNS["arm"].meaning
