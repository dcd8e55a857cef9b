"""Student's t, chi-squared and log-gamma, against scipy and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from analysis.statistics.tails import (
    chi2_beyond,
    chi2_exceeded,
    log_gamma,
    t_cdf,
    t_cdfs,
    t_quantile,
)

CLOSE = 1e-12
DFS = (2, 3, 4, 5, 7, 9.3, 19, 39, 59, 79, 118.7, 119.99, 120, 121, 159, 319, 1000)
TIMES = np.concatenate([[0.0, 1e-8, 1e-3], np.geomspace(0.01, 100, 60)])
T = np.concatenate([-TIMES[::-1], TIMES])


def test_quantiles_are_of_the_tables() -> None:
    """Two table values of the t distribution, and its inverse."""
    assert t_quantile(0.975, 9) == pytest.approx(2.262157, abs=1e-6)
    assert t_quantile(0.95, 29) == pytest.approx(1.699127, abs=1e-6)
    assert t_cdf(t_quantile(0.8, 5), 5) == pytest.approx(0.8)


@pytest.mark.parametrize("df", DFS)
def test_t_is_scipys(df: float) -> None:
    """Both tails, relatively, one by one and at once; and quantiles far out."""
    expected = special.stdtr(df, T)
    assert t_cdfs(T, df) == pytest.approx(expected, rel=CLOSE)
    assert [t_cdf(float(t), df) for t in T] == pytest.approx(expected, rel=CLOSE)
    for p in (0.975, 0.8, 0.9875, 0.998437, 1e-9, 1 - 1e-9):
        assert t_quantile(p, df) == pytest.approx(special.stdtrit(df, p), rel=1e-8)


def test_t_is_the_closed_form() -> None:
    """One and two degrees of freedom, where scipy itself is off by up to 1e-9."""
    for t in map(float, T):
        cauchy = math.atan2(1, -t) / math.pi
        root = math.sqrt(2 + t * t)
        two = 1 / (root * (root - t)) if t < 0 else 0.5 * (1 + t / root)
        assert t_cdf(t, 1) == pytest.approx(cauchy, rel=CLOSE)
        assert t_cdf(t, 2) == pytest.approx(two, rel=CLOSE)


@given(st.floats(1e-12, 1 - 1e-12), st.floats(1, 1e4))
@settings(deadline=None)
def test_a_quantile_undoes_the_distribution(p: float, df: float) -> None:
    """For any probability and any degrees of freedom, whole or not; symmetric about zero."""
    assert t_cdf(t_quantile(p, df), df) == pytest.approx(p, rel=1e-10)
    assert t_quantile(0.25, df) == pytest.approx(-t_quantile(0.75, df), rel=CLOSE)


def test_the_ends_of_t() -> None:
    """Zero, infinity, and what is no number."""
    assert (t_cdf(0.0, 3), t_cdf(math.inf, 3), t_quantile(0.5, 3)) == (0.5, 1.0, 0.0)
    assert t_cdf(-math.inf, 3) < 1e-300
    assert (t_quantile(1.0, 3), t_quantile(0.0, 3)) == (math.inf, -math.inf)
    odd = [t_cdf(math.nan, 3), t_cdf(1.0, 0), t_quantile(1.5, 3), t_quantile(0.9, 0)]
    assert all(map(math.isnan, odd))
    found = t_cdfs(np.array([math.nan, 0.0, math.inf]), 3)
    assert math.isnan(found[0])
    assert found[1:].tolist() == [0.5, 1.0]


@pytest.mark.parametrize("df", [1, 2, 3, 8, 25, 104, 416, 3000])
def test_chi_squared_is_scipys(df: int) -> None:
    """The tail and its inverse, over the width of an interval and far beyond it."""
    for x in (0.0, 0.01, 0.5 * df, df, 1.5 * df, 3.0 * df):
        assert chi2_beyond(x, df) == pytest.approx(special.chdtrc(df, x), rel=1e-11)
    for p in (0.975, 0.5, 0.025, 1e-6):
        assert chi2_exceeded(df, p) == pytest.approx(special.chdtri(df, p), rel=CLOSE)


def test_log_gamma_is_scipys() -> None:
    """From a half to a million, one array at once."""
    x = np.concatenate([[0.5, 1.0, 2.0], np.geomspace(1, 1e6, 50)])
    assert log_gamma(x) == pytest.approx(special.gammaln(x), rel=CLOSE, abs=CLOSE)
