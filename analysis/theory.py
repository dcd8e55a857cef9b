"""Closed forms that the simulator is tested against, each with its conditions.

Rows are those of the theory page. Rates are per op and times in ops unless a docstring says
otherwise. An effective gap is what the sampler does between two selections, reload op included:
P + 1 without jitter, P + 1 + U{0..255} with it. A value outside a form's conditions is refused with
ConditionError; conditions that numbers cannot show (independence, long runs) are in the docstrings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.intervals import F64
from analysis.statistics.tails import log_gamma
from sim.errors import SpeskewError

JITTER = 256
"""Values of the random byte."""
LONG = 10
"""Mean gaps that make a window long."""


class ConditionError(SpeskewError, ValueError):
    """A closed form was asked about something that it does not hold for."""


def _need(holds: bool, condition: str) -> None:
    if not holds:
        raise ConditionError(f"the closed form needs {condition}")


def gaps(period: int, *, jitter: bool) -> F64:
    """The equally likely effective gaps, ops [1] or [256]; not FEAT_SPE_ERnd, which is a grid."""
    _need(period >= 1, "a period of at least 1")
    return np.arange(JITTER if jitter else 1, dtype=np.float64) + (period + 1)


def observed_rate(rate: float, dead: float) -> float:
    """Row 1: rate seen behind a non-paralyzable dead time of mean `dead`; Poisson input."""
    _need(rate >= 0 and dead >= 0, "a rate and a dead time that are not negative")
    return rate / (1 + rate * dead)


def true_rate(observed: float, dead: float) -> float:
    """Row 1 inverted; `observed` · `dead` < 1."""
    _need(0 <= observed * dead < 1, "observed · dead below 1")
    return observed / (1 - observed * dead)


def paralyzable_rate(rate: float, dead: float) -> float:
    """Row 2: n·e^(−nτ), every trigger restarts the fixed dead time; Poisson input; most at n = 1/τ.

    Not what the SPE does: the form that a blackout would have if new triggers prolonged it.
    """
    _need(rate >= 0 and dead >= 0, "a rate and a dead time that are not negative")
    return rate * math.exp(-rate * dead)


def blocking(rate: float, lifetime: float) -> float:
    """Row 3: M/G/1/1 blocking ρ/(1 + ρ); Poisson selections, any shape of the lifetime."""
    rho = renewals_poisson(rate, lifetime)
    return rho / (1 + rho)


def collision_fraction(renewals: float) -> float:
    """Row 4: 1 − 1/(1 + E[M(L)]), E[M(L)] the mean selections in a lifetime; iid gaps, one slot,
    lifetimes independent of the selections."""
    _need(renewals >= 0, "a number of renewals that is not negative")
    return 1 - 1 / (1 + renewals)


def renewals(period: int, lifetimes: ArrayLike, *, jitter: bool) -> float:
    """Row 4: E[M(L)] = Σ_k P(S_k < L) over equally likely `lifetimes` (ops), S_k the sum of k gaps.

    A completion comes before a selection of the same instant, hence the strict inequality.
    """
    lives = np.asarray(lifetimes, np.float64)
    _need(lives.size > 0 and bool((lives >= 0).all()), "lifetimes that are not negative")
    one = np.full(gaps(period, jitter=jitter).size, 1 / gaps(period, jitter=jitter).size)
    below = np.ceil(lives).astype(np.int64)  # sums s with s < L are those below this
    mass, total, first = np.ones(1), np.zeros(lives.size), 0
    while first + period + 1 < lives.max():
        first += period + 1
        mass = np.convolve(mass, one)
        cumulated = np.concatenate([[0.0], np.cumsum(mass)])
        total += cumulated[np.clip(below - first, 0, mass.size)]
    return float(total.mean())


def renewals_periodic(period: int, lifetimes: ArrayLike) -> float:
    """Row 4, no jitter: E[⌊L/(P + 1)⌋] over equally likely `lifetimes` (ops)."""
    lives = np.asarray(lifetimes, np.float64)
    _need(lives.size > 0 and bool((lives >= 0).all()), "lifetimes that are not negative")
    return float(np.floor(lives / (period + 1)).mean())


def renewals_exponential(period: int, mean: float, *, jitter: bool) -> float:
    """Row 4, exponential lifetime of `mean` ops: φ/(1 − φ), φ = E[e^(−gap/mean)]."""
    _need(mean > 0, "a positive mean lifetime")
    phi = float(np.exp(-gaps(period, jitter=jitter) / mean).mean())
    return phi / (1 - phi)


def renewals_poisson(rate: float, lifetime: float) -> float:
    """Row 4, Poisson selections: ρ, whatever the lifetime's shape."""
    _need(rate >= 0 and lifetime >= 0, "a rate and a lifetime that are not negative")
    return rate * lifetime


