"""The life of an event that can die."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.fidelity.dying import life
from sim.ledger import OpLabel
from sim.runs.batch import ArmResult
from tests.rigs.fakes import CLOCK_HZ, OPS, Plan, arm


def dying(alive: list[float], reader: str = "keeps_up") -> ArmResult:
    """One vCPU a replication, profiled for so much of the run; 1: to its end."""
    settings: dict[str, object] = {"driver": {"reader": {"kind": reader}}}
    made = arm(Plan(replications=len(alive), settings=settings))
    for run, part in zip(made.runs, alive, strict=True):
        run.vcpus[0].ledgers.ops.by_label[OpLabel.EVENT_DISABLED] = round((1 - part) * OPS)
    return made


def test_mean_life_is_time_over_deaths() -> None:
    """Three of four die; the fourth counts with its time."""
    found = life(dying([0.2, 0.5, 0.3, 1.0]))
    assert found is not None
    whole = 43 * OPS / (64 * CLOCK_HZ)
    assert (found.died, found.events) == (3, 4)
    assert found.mean == pytest.approx(2.0 * whole / 3)
    assert found.low < found.mean < found.high


def test_nothing_dies() -> None:
    """No event disabled; or a reader that enables it again."""
    assert life(dying([1.0, 1.0])) is None
    assert life(dying([0.2, 0.5], "process")) is None


@pytest.mark.parametrize("n", [2, 8])
def test_interval_holds_the_mean(n: int) -> None:
    """Exponential lives, runs of twice the mean: at least 93 % of 300 intervals, minus 4 SE."""
    rng = np.random.default_rng(n)
    mean, held, told = 0.5, 0, 0
    for _ in range(300):
        found = life(dying(list(np.minimum(rng.exponential(mean, n), 1.0))))
        if found is not None:
            told += 1
            at = mean * 43 * OPS / (64 * CLOCK_HZ)
            held += found.low <= at <= found.high
    assert held / told >= 0.93 - 4 * math.sqrt(0.93 * 0.07 / told)
