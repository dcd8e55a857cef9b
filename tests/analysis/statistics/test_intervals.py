"""Means, intervals, and the words that stand in for an interval."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.statistics.intervals import SHARE, Metric, metric, t_interval


def test_interval_covers_as_often_as_it_says() -> None:
    """Coverage of 95 % t-intervals of 6 normals: 4,000 trials, 4 standard errors."""
    rng = np.random.default_rng(1)
    hit = 0
    for row in rng.normal(size=(4000, 6)):
        low, high = t_interval(row)
        hit += low < 0 < high
    assert abs(hit / 4000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


def test_no_variance_is_exact() -> None:
    """Equal replications get the word, not an interval of width zero."""
    found = metric([0.25] * 5, "fraction")
    assert (found.mean, found.ci95, found.n) == (0.25, "exact", 5)


def test_one_replication_has_no_interval() -> None:
    """n = 1 is neither exact nor an interval."""
    assert metric([3.0], "ms") == Metric(3.0, None, 1, "ms")


def test_missing_values_do_not_count() -> None:
    """NaN marks a replication without a value; nothing at all gives no mean."""
    assert metric([1.0, math.nan, 3.0], "x").n == 2
    assert metric([math.nan], "x").mean is None


def test_interval_of_a_fraction_stays_in_it() -> None:
    """A skewed fraction has no negative lower end; the mean is untouched."""
    found = metric([0.0, 0.0, 0.9], "fraction", SHARE)
    assert found.ci95 == (0.0, 1.0)
    assert found.mean == pytest.approx(0.3)


@pytest.mark.parametrize("n", [2, 65])
def test_what_is_remembered_is_told_apart(n: int) -> None:
    """Equal values in another unit, within other bounds, or of another sign are another metric."""
    values = [0.0, 0.9] * n
    assert metric(values, "x") == metric(tuple(values), "x")
    assert metric(values, "y").unit == "y"
    assert metric(values, "x", (0.4, 0.5)).ends() == (0.4, 0.5)
    signs = [math.copysign(1, metric([zero] * n, "x").value) for zero in (0.0, -0.0)]
    assert signs == [1, -1]