def live_fraction(up: float, down: float) -> float:
    """Row 5: E[U]/(E[U] + E[D]) of an alternating renewal process; any shapes, long run."""
    _need(up > 0 and down >= 0, "a positive mean up time and a down time that is not negative")
    return up / (up + down)


def buffer_up_ops(window_bytes: int, record_bytes: int, gap: float, passed: float = 1.0) -> float:
    """Row 5: ops that fill a window at one record per `gap` ops of which `passed` are kept."""
    _need(window_bytes >= record_bytes > 0 and 0 < passed <= 1, "a record that fits, some kept")
    return window_bytes / record_bytes * gap / passed


def cold_page_up_ops(
    records_per_page: int, gap: float, *, collided: float = 0.0, filtered: float = 0.0
) -> float:
    """Row 5b: mean ops between faults when every page is cold again: (n + 1) completed selections.

    Constant CPI, stage 1 tables warm; the record that faults is lost.
    """
    _need(0 <= collided < 1 and 0 <= filtered < 1, "fractions below 1")
    return (records_per_page + 1) * gap / ((1 - collided) * (1 - filtered))


def cold_page_loss(up: float, down: float) -> float:
    """Row 5b: fraction of ops lost when each `up` ops are followed by a blackout of `down` ops."""
    return 1 - live_fraction(up, down)


def cold_page_yield(records_per_page: int, loss: float) -> float:
    """Row 5b: records per op relative to no loss."""
    _need(records_per_page >= 1 and 0 <= loss <= 1, "a record a page and a loss in [0, 1]")
    return (1 - loss) * records_per_page / (records_per_page + 1)


def live_fraction_of_causes(rates: Sequence[float], downs: Sequence[float]) -> float:
    """Row 6: 1/(1 + Σ λ_i·E[D_i]); Poisson causes that can start only while live, any shapes."""
    _need(len(rates) == len(downs), "one mean blackout for each rate")
    _need(min([*rates, *downs, 0.0]) >= 0, "rates and blackouts that are not negative")
    return 1 / (1 + math.fsum(r * d for r, d in zip(rates, downs, strict=True)))


def count_mean(window: float, gap_mean: float) -> float:
    """Row 7: selections in `window` profiled ops, long windows."""
    _long(window, gap_mean)
    return window / gap_mean


def count_variance(window: float, gap_mean: float, gap_variance: float) -> float:
    """Row 7: σ²·T/μ³; iid gaps that accumulate (not FEAT_SPE_ERnd), T ≫ μ."""
    _long(window, gap_mean)
    return gap_variance * window / gap_mean**3


def _long(window: float, gap_mean: float) -> None:
    _need(gap_mean > 0 and window >= LONG * gap_mean, f"a window of {LONG} mean gaps or more")


def count_dispersion(gap_mean: float, gap_variance: float) -> float:
    """Row 7: variance over mean of a count; far below 1, so never test counts as Poisson."""
    _need(gap_mean > 0 and gap_variance >= 0, "a positive mean gap")
    return gap_variance / gap_mean**2


def jitter_variance() -> float:
    """Variance of U{0..255}, ops²: 5461.25."""
    return (JITTER**2 - 1) / 12


def poisson_count_variance(rate: float, window: float, dead: float) -> float:
    """Row 8: Var N ≈ nT/(1 + nτ)³; Poisson input, non-paralyzable fixed dead time, T ≫ 1/n + τ."""
    _need(rate > 0 and dead >= 0, "a positive rate")
    _long(window, 1 / rate + dead)
    return rate * window / (1 + rate * dead) ** 3


def systematic_means(values: ArrayLike, interval: int) -> F64:
    """Row 9: the mean of each systematic sample of `values` [N], one per start [interval]."""
    y = np.asarray(values, np.float64)
    _need(1 <= interval <= y.size, "an interval of 1 to the size of the population")
    _need(y.size % interval == 0, "an interval that divides the population")
    return np.asarray(y.reshape(-1, interval).mean(axis=0))


