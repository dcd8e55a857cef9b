"""Tables: named columns, what an analysis gives and a file or a pandas frame is made of.

A run writes its tables without pandas, which is slow to import; who wants a frame asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Cells = Sequence[Any] | npt.NDArray[Any]
"""The cells of a column; one that is empty is None, or NaN among floats."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length, in their order."""

    columns: Mapping[str, Cells]

    def __post_init__(self) -> None:
        lengths = {len(cells) for cells in self.columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns of {sorted(lengths)} cells are no table")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def rows(self) -> Iterable[tuple[Any, ...]]:
        """Its rows, cells as they are."""
        return zip(*self.columns.values(), strict=True)

    def frame(self) -> pd.DataFrame:
        """As a frame of pandas, whose types pandas infers."""
        import pandas as pd

        return pd.DataFrame(dict(self.columns))


def of_rows(rows: Iterable[tuple[Any, ...]], names: Sequence[str]) -> Table:
    """Rows as columns of these names; a row of another length is a ValueError."""
    listed = list(rows)
    cells = list(zip(*listed, strict=True)) if listed else [()] * len(names)
    return Table(dict(zip(names, cells, strict=True)))


def concat(parts: Sequence[Table], names: Sequence[str]) -> Table:
    """Tables of these columns one under the other; none is a table without rows."""
    return Table({name: _joined([part.columns[name] for part in parts]) for name in names})


def _joined(parts: Sequence[Cells]) -> Cells:
    if parts and all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return [cell for part in parts for cell in part]
