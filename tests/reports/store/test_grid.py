"""Cells of a sweep as a grid."""

from __future__ import annotations

import numpy as np
import pytest

from reports.results import sweep_result
from reports.store import grid
from tests.rigs.swept_result import EVIL, document, made

# --- the grid


def test_grid_of_a_result() -> None:
    """Axes of two levels or more in order; numbers in their places; NaN where a cell failed."""
    whole = grid.grid(made())
    assert [axis.name for axis in whole.axes] == ["driver.mode", "spe.interval"]
    assert [axis.at for axis in whole.axes] == [None, (1024.0, 4096.0, 16384.0)]
    got = whole.response(EVIL, "loss.total")
    assert got.mean == pytest.approx(np.array([[0, 1e-4, 1e-3], [1e-4, np.nan, 1e-2]]), nan_ok=True)
    assert got.error[0, 2] == pytest.approx(1e-4 / 3.182, rel=1e-3)  # t with 3 degrees of freedom
    assert np.isnan(whole.response(EVIL, "rlimit.exits_per_vcpu").mean).all()


def test_settings_that_only_some_cells_have() -> None:
    """Cases without a key stand at a level of their own."""
    result = document()
    for row in result["cells"][:2]:
        del row["settings"]["spe.interval"]
    axis = grid.grid(sweep_result.of_json(result)).axes[1]
    assert axis.levels[-1] == grid.DEFAULT
    assert axis.at is None
