"""Places in the stream, as the kernel finds them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from sim.draws import njit
from sim.workload import places
from sim.workload.arrays import PLACE_MASK, POP
from tests.entered import entered
from tests.sim.workload.recorded import OVERLAY, recorded

_places_of = entered(places.places_of)


@njit
def _divide(x: Any, n: Any) -> Any:
    return places.divide(x, n)


@pytest.mark.parametrize("gap", [3, 700, 90_000, 5_000_000])
@pytest.mark.parametrize("micro_ops", [False, True])
def test_kernel_places_are_the_streams(gap: int, micro_ops: bool) -> None:
    """Any spacing of candidates, across segments, iterations and passes, and past the end."""
    stream = recorded(OVERLAY, micro_ops=micro_ops, exclude=False, repeat=30)
    r = random.Random(gap)
    start = stream.size(POP) - 200 * gap if gap < 90_000 else 0
    cand = np.cumsum([start, *(r.randrange(1, 2 * gap) for _ in range(255))])
    ops, tick, place = (np.zeros(cand.size, np.int64) for _ in range(3))
    base, spare = np.zeros(4, np.int64), np.zeros(cand.size, np.int64)
    end = stream.size(POP)
    _places_of(stream.arrays, end, base, spare, cand, ops, tick, place, cand.size)
    for j, rank in enumerate(cand.tolist()):
        if rank >= stream.size(POP):
            assert (ops[j], tick[j], place[j]) == (-1, places.FOREVER, 0)
            continue
        expected = stream.seek(POP, rank)
        found = (int(place[j] & PLACE_MASK) >> 8, int(place[j]) & 255)
        assert (ops[j], tick[j]) == (expected.op, expected.tick)
        assert found == (expected.static, expected.level)


def test_division_is_exact() -> None:
    """The kernel's floating-point division, at the edges of quotients and near 2^62."""
    r = random.Random(5)
    for _ in range(20_000):
        n = r.randrange(1, 1 << r.randrange(1, 62))
        q = r.randrange(0, ((1 << 62) - 1) // n + 1)
        for x in (q * n - 1, q * n, q * n + 1, q * n + n - 1):
            if 0 <= x < 1 << 62:
                assert _divide(x, n) == x // n
