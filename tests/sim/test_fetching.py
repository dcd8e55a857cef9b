"""Memory asked for ahead: it changes nothing, wherever it lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.draws import njit
from sim.fetching import fetch


@njit
def _summed(array: Any, rows: Any) -> Any:
    for row in rows:
        fetch(array, row)
    total = 0
    for row in rows:
        total += array[row]
    return total


@pytest.mark.parametrize("kind", [np.int64, np.uint64])
@pytest.mark.parametrize("array", [np.arange(5_000), np.arange(5_000, dtype=np.uint8)[::-3]])
def test_nothing_depends_on_it(array: NDArray[Any], kind: type[Any]) -> None:
    """Rows of any stride, named by signed and unsigned numbers; the array stays as it is."""
    before, rows = array.copy(), np.arange(0, array.size, 7).astype(kind)
    assert int(_summed(array, rows)) == int(array[rows].sum())
    assert (array == before).all()


def test_rows_that_are_not_there_do_no_harm() -> None:
    """A processor drops what it cannot fetch."""
    rows = np.array([-(1 << 40), -1, 100, 1 << 40])

    @njit
    def asked(array: Any, rows: Any) -> Any:
        for row in rows:
            fetch(array, row)
        return rows.size

    assert asked(np.zeros((100, 4)), rows) == 4


def test_uncompiled_it_does_nothing() -> None:
    """As compiled code runs without numba's compiler."""
    assert fetch(np.zeros(1), 5) is None  # type: ignore[func-returns-value]
