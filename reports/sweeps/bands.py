"""Bands over the UNVERIFIED times in a sweep: loss and time added of a cell, at the ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.results.metric import Metric
from reports.results.sweep_result import Numbers
from reports.store.grid import F64, Grid
from reports.text import number

LOSS, TIME = "loss.total", "time_added"
_TOTAL = "time_band.total"
_ENDS = ("low", "high", "unmapping")
NUMBERS = (
    LOSS,
    TIME,
    *(f"loss_band.{end}" for end in ("low", "high")),
    *(f"{_TOTAL}.{end}_ms" for end in ("here", *_ENDS)),
)
"""Of an arm, that bands are made of."""


@dataclass(frozen=True, slots=True)
class Band:
    """The least and the most that a fraction may be."""

    low: float
    high: float

    @property
    def text(self) -> str:
        """``2.1 to 20 %``."""
        return f"{number(100 * self.low)} to {number(100 * self.high)} %"


def of(numbers: Numbers, metric: str) -> Band | None:
    """The band of a metric of an arm in a cell; None without one, or if it has no width."""
    found = _loss(numbers) if metric == LOSS else _time(numbers) if metric == TIME else None
    return None if found is None or found.low == found.high else found


def _loss(numbers: Numbers) -> Band | None:
    low, high = (_plain(numbers, f"loss_band.{end}") for end in ("low", "high"))
    return None if low is None or high is None else Band(low, high)


def _time(numbers: Numbers) -> Band | None:
    """The band is of ms; the fraction of baremetal's time moves with it."""
    added, here = numbers.get(TIME), _plain(numbers, f"{_TOTAL}.here_ms")
    ends = [x for end in _ENDS if (x := _plain(numbers, f"{_TOTAL}.{end}_ms")) is not None]
    if not isinstance(added, Metric) or not added.mean or not here or not ends:
        return None
    per_ms = added.mean / here
    return Band(per_ms * min(ends), per_ms * max(ends))


def _plain(numbers: Numbers, name: str) -> float | None:
    found = numbers.get(name)
    return float(found) if isinstance(found, (int, float)) else None


def over(whole: Grid, arm: str, metric: str) -> F64 | None:
    """Low and high ends [2, *levels], NaN where a cell has none; None if no cell has."""
    low, high = np.full((2, *whole.shape), np.nan)
    for place, row in whole.rows.items():
        found = of(row.arms.get(arm, {}), metric)
        if found is not None:
            low[place], high[place] = found.low, found.high
    return np.stack([low, high]) if np.isfinite(low).any() else None
