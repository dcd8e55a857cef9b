"""Distances between histograms, against scipy and by hand."""

from __future__ import annotations

import math
import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.distributions import excess, histogram, ks, thinned, wasserstein

VALUES = st.lists(st.integers(-20, 20), min_size=1, max_size=40)


@given(VALUES, VALUES)
def test_distances_are_scipys(a: list[int], b: list[int]) -> None:
    """Both distances agree with scipy's on the raw values."""
    ours, theirs = histogram(np.array(a)), histogram(np.array(b))
    with warnings.catch_warnings():  # its p-value, which is not used, divides by zero
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = stats.ks_2samp(a, b, method="asymp").statistic
    assert ks(ours, theirs) == pytest.approx(expected)
    assert wasserstein(ours, theirs) == pytest.approx(stats.wasserstein_distance(a, b))


def test_empty_has_no_distance() -> None:
    """No records: NaN, not 0."""
    assert math.isnan(ks(Counter(), Counter({1: 2})))
    assert math.isnan(wasserstein(Counter({1: 2}), Counter()))


@given(VALUES, st.integers(1, 50), st.integers(0, 9))
def test_thinning_draws_from_what_is_there(values: list[int], n: int, key: int) -> None:
    """As many as asked or all, none more often than it was, the same ones for the same key."""
    whole = histogram(np.array(values))
    part = thinned(whole, n, key)
    assert part.total() == min(n, len(values))
    assert all(whole[value] >= count for value, count in part.items())
    assert part == thinned(whole, n, key)


def test_excess_of_an_arm_over_itself_is_zero() -> None:
    """The same histograms are exactly no further away than themselves."""
    rng = np.random.default_rng(1)
    arm = [histogram(rng.integers(0, 9, 50)) for _ in range(4)]
    assert excess(arm, arm, "ks") == [0.0] * 4
    assert excess(arm[:1], arm, "ks") == []
