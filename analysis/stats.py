"""Numbers with their uncertainty: the replication is the unit of analysis.

A `Metric` is a mean over replications with a 95 % t-interval. Where replications do not differ
the interval is the word "exact"; with one replication there is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Interval = tuple[float, float] | Literal["exact"] | None
F64 = NDArray[np.float64]

SHARE = (0.0, 1.0)
"""Bounds of a fraction."""
_SAME = 1e-12
"""Relative spread below which replications count as equal: rounding of sums of shares."""


@dataclass(frozen=True, slots=True)
class Metric:
    """Mean over `n` replications; `ci95` is (low, high), "exact" without variance, None if n < 2.

    `mean` is None where the quantity does not exist (no samples, no baseline).
    """

    mean: float | None
    ci95: Interval
    n: int
    unit: str
    values: tuple[float, ...] = field(default=(), compare=False, repr=False)
    """Per replication, in order; NaN where there is none. Empty for what is derived."""

    def as_dict(self) -> dict[str, object]:
        """Contract names of a metric in `result.json`."""
        ci: object = list(self.ci95) if isinstance(self.ci95, tuple) else self.ci95
        return {"mean": self.mean, "ci95": ci, "n": self.n, "unit": self.unit}

    def ends(self) -> tuple[float, float]:
        """Ends of the interval: the value twice if it is exact, NaN if there is none."""
        if isinstance(self.ci95, tuple):
            return self.ci95
        value = self.mean if self.exact and self.mean is not None else math.nan
        return value, value

    def complement(self) -> Metric:
        """1 - this."""
        if self.mean is None:
            return self
        ci = self.ci95
        turned = (1 - ci[1], 1 - ci[0]) if isinstance(ci, tuple) else ci
        return Metric(1 - self.mean, turned, self.n, self.unit)

    @property
    def exact(self) -> bool:
        """True if replications do not differ."""
        return self.ci95 == "exact"


def finite(values: ArrayLike) -> F64:
    """`values` as float64[n] without NaN: replications in which the quantity exists."""
    array = np.asarray(values, np.float64).ravel()
    return array[np.isfinite(array)]


def no_variance(values: F64) -> bool:
    """True if all `values` [n ≥ 1] agree up to rounding."""
    spread = float(values.max() - values.min())
    return spread <= _SAME * max(1.0, float(np.abs(values).max()))


def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t with `df` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def t_cdf(t: float, df: float) -> float:
    """Distribution function of Student's t with `df` degrees of freedom."""
    from scipy.special import stdtr

    return float(stdtr(df, t))


def t_interval(values: F64, level: float = 0.95) -> tuple[float, float]:
    """Two-sided t-interval of the mean of `values` [n ≥ 2]."""
    n = values.size
    half = t_quantile(0.5 + level / 2, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    mean = float(values.mean())
    return mean - half, mean + half


def metric(
    values: ArrayLike, unit: str, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Metric:
    """The metric of per-replication `values` [n]; NaN marks a replication without one.

    The interval is cut to `bounds`, outside which the quantity cannot be.
    """
    found = finite(values)
    each = tuple(np.asarray(values, np.float64).ravel().tolist())
    if found.size == 0:
        return Metric(None, None, 0, unit, each)
    mean = float(found.mean())
    if found.size == 1:
        return Metric(mean, None, 1, unit, each)
    if no_variance(found):
        return Metric(float(found[0]), "exact", found.size, unit, each)
    low, high = t_interval(found)
    return Metric(mean, (max(low, bounds[0]), min(high, bounds[1])), found.size, unit, each)
