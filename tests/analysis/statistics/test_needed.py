"""The replications that a verdict asks for: enough, and no more than that."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.statistics.answers import Kind, answer
from analysis.statistics.intervals import t_interval
from analysis.statistics.needed import POWER, of_interval, replications
from analysis.statistics.tails import t_quantile

TRIALS = 500


@pytest.mark.parametrize(("sd", "margin"), [(1.5, 1.0), (0.4, 1.0), (3.0, 1.0)])
def test_they_decide_as_often_as_is_promised(sd: float, margin: float) -> None:
    """Of 500 trials with an effect of 0.2 at least 80 % minus 4 SE, and fewer with half as many."""
    n = replications(sd, margin - 0.2, alpha=0.025)
    assert n is not None
    rng = np.random.default_rng(12)

    def passed(size: int) -> float:
        rows = rng.normal(0.2, sd, (TRIALS, size))
        found = [answer(float(r.mean()), t_interval(r), margin, n=size).kind for r in rows]
        return found.count(Kind.SAME) / TRIALS

    slack = 4 * (POWER * (1 - POWER) / TRIALS) ** 0.5
    assert passed(n) > POWER - slack
    assert n <= 4 or passed(n // 2) < POWER - slack / 2


def test_intervals_and_spreads_ask_for_the_same() -> None:
    """What an answer says and what a check says of the same numbers."""
    rng = np.random.default_rng(13)
    row = rng.normal(0.2, 2.0, 12)
    mean, sd = float(row.mean()), float(row.std(ddof=1))
    found = of_interval(mean, *t_interval(row), 1.0, 12)
    assert found == replications(sd, 1.0 - abs(mean), alpha=0.025, at_least=13)
    assert of_interval(0.0, 0.0, 1.0, 0.5, 1) is None


def test_the_least_number_is_found() -> None:
    """One replication fewer would not do, though quantiles at few replications are large."""
    for sd in (0.2, 0.4, 0.5, 0.7, 1.0, 2.0):
        n = replications(sd, 0.8)
        assert n is not None
        half = [(t_quantile(0.95, k - 1) + t_quantile(POWER, k - 1)) * sd for k in (n, n - 1 or 1)]
        assert half[0] <= 0.8 * n**0.5
        assert n == 2 or half[1] > 0.8 * (n - 1) ** 0.5


def test_no_room_and_no_practical_number() -> None:
    """On the edge, and far too close to it."""
    assert replications(1.0, 0.0) is None
    assert replications(1.0, 1e-4) is None
