"""Skew: how much of a profile is in the wrong place, beyond what random sampling explains.

Two things put samples of a run in the wrong place for good. A *bias* is there in every run and is
what the mean error of the replications tends to. *Scatter* changes from run to run (a run that
loses a stretch of the program, a loop in step with the sampler that sees one instruction, each time
another one): no mean error, but every single profile is wrong. X, the skew, is the expected
distance (TVD) of one run's profile from the reference, had it no sampling noise:

    X = E ½ Σ |q_r - p|      q_r: what replication r would show with endless samples

What is printed of it, d_r = profile of replication r minus reference:

* bias: ½ Σ s_i d_{r,i}, the signs s learnt from the *other* replications, so that noise cancels
  and bias adds up: mean 0 without a bias, however many groups, and at most X. The values of two
  replications depend on each other by their signs, which makes the variance of the mean up to
  1 + 2/π times that of independent ones; it is taken as SIGNS times;
* scatter: mean TVD of a run less what a random profile of as many samples has: at most X;
* the low end of the interval is the larger of their lower limits;
* the estimate is the bias, or, where runs differ from each other by more than random sampling for
  certain, the root of a run's squared distance less that of noise, since what is off in many places
  adds up like lengths;
* high end: X is at most the mean distance of a run; and at most the distance of the mean profile,
  or by Cauchy-Schwarz ½ √E Σ (q_r - p)²/p, whichever is larger: noise that is less than random
  sampling's counts as none. The smaller of these two bounds is printed.

Against baremetal, whose profile is noisy too, X is the bias alone. Counts are whole: no variance is
taken to be less than that of so many samples as differ. Error rates and coverage are measured by
simulation (`reports.validation.statistics`, docs/background/validation.md).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from analysis.fidelity import profiles
from analysis.fidelity.profiles import I64
from analysis.statistics.intervals import F64, Metric
from analysis.statistics.tails import t_quantile
from analysis.theory import random_tvd

if TYPE_CHECKING:
    from sim.runs.batch import ArmResult

Level = Literal["symbol", "pc"]
LEVELS: tuple[Level, ...] = ("symbol", "pc")
"""At which skew is judged; the worst one decides."""
SIGNS = 2.25
"""Variance of a mean of values with learnt signs, over that of independent ones; see the module."""
ALPHA = 0.05
UNIT = "fraction"


def of_shares(counts: I64, p: F64, family: int = 1) -> Metric:
    """Skew of sampled `counts` [R, groups] from the exact profile `p` [groups] or [R, groups].

    Fraction; the low end holds for `family` such profiles at once. Replications without samples
    are left out; without an interval if one is left.
    """
    some = counts.sum(axis=1) > 0
    counts = counts[some]
    truth = np.broadcast_to(p, (some.size, counts.shape[1]))[some]
    n = counts.shape[0]
    if n < 2:
        return Metric(None, None, n, UNIT)
    samples = counts.sum(axis=1).astype(np.float64)
    off = counts / samples[:, None] - truth
    if not _any(off):
        return Metric(0.0, "exact", n, UNIT, (0.0,) * n)
    bias = _Bias(off, samples)
    run = np.abs(off).sum(axis=1) / 2
    floors = [random_tvd(row, int(size)) for row, size in zip(truth, samples, strict=True)]
    noise = np.array(floors)
    low, high = bias.limits(family)
    low = max(low, _limit(run - noise, -_lower(n, family), bias.least))
    chi = _limit(_chi_square(off, truth, samples), _upper(n), 0.0)
    spread = math.sqrt(max(0.0, chi) * (1 + off.shape[1] / samples.mean())) / 2
    high = min(_limit(run, _upper(n), bias.least), max(high, spread), 1.0)
    scatter = np.abs(off - off.mean(axis=0)).sum(axis=1) / 2 * math.sqrt(n / (n - 1))
    if _limit(scatter - noise, -_lower(n, family), bias.least) > 0:
        return _metric(np.sqrt(np.maximum(run**2 - noise**2, 0.0)), low, high)
    return _metric(bias.values, low, high)


def of_differences(ours: I64, theirs: I64, family: int = 1) -> Metric:
    """Bias of sampled `ours` from the mean profile of `theirs`, paired [R, groups]; fraction."""
    some = (ours.sum(axis=1) > 0) & (theirs.sum(axis=1) > 0)
    ours, theirs = ours[some], theirs[some]
    n = ours.shape[0]
    if n < 2:
        return Metric(None, None, n, UNIT)
    off = profiles.shares(ours) - profiles.shares(theirs)
    if not _any(off):
        return Metric(0.0, "exact", n, UNIT, (0.0,) * n)
    bias = _Bias(off, np.minimum(ours.sum(axis=1), theirs.sum(axis=1)).astype(np.float64))
    low, high = bias.limits(family)
    return _metric(bias.values, low, min(high, 1.0))


def _any(off: F64) -> bool:
    """False if shares differ by rounding only."""
    return bool(np.abs(off).max() > 1e-12)


def _metric(values: F64, low: float, high: float) -> Metric:
    """Of estimates [R]; where their mean is below 0 there is nothing."""
    low = max(0.0, min(low, high))
    mean = min(max(float(values.mean()), low), high)
    return Metric(mean, (low, high), values.size, UNIT, tuple(values.tolist()))


def _lower(n: int, family: int) -> float:
    """Two lower limits share one tail, in each of the family."""
    return t_quantile(1 - ALPHA / 4 / family, n - 1)


def _upper(n: int) -> float:
    """Two upper bounds share one tail."""
    return t_quantile(1 - ALPHA / 4, n - 1)


def _limit(values: F64, quantile: float, least: float) -> float:
    """Mean of `values` [R] plus so many standard errors; `least` variance of one of them."""
    variance = max(float(values.var(ddof=1)), least)
    return float(values.mean()) + quantile * math.sqrt(variance / values.size)


class _Bias:
    """The error that replications have in common: estimate and limits."""

    def __init__(self, off: F64, samples: F64) -> None:
        n = off.shape[0]
        mean = off.mean(axis=0)
        self._along = (off * np.sign(mean)).sum(axis=1) / 2
        others = (n * mean - off) / (n - 1)
        self.values = (off * np.sign(others)).sum(axis=1) / 2
        self.mean = float(self.values.mean())
        self.least = float(self._along.mean() / samples.mean())

    def limits(self, family: int) -> tuple[float, float]:
        n = self._along.size
        variance = max(float(self._along.var(ddof=1)), float(self.values.var(ddof=1)))
        error = math.sqrt(SIGNS * max(variance, self.least) / n)
        return self.mean - _lower(n, family) * error, _limit(self._along, _upper(n), self.least)


def _chi_square(off: F64, p: F64, samples: F64) -> F64:
    """Σ (q - p)²/p of each replication [R], without what random sampling adds to it.

    Groups that a sample hardly meets are weighted as if one had: (p + 1/samples).
    """
    weight = p + 1 / samples[:, None]
    expected = (p * (1 - p) / weight).sum(axis=1) / samples
    return np.asarray((off**2 / weight).sum(axis=1) - expected, np.float64)


def against_truth(arm: ArmResult, by: Level, family: int = 1) -> Metric:
    """Skew of an arm's profile from the exact profile of what it executed."""
    p = profiles.true_shares(arm, by)
    counts = profiles.sampled(arm, by)
    known = np.isfinite(p).all(axis=1)
    return of_shares(counts[known], p[known], family)


def against_baremetal(
    arm: ArmResult, reference: ArmResult | None, by: Level, family: int = 1
) -> Metric:
    """Bias of an arm's profile from baremetal's over equal executed ops, paired by replication."""
    found = None if arm is reference else profiles.compared(arm, reference, by)
    if found is None:
        return Metric(None, None, 0, UNIT)
    return of_differences(found.arm, found.bare, family)
