"""Sharing: the lines that a peer gives most often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.decisions.kinds import kinds
from sim.runs.batch import ArmResult
from sim.scenario.models.workloads import Threads
from tests.analysis.decisions.asked import LEVELS, LOAD, made, stream, visits

KIND = kinds()["sharing"]
TABLES = replace(stream([LOAD], [0], [0]), lengths=(1000, 900))


def members() -> np.ndarray:
    """Loads that hit, and loads that a peer gave."""
    found = np.zeros(LEVELS, np.int64)
    found[1], found[6] = 900, 100
    return found


def test_the_line_that_a_peer_gives_most() -> None:
    """Worth are a line's loads from a peer; lines of samples that are no line are none."""
    truth = visits(members(), lines=[[16, 70], [17, 20], [40, 10]])
    lines = [[[16, 2], [17, 3], [99, 9]]]
    arm = made("v6", TABLES, truth, [np.ones(LEVELS)], lines=lines)
    question = KIND.question(arm, "1")
    assert not isinstance(question, str)
    assert question.best_share == 0.7
    assert question.others == 900
    seen = KIND.seen(arm, question, arm.runs[0])
    assert seen.tolist() == [2, 3, 0]
    assert question.quality(seen) == 20 / 70
    assert question.quality(np.array([3, 2, 0])) == 1


def cpu(core: str, found: ArmResult) -> ArmResult:
    """The arm on another core."""
    settings = found.arm.settings
    other = settings.cpu.model_copy(update={"core": core})
    given = settings.model_copy(update={"cpu": other})
    return replace(found, arm=found.arm.model_copy(update={"settings": given}))


def test_no_question() -> None:
    """One stream shares nothing; threads that share less than two lines leave no choice."""
    alone = made("v6", stream([LOAD], [0], [0]), visits(members()), [np.ones(LEVELS)])
    assert "no memory is shared" in str(KIND.question(alone, "10"))
    threads = Threads(kind="threads", path="one.threads.json", repeat=1)
    given = alone.arm.settings.model_copy(update={"workload": threads})
    one = replace(alone, arm=alone.arm.model_copy(update={"settings": given}))
    assert "one thread: there is none to share memory with" in str(KIND.question(one, "10"))
    kunpeng = cpu("kunpeng-920", made("v6", TABLES, visits(members()), [np.ones(LEVELS)]))
    assert "do not say who gave" in str(KIND.question(kunpeng, "10"))
    one = made("v6", TABLES, visits(members(), lines=[[16, 70]]), [np.ones(LEVELS)])
    assert "fewer than two cache lines" in str(KIND.question(one, "10"))
