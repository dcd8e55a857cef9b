"""Slow loads: sums of latency, not counts, and each sample's own."""

from __future__ import annotations

import numpy as np

from analysis.decisions.kinds import kinds
from sim import laws
from sim.units import TICKS_PER_CYCLE as TICK
from tests.analysis.decisions.asked import LEVELS, LOAD, STORE, made, stream, visits


def test_a_rare_miss_outweighs_many_hits() -> None:
    """The load that misses has a tenth of the executions, and more of the stall time."""
    members = np.zeros((3, LEVELS), np.int64)
    members[0, 1], members[1, 4], members[2, 1] = 1000, 100, 5000
    tables = stream([LOAD, LOAD, STORE], [0, 4, 8], [0, 0, 0])
    hit, miss = (1, 5, laws.DRAWS, 5 * TICK), (LEVELS + 4, 30, laws.DRAWS, 300 * TICK)
    arm = made(
        "v6",
        tables,
        visits(members.reshape(-1), waits=[hit, miss]),
        [members.reshape(-1) // 100],
        waits=[[(1, 5, 10), (LEVELS + 4, 30, 1)]],
    )
    question = kinds()["slow-loads"].question(arm, "1")
    assert not isinstance(question, str)
    assert question.best_share == 30_000 / 35_000
    assert question.others == 5000
    seen = kinds()["slow-loads"].seen(arm, question, arm.runs[0])
    assert question.scores(seen).tolist() == [50, 300]
    assert question.quality(seen) == 1


def test_a_sample_counts_with_its_own_latency() -> None:
    """Two loads alike in the truth, a fourth of whose hits are slow: one was seen slow, and is
    taken for the slower one, though it was sampled less often."""
    members = np.zeros((2, LEVELS), np.int64)
    members[:, 1] = 1000
    tables = stream([LOAD, LOAD], [0, 4], [0, 0])
    rows = []
    for cell in (1, LEVELS + 1):
        rows += [(cell, 4, 3 * laws.DRAWS // 4, 4 * TICK), (cell, 20, laws.DRAWS // 4, 36 * TICK)]
    arm = made(
        "v6",
        tables,
        visits(members.reshape(-1), waits=rows),
        [members.reshape(-1) // 100],
        waits=[[(1, 4, 8), (LEVELS + 1, 4, 3), (LEVELS + 1, 20, 2)]],
    )
    question = kinds()["slow-loads"].question(arm, "1")
    assert not isinstance(question, str)
    assert question.truth.tolist() == [750, 250, 750, 250]
    assert question.scores(question.truth).tolist() == [12_000, 12_000]
    seen = kinds()["slow-loads"].seen(arm, question, arm.runs[0])
    assert question.scores(seen).tolist() == [32, 84]


def test_a_latency_filter_leaves_what_passes() -> None:
    """Of a truth that has what passes, only classes that pass have a share."""
    members = np.zeros((1, LEVELS), np.int64)
    members[0, 1] = 500
    rows = [(1, 10, laws.DRAWS // 16, 10 * TICK), (1, 20, laws.DRAWS // 16, 36 * TICK)]
    tables = stream([LOAD], [0], [0])
    arm = made("v6", tables, visits(members.reshape(-1), waits=rows), [members.reshape(-1)])
    question = kinds()["slow-loads"].question(arm, "1")
    assert not isinstance(question, str)
    assert question.truth.tolist() == [250, 250]


def test_no_load_is_no_question() -> None:
    """A filter for stores."""
    arm = made("v6", stream([STORE], [0], [0]), visits(np.ones(8)), [np.ones(8)])
    assert kinds()["slow-loads"].question(arm, "1") == "no load passes the filters"
