"""Student's t, chi-squared and log-gamma: what an analysis needs of scipy.

Importing `scipy.special` takes longer than all analysis of a short run. Both distributions are
continued fractions or series of incomplete integrals (DLMF 8.9.2, 8.7.1 and 8.17.22); the tests
hold them to scipy's, relatively within 1e-12, in the tails too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]
_EPS = 1e-15
_TINY = 1e-300
_LARGE = 1e150
"""A t beyond which nothing changes; its square is finite."""
_STEPS = 200
"""Newton's, at most: far out in a heavy tail each one doubles t."""
_SERIES = (1, -1 / 8, 1 / 128, 5 / 1024, -21 / 32768, -399 / 262144, 869 / 4194304)
"""Of Γ(a + ½) / Γ(a) / √a in powers of 1/a, which is 1e-15 exact from a = 60 on."""


# --- Student's t -------------------------------------------------------------------------------


def t_cdf(t: float, df: float) -> float:
    """Distribution function of Student's t with `df` degrees of freedom."""
    if math.isnan(t) or not df > 0:
        return math.nan
    beyond = _beyond(min(abs(t), _LARGE), df)
    return beyond if t < 0 else 1 - beyond


def t_cdfs(t: F64, df: float) -> F64:
    """The same of many [k] at once."""
    far = np.minimum(np.abs(t), _LARGE)
    squared = far * far / df
    a = df / 2
    front = _front(a) * np.exp(-a * np.log1p(squared)) * np.sqrt(squared / (1 + squared))
    x = 1 / (1 + squared)
    small = x < _border(a)
    beyond = np.full(far.shape, np.nan)
    beyond[small] = front[small] * _beta(x[small], a, 0.5, _all_settled) / df
    rest = ~(small | np.isnan(far))
    other = squared[rest] / (1 + squared[rest])
    beyond[rest] = 0.5 - front[rest] * _beta(other, 0.5, a, _all_settled)
    return np.asarray(np.where(t < 0, beyond, 1 - beyond))


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t with `df` degrees of freedom."""
    beyond = min(probability, 1 - probability)
    if not beyond > 0 or not df > 0:
        return math.copysign(math.inf, probability - 0.5) if beyond == 0 and df > 0 else math.nan
    t, a = abs(NormalDist().inv_cdf(beyond)), df / 2
    scale = _front(a) / math.sqrt(df)
    for _ in range(_STEPS):  # from below, where the tail is convex: no step goes too far
        density = scale * math.exp(-(a + 0.5) * math.log1p(t * t / df))
        step = (_beyond(t, df) - beyond) / density
        t += step
        if step <= _EPS * t:
            break
    return t if probability >= 0.5 else -t


def _beyond(t: float, df: float) -> float:
    """How probable more than `t` ≥ 0 is."""
    squared, a = t * t / df, df / 2
    front = _front(a) * math.exp(-a * math.log1p(squared)) * math.sqrt(squared / (1 + squared))
    x = 1 / (1 + squared)
    if x < _border(a):
        return front * float(_beta(x, a, 0.5, _settled)) / df
    return 0.5 - front * float(_beta(squared / (1 + squared), 0.5, a, _settled))


def _border(a: float) -> float:
    """x below which the fraction of I_x(a, ½) converges at once; beyond it that of 1 - x does."""
    return (a + 1) / (a + 2.5)


def _front(a: float) -> float:
    """1 / B(a, ½)."""
    if a < 60:
        ratio = math.gamma(a + 0.5) / math.gamma(a)
    else:
        ratio = math.sqrt(a) * math.fsum(term / a**k for k, term in enumerate(_SERIES))
    return ratio / math.sqrt(math.pi)


def _beta(x: Any, a: float, b: float, settled: Callable[[Any], bool]) -> Any:
    """The continued fraction of I_x(a, b), by which x^a (1 - x)^b / (a B) is multiplied."""
    found, above, below = 1.0 + 0 * x, 1.0 + 0 * x, 0 * x
    for numerator in _numerators(a, b):
        below = 1 / (1 + numerator * x * below)
        above = 1 + numerator * x / above
        change = above * below
        found = found * change
        if settled(change):
            return 1 / found
    raise AssertionError("without end")


def _numerators(a: float, b: float) -> Iterator[float]:
    for m in count():
        if m:
            yield m * (b - m) / ((a + 2 * m - 1) * (a + 2 * m))
        yield -(a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1))


def _settled(change: float) -> bool:
    return abs(change - 1) <= _EPS


def _all_settled(change: F64) -> bool:
    return bool((np.abs(change - 1) <= _EPS).all())


# --- chi-squared -------------------------------------------------------------------------------


def chi2_beyond(x: float, df: float) -> float:
    """How probable more than `x` ≥ 0 is, of chi-squared with `df` degrees of freedom."""
    a, half = df / 2, x / 2
    if half <= 0:
        return 1.0
    front = math.exp(a * math.log(half) - half - math.lgamma(a))
    if half < a + 1:
        term = total = 1 / a
        for n in count(1):
            term *= half / (a + n)
            total += term
            if term <= _EPS * total:
                return 1 - front * total
    above, below = 1 / _TINY, 1 / (half + 1 - a)
    found = below
    for n in count(1):
        numerator, denominator = n * (a - n), half + 2 * n + 1 - a
        below = 1 / (denominator + numerator * below)
        above = denominator + numerator / above
        found *= above * below
        if _settled(above * below):
            break
    return front * found


def chi2_exceeded(df: float, probability: float) -> float:
    """What chi-squared with `df` degrees of freedom exceeds with a `probability` in (0, 1)."""
    low, high = 0.0, df + 1
    while chi2_beyond(high, df) > probability:
        low, high = high, 2 * high
    x, a = (low + high) / 2, df / 2
    for _ in range(_STEPS):
        off = chi2_beyond(x, df) - probability
        low, high = (x, high) if off > 0 else (low, x)
        density = math.exp((a - 1) * math.log(x / 2) - x / 2 - math.lgamma(a)) / 2
        step = off / density if density > 0 else math.inf
        new = x + step if low < x + step < high else (low + high) / 2
        if abs(new - x) <= _EPS * new:
            break
        x = new
    return x


# --- log-gamma ---------------------------------------------------------------------------------

_LOG_GAMMA = np.frompyfunc(math.lgamma, 1, 1)


def log_gamma(x: ArrayLike) -> F64:
    """log Γ of each of `x` [k] > 0, or of one."""
    return np.asarray(_LOG_GAMMA(x), np.float64)
