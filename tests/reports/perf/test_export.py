"""What an export is made of: transactions, switches, nanoseconds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import rerunning
from reports.perf import export, writer
from sim.ledger import LawBrokenError


def test_transactions_must_hold_what_was_delivered(synthetic: Path) -> None:
    """An AUX transaction too few is a broken law, not a smaller file."""
    found = rerunning.rerun(synthetic, "baremetal", 0)
    chunks = list(export.chunks(found, 0))
    assert sum(chunk.records for chunk in chunks) == found.total > 100
    assert [c.offset + c.size for c in chunks[:-1]] == [c.offset for c in chunks[1:]]
    found.run.vcpus[0].ledgers.delivery.delivered += 1
    with pytest.raises(LawBrokenError, match="delivered records"):
        list(export.chunks(found, 0))


@given(
    st.lists(st.integers(0, 1 << 58), min_size=1, max_size=20),
    st.sampled_from([64 * 3 * 10**9, 64 * 2_500_000_000, 64 * 2_333_333_333, 64 * 10**6]),
)
def test_nanoseconds_are_exact(ticks: list[int], per_second: int) -> None:
    """Floor of the exact quotient, at any clock, up to a century."""
    found = rerunning.nanoseconds(np.array(ticks, np.int64), per_second)
    assert found.tolist() == [Fraction(t * 10**9, per_second).__floor__() for t in ticks]


def test_switches_come_from_the_log() -> None:
    """In when the stream runs, out at a switch; other interruptions are none."""
    log = [
        (0, "RUN", 0),
        (5, "PMBIRQ", 1),
        (6, "RUN", 1),
        (9, "SWITCH", 2),
        (12, "RUN", 2),
        (20, "END", 3),
    ]
    found = list(writer.switches(log, 1, 7, lambda t: 10 * t))
    assert found == [(0, 1, 7, True), (90, 1, 7, False), (120, 1, 7, True)]
