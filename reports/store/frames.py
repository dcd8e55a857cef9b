"""Tables of a run as pandas frames: the columns of the dictionary, with its types.

Equal whether the run is in memory or was read from its directory. Integers that may be missing
(no limit: `limit_bytes`) are pandas' `Int64`, all other numbers are numpy's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet

from analysis import tables
from analysis.columns import COLUMNS, TABLES
from reports.store import parquet
from reports.store.csvdata import Table

OPTIONAL = frozenset({"limit_bytes", "bytes"})
"""Columns of integers in which an empty cell has a meaning."""
_DTYPES = {"string": "str", "double": "float64"}
"""Of Arrow's type names, those that are not numpy's."""


def dtype(name: str) -> str:
    """The pandas dtype of a column."""
    arrow = COLUMNS[name].dtype
    return "Int64" if name in OPTIONAL else _DTYPES.get(arrow, arrow)


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose columns have the types of the dictionary."""
    return frame.astype({name: dtype(name) for name in frame.columns})


def of_table(table: Table) -> pd.DataFrame:
    """A table of data/."""
    return typed(pd.DataFrame(list(table.rows), columns=[c.name for c in table.columns]))


def of_arrow(table: Any) -> pd.DataFrame:
    """A table of a Parquet file."""
    return typed(table.to_pandas(integer_object_nulls=True))


def of_parquet(path: Path) -> pd.DataFrame:
    """A Parquet file of a run directory."""

    with path.open("rb") as file:
        return of_arrow(pyarrow.parquet.read_table(file, columns=list(TABLES[path.name])))


def of_made(table: tables.Table) -> pd.DataFrame:
    """A table of Parquet as it would be read back from its file."""
    return of_arrow(parquet.arrow(table))
