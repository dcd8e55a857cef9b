"""The replications that a verdict asks for: enough, and no more than that."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.statistics.intervals import t_quantile
from analysis.statistics.needed import POWER, replications
from analysis.statistics.verdicts import Status, tost

TRIALS = 500


@pytest.mark.parametrize(("sd", "margin"), [(1.5, 1.0), (0.4, 1.0), (3.0, 1.0)])
def test_they_decide_as_often_as_is_promised(sd: float, margin: float) -> None:
    """Of 500 trials with an effect of 0.2 at least 80 % minus 4 SE, and few with half as many."""
    n = replications(sd, margin - 0.2)
    assert n is not None
    rng = np.random.default_rng(12)

    def passed(size: int) -> float:
        rows = rng.normal(0.2, sd, (TRIALS, size))
        found = [tost(row, margin, unit="pp", what="x").status for row in rows]
        return found.count(Status.PASS) / TRIALS

    slack = 4 * (POWER * (1 - POWER) / TRIALS) ** 0.5
    assert passed(n) > POWER - slack
    assert n <= 4 or passed(n // 2) < POWER - slack / 2


def test_the_least_number_is_found() -> None:
    """One replication fewer would not do, though quantiles at few replications are large."""
    for sd in (0.2, 0.4, 0.5, 0.7, 1.0, 2.0):
        n = replications(sd, 0.8)
        assert n is not None
        half = [
            (t_quantile(0.95, k - 1) + t_quantile(POWER, k - 1)) * sd for k in (n, max(2, n - 1))
        ]
        assert half[0] <= 0.8 * n**0.5
        assert n == 2 or half[1] > 0.8 * (n - 1) ** 0.5


def test_noise_that_an_estimate_carries_asks_for_more() -> None:
    """And no number does where there is no room."""
    with_noise, plain = replications(1.0, 0.5, noise=1.0), replications(1.0, 0.5)
    assert with_noise is not None
    assert plain is not None
    assert with_noise > plain
    assert replications(1.0, 0.0) is None
    assert replications(1.0, 1e-4) is None
