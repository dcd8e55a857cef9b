"""Slow loads: sums of latency, not counts."""

from __future__ import annotations

import numpy as np

from analysis.decisions.kinds import kinds
from tests.analysis.decisions.asked import LEVELS, LOAD, STORE, made, stream, visits


def test_a_rare_miss_outweighs_many_hits() -> None:
    """The load that misses has a tenth of the executions, and more of the stall time."""
    members, cycles = np.zeros((3, LEVELS), np.int64), np.ones((3, LEVELS), np.int64)
    members[0, 1], members[1, 4], members[2, 1] = 1000, 100, 5000
    cycles[:, 1], cycles[:, 4] = 5, 300
    tables = stream([LOAD, LOAD, STORE], [0, 4, 8], [0, 0, 0])
    profile = members // 100
    arm = made(
        "v6",
        tables,
        visits(members.reshape(-1), cycles=cycles.reshape(-1)),
        [profile.reshape(-1)],
    )
    question = kinds()["slow-loads"].question(arm, "1")
    assert not isinstance(question, str)
    assert question.best_share == 30_000 / 35_000
    assert question.others == 5000
    seen = kinds()["slow-loads"].seen(arm, question, arm.runs[0])
    assert question.scores(seen).tolist() == [50, 300]
    assert question.quality(seen) == 1


def test_no_load_is_no_question() -> None:
    """A filter for stores."""
    arm = made("v6", stream([STORE], [0], [0]), visits(np.ones(8)), [np.ones(8)])
    assert kinds()["slow-loads"].question(arm, "1") == "no load passes the filters"
