"""The index as it is built: its directory finds what bisection finds."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sim.workload.arrays import OP, POP, index_of, read_only
from sim.workload.build import index_rows
from tests.sim.workload.recorded import recorded


@pytest.mark.parametrize("blocks", ["even", "skewed"])
def test_directory_finds_what_bisection_finds(blocks: str) -> None:
    """A look-up from any hint ends at the last entry that starts at or before the rank."""
    sizes = [5, 5] if blocks == "even" else [1, 4000]
    ids = np.repeat(np.array([0, 1, 0, 0], np.uint32), 3000)
    extent = np.zeros((2, 4), np.int64)
    extent[:, OP] = extent[:, POP] = sizes
    rows, whole = index_rows(ids, extent, np.ones(ids.size, np.uint32))
    arrays = recorded().arrays._replace(index_at=read_only(rows))
    r = random.Random(3)
    for _ in range(3000):
        rest = r.randrange(int(whole[POP]))
        expected = int(np.searchsorted(rows[:, POP], rest, side="right")) - 1
        hint = r.choice([-1, 0, expected, r.randrange(rows.shape[0])])
        assert index_of(arrays, POP, rest, hint) == expected
