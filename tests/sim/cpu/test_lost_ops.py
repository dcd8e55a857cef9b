"""Where lost ops lie: the same counts however they come, and none where nobody asks."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sim.cpu import lost_ops
from sim.cpu.lost_ops import LossCounter, NoCounter
from tests.sim.workload.recorded import OVERLAY, recorded


@pytest.mark.parametrize("packed", [2, 6, 1 << 11])
@pytest.mark.parametrize("at_once", [1, 5, 1 << 18])
def test_batches_change_nothing(at_once: int, packed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one, adjoining, in arrays whose memory is used again; asked for in between."""
    monkeypatch.setattr(lost_ops, "AT_ONCE", at_once)
    monkeypatch.setattr(lost_ops, "PACKED", packed)
    stream = recorded(OVERLAY, repeat=3)
    counter, r = LossCounter(stream), random.Random(3)
    expected = np.zeros(stream.statics * 8, np.int64)
    rows = np.empty((4, 2), np.int64)
    for _ in range(12):
        begin = r.randrange(stream.ops - 9_000)
        counter.add(begin, begin + 700)
        counter.add(begin + 700, begin + 1_000)
        stream.count(begin, begin + 1_000, expected)
        for row in rows:
            row[0] = r.randrange(stream.ops - 9_000)
            row[1] = row[0] + r.randrange(9_000)
            stream.count(int(row[0]), int(row[1]), expected)
        counter.add_all(rows)
        rows[:] = 0
        if r.random() < 0.3:
            assert (counter.counts() == expected).all()
    assert expected.any()
    assert (counter.counts() == expected).all()
    assert (counter.counts() == expected).all()


def test_not_asked_for_there_is_no_cell() -> None:
    """Zeros would look like an answer."""
    counter = NoCounter()
    counter.add(0, 1_000)
    counter.add_all(np.array([[0, 1_000]]))
    assert counter.counts().shape == (0,)
