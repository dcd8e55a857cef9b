"""Closed forms that the simulator is tested against, each with its conditions.

Rates are per op and times in ops unless a docstring says otherwise. An effective gap is what the
sampler does between two selections, reload op included: P + 1 without jitter, P + 1 + U{0..255}
with it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from analysis.distances import tvd_floor
from analysis.stats import F64

JITTER = 256
"""Values of the random byte."""

expected_tvd = tvd_floor
"""Noise floor of a perfect profile: E[TVD] ≈ Σ √(p(1 − p)(1/n₁ + 1/n₂)/2π)."""


def gaps(period: int, *, jitter: bool) -> F64:
    """The equally likely effective gaps, ops [1] or [256]."""
    return np.arange(JITTER if jitter else 1, dtype=np.float64) + (period + 1)


def observed_rate(rate: float, dead: float) -> float:
    """Row 1: rate seen behind a non-paralyzable dead time of mean `dead`; Poisson input."""
    return rate / (1 + rate * dead)


def true_rate(observed: float, dead: float) -> float:
    """Row 1 inverted; `observed` · `dead` < 1."""
    return observed / (1 - observed * dead)


def blocking(rate: float, lifetime: float) -> float:
    """Row 3: M/G/1/1 blocking ρ/(1 + ρ); Poisson selections, any shape of the lifetime."""
    rho = rate * lifetime
    return rho / (1 + rho)


def collision_fraction(renewals: float) -> float:
    """Row 4: 1 − 1/(1 + E[M(L)]), E[M(L)] the mean selections in a lifetime; iid gaps, one slot,
    lifetimes independent of the selections."""
    return 1 - 1 / (1 + renewals)


def renewals_periodic(period: int, lifetimes: ArrayLike) -> float:
    """Row 4, no jitter: E[⌊L/(P + 1)⌋] over equally likely `lifetimes` (ops)."""
    return float(np.floor(np.asarray(lifetimes, np.float64) / (period + 1)).mean())


def renewals_exponential(period: int, mean: float, *, jitter: bool) -> float:
    """Row 4, exponential lifetime of `mean` ops: φ/(1 − φ), φ = E[e^(−gap/mean)]."""
    phi = float(np.exp(-gaps(period, jitter=jitter) / mean).mean())
    return phi / (1 - phi)


def renewals_poisson(rate: float, lifetime: float) -> float:
    """Row 4, Poisson selections: ρ, whatever the lifetime's shape."""
    return rate * lifetime


def live_fraction(up: float, down: float) -> float:
    """Row 5: E[U]/(E[U] + E[D]) of an alternating renewal process; any shapes, long run."""
    return up / (up + down)


def buffer_up_ops(window_bytes: int, record_bytes: int, gap: float, passed: float = 1.0) -> float:
    """Row 5: ops that fill a window at one record per `gap` ops of which `passed` are kept."""
    return window_bytes / record_bytes * gap / passed


def cold_page_up_ops(
    records_per_page: int, gap: float, *, collided: float = 0.0, filtered: float = 0.0
) -> float:
    """Row 5b: mean ops between faults when every page is cold again: (n + 1) completed selections.

    Constant CPI, stage 1 tables warm; the record that faults is lost.
    """
    return (records_per_page + 1) * gap / ((1 - collided) * (1 - filtered))


def cold_page_loss(up: float, down: float) -> float:
    """Row 5b: fraction of ops lost when each `up` ops are followed by a blackout of `down` ops."""
    return down / (up + down)


def cold_page_yield(records_per_page: int, loss: float) -> float:
    """Row 5b: records per op relative to no loss."""
    return (1 - loss) * records_per_page / (records_per_page + 1)


def count_mean(window: float, gap_mean: float) -> float:
    """Row 7: selections in `window` profiled ops, long windows."""
    return window / gap_mean


def count_variance(window: float, gap_mean: float, gap_variance: float) -> float:
    """Row 7: σ²·T/μ³; iid gaps that accumulate (not FEAT_SPE_ERnd), T ≫ μ."""
    return gap_variance * window / gap_mean**3


def count_dispersion(gap_mean: float, gap_variance: float) -> float:
    """Row 7: variance over mean of a count; far below 1, so never test counts as Poisson."""
    return gap_variance / gap_mean**2


def jitter_variance() -> float:
    """Variance of U{0..255}, ops²: 5461.25."""
    return (JITTER**2 - 1) / 12


def loss_bias(share: F64, loss: F64) -> F64:
    """Row 12: change of share [groups] when a fraction `loss` [groups] of each is lost.

    Zeros where everything is lost: then there is no profile to be biased.
    """
    left = share * (1 - loss)
    total = float(left.sum())
    return left / total - share if total > 0 else np.zeros_like(share)


def poisson_count_variance(rate: float, window: float, dead: float) -> float:
    """Row 8: Var N ≈ nT/(1 + nτ)³; Poisson input, non-paralyzable fixed dead time."""
    return rate * window / (1 + rate * dead) ** 3


def replications_for(sd: float, half_width: float, level: float = 0.95) -> int:
    """Replications that bring a normal interval to ± `half_width`."""
    from scipy.special import ndtri

    return max(2, math.ceil((float(ndtri(0.5 + level / 2)) * sd / half_width) ** 2))
