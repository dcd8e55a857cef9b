"""Numbers with their uncertainty: the replication is the unit of analysis.

A `Metric` is a mean over replications with a 95 % t-interval. Where replications do not differ
the interval is the word "exact"; with one replication there is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.tails import t_quantile

Interval = tuple[float, float] | Literal["exact"] | None
F64 = NDArray[np.float64]

SHARE = (0.0, 1.0)
"""Bounds of a fraction."""
_SAME = 1e-12
"""Relative spread below which replications count as equal: rounding of sums of shares."""


@dataclass(frozen=True, slots=True)
class Metric:
    """Mean over `n` replications; `ci95` is (low, high), "exact" without variance, None if n < 2.

    `mean` is None where the quantity does not exist (no samples, no reference arm); then there is
    no interval either. Raises ValueError for what no replications can have.
    """

    mean: float | None
    ci95: Interval
    n: int
    unit: str
    values: tuple[float, ...] = field(default=(), compare=False, repr=False)
    """Per replication, in order; NaN where there is none. Empty for what is derived."""

    def __post_init__(self) -> None:
        if self.mean is None and self.ci95 is not None:
            raise ValueError("has an interval but no mean")
        if isinstance(self.ci95, tuple) and self.ci95[0] > self.ci95[1]:
            raise ValueError("the interval's low end is above its high end")

    def ends(self) -> tuple[float, float]:
        """Ends of the interval: the value twice if it is exact, NaN if there is none."""
        if isinstance(self.ci95, tuple):
            return self.ci95
        value = self.mean if self.exact and self.mean is not None else math.nan
        return value, value

    @property
    def value(self) -> float:
        """The mean, where it is known that there is one; raises ValueError if there is none."""
        if self.mean is None:
            raise ValueError(f"a metric in {self.unit} has no value")
        return self.mean

    @property
    def low(self) -> float | None:
        """Lower end of the interval: the value if it is exact, None if there is none."""
        return self.ci95[0] if isinstance(self.ci95, tuple) else self.mean if self.exact else None

    @property
    def high(self) -> float | None:
        """Upper end of the interval: the value if it is exact, None if there is none."""
        return self.ci95[1] if isinstance(self.ci95, tuple) else self.mean if self.exact else None

    @property
    def half_width(self) -> float | None:
        """Of the interval: 0 if it is exact, None if there is none.

        An interval that was cut at a bound of its quantity still has its other end, which tells.
        """
        if isinstance(self.ci95, tuple) and self.mean is not None:
            return max(self.mean - self.ci95[0], self.ci95[1] - self.mean)
        return 0.0 if self.exact else None

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


def no_variance(values: F64) -> Any:
    """Whether all `values` [..., n ≥ 1] agree up to rounding: of the last axis, bool [...]."""
    spread = values.max(axis=-1) - values.min(axis=-1)
    return spread <= _SAME * np.maximum(1.0, np.abs(values).max(axis=-1))


def t_interval(values: F64, level: float = 0.95) -> tuple[float, float]:
    """Two-sided t-interval of the mean of `values` [n ≥ 2]."""
    return _around(values, values.mean(keepdims=True), level)


def _around(values: F64, mean: F64, level: float) -> tuple[float, float]:
    n, middle = values.size, float(mean[0])
    deviation = float(values.std(ddof=1, mean=mean))
    half = t_quantile(0.5 + level / 2, n - 1) * deviation / math.sqrt(n)
    return middle - half, middle + half


def metric(
    values: ArrayLike, unit: str, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Metric:
    """The metric of per-replication `values` [n]; NaN marks a replication without one.

    The interval is cut to `bounds`, outside which the quantity cannot be.
    """
    each = np.asarray(values, np.float64).ravel()
    if each.size <= FEW:
        return _of_few(each.tobytes(), unit, bounds)
    return _metric(each, unit, bounds)


FEW = 64
"""Values that are remembered with their metric."""


@lru_cache(maxsize=4096)
def _of_few(data: bytes, unit: str, bounds: tuple[float, float]) -> Metric:
    """Many quantities of a run, and of a sweep's cells, have the same values."""
    return _metric(np.frombuffer(data, np.float64), unit, bounds)


def _metric(values: F64, unit: str, bounds: tuple[float, float]) -> Metric:
    found = finite(values)
    each = tuple(values.tolist())
    if found.size == 0:
        return Metric(None, None, 0, unit, each)
    if found.size == 1:
        return Metric(float(found[0]), None, 1, unit, each)
    if no_variance(found):
        return Metric(float(found[0]), "exact", found.size, unit, each)
    mean = found.mean(keepdims=True)
    low, high = _around(found, mean, 0.95)
    return Metric(
        float(mean[0]), (max(low, bounds[0]), min(high, bounds[1])), found.size, unit, each
    )