def systematic_variance(values: ArrayLike, interval: int) -> float:
    """Row 9: (1/k)·Σ(ȳ_i − ȳ)² = σ² − mean σ_i²; all starts equally likely, k divides N."""
    return float(systematic_means(values, interval).var())


def intraclass_correlation(values: ArrayLike, interval: int) -> float:
    """Row 10: ρ_w, mean correlation of two members of one systematic sample; n ≥ 2, some spread.

    1 in resonance, where all members of a sample are alike; −1/(n − 1) at the other end.
    """
    y = np.asarray(values, np.float64)
    means = systematic_means(y, interval)
    n = y.size // interval
    spread = float(y.var())
    _need(n >= 2 and spread > 0, "samples of 2 or more, and values that differ")
    return (n * float(means.var()) / spread - 1) / (n - 1)


def systematic_variance_of(n: int, population: int, s2: float, rho: float) -> float:
    """Row 10: (S²/n)·((N − 1)/N)·[1 + (n − 1)·ρ_w]; S² with divisor N − 1."""
    _need(population >= n >= 2, "samples of 2 to N")
    _need(-1 / (n - 1) - 1e-12 <= rho <= 1 + 1e-12, "a correlation that samples of n can have")
    return s2 / n * (population - 1) / population * (1 + (n - 1) * rho)


def random_order_variance(n: int, population: int, s2: float) -> float:
    """Row 11: mean V_sy over all orders of a population, that of simple random sampling:
    (S²/n)·(1 − n/N)."""
    _need(population >= n >= 1, "samples of 1 to N")
    return s2 / n * (1 - n / population)


def loss_bias(share: F64, loss: F64) -> F64:
    """Row 12: change of share [groups] when a fraction `loss` [groups] of each is lost.

    Zeros where everything is lost: then there is no profile to be biased.
    """
    _need(share.shape == loss.shape and bool((share >= 0).all()), "one share for each loss")
    _need(bool(((loss >= 0) & (loss <= 1)).all()), "losses in [0, 1]")
    left = share * (1 - loss)
    total = float(left.sum())
    return left / total - share if total > 0 else np.zeros_like(share)


def expected_tvd(p: F64, n1: float | F64, n2: float = math.inf) -> F64:
    """Noise floor: expected TVD of an n1-sample profile of `p` from `p`, or from an n2-sample one.

    Σ √(p(1 − p)(1/n₁ + 1/n₂)/2π). Multinomial samples; shares neither tiny nor few (n·p large).
    Conservative for jittered selection, which is less noisy than that on long phases; at most 1,
    which the sum is beyond where there are fewer samples than groups. NaN without samples; of a
    table [R, groups] and its sizes [R], row by row.
    """
    inverse = 1 / sizes(n1) + 1 / sizes(n2)
    each = np.sqrt(p * (1 - p) * inverse / (2 * math.pi))
    return np.asarray(np.minimum(1.0, each.sum(axis=-1)))


def sizes(n: float | F64) -> F64:
    """Numbers of samples [...] as a column [..., 1] beside shares, NaN where there are none."""
    column = np.asarray(n, np.float64)[..., None]
    return np.where(column > 0, column, math.nan)


def random_tvd(p: F64, n: int) -> float:
    """Expected TVD of an n-sample profile of `p` from `p`, exactly, for any shares and any n.

    Multinomial samples: half the sum of the binomial mean deviations, de Moivre's
    2 m C(n, m) p^m (1 - p)^(n - m + 1) with m = ⌊np⌋ + 1 (Diaconis and Zabell 1991). The normal
    form of `expected_tvd` is up to 8 % too small where a group has about half a sample.
    """
    if n <= 0:
        return math.nan
    some = p[(p > 0) & (p < 1)]
    m = np.floor(n * some) + 1
    ways = log_gamma(n + 1) - log_gamma(m + 1) - log_gamma(n - m + 1)
    with np.errstate(invalid="ignore"):
        each = 2 * m * np.exp(ways + m * np.log(some) + (n - m + 1) * np.log1p(-some))
    return float(each.sum() / n / 2)


def replications_for(sd: float, half_width: float, level: float = 0.95) -> int:
    """Replications that bring a normal interval to ± `half_width`."""
    return max(2, math.ceil((NormalDist().inv_cdf(0.5 + level / 2) * sd / half_width) ** 2))
