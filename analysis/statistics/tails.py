"""Student's t, chi-squared and log-gamma: the one door to `scipy.special`.

It is imported when the first number is asked for: a command that prints none does without, and a
quarter of a second sooner. The plain functions of `special` are a tenth of `scipy.stats` to load.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]


def t_cdf(t: float, df: float) -> float:
    """Distribution function of Student's t with `df` degrees of freedom."""
    return float(t_cdfs(np.asarray(t), df))


def t_cdfs(t: F64, df: float) -> F64:
    """The same of many [k] at once."""
    from scipy.special import stdtr

    return np.asarray(stdtr(df, t))


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t with `df` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def chi2_exceeded(df: float, probability: float) -> float:
    """What chi-squared with `df` degrees of freedom exceeds with a `probability` in (0, 1)."""
    from scipy.special import chdtri

    return float(chdtri(df, probability))


def log_gamma(x: ArrayLike) -> F64:
    """log Γ of each of `x` [k] > 0, or of one."""
    from scipy.special import gammaln

    return np.asarray(gammaln(np.asarray(x, np.float64)))
