"""Closed forms against small Monte Carlo runs; tolerances in standard errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis import theory

Z = 4
F64 = NDArray[np.float64]


def collided(gaps: F64, lifetimes: F64) -> list[bool]:
    """Selections that fall while an earlier one is in flight; one slot."""
    out, busy_until, now = [], -1.0, 0.0
    for gap, lifetime in zip(gaps, lifetimes, strict=True):
        now += gap
        hit = now < busy_until
        out.append(hit)
        if not hit:
            busy_until = now + lifetime
    return out


def within(found: list[bool], expected: float, batch: int = 1000) -> bool:
    """Batch means of `batch` within Z standard errors of `expected`."""
    means = np.array(found[: len(found) // batch * batch], float).reshape(-1, batch).mean(axis=1)
    error = float(means.std(ddof=1)) / math.sqrt(means.size)
    return abs(float(means.mean()) - expected) < Z * error + 1e-12


N = 60_000


def test_effective_gaps_count_the_reload() -> None:
    """P + 1 without jitter; P + 1 to P + 256 with it, mean P + 128.5."""
    assert list(theory.gaps(1024, jitter=False)) == [1025]
    gaps = theory.gaps(1024, jitter=True)
    assert (gaps.min(), gaps.max(), gaps.mean(), gaps.size) == (1025, 1280, 1152.5, 256)


@pytest.mark.parametrize("shape", ["constant", "exponential", "bimodal"])
def test_blocking_does_not_depend_on_the_shape(shape: str) -> None:
    """Row 3: Poisson selections, lifetimes of mean 500: ρ/(1 + ρ) for three shapes."""
    rng = np.random.default_rng(3)
    lifetimes = {
        "constant": np.full(N, 500.0),
        "exponential": rng.exponential(500, N),
        "bimodal": np.where(rng.random(N) < 0.9, 50.0, 4550.0),
    }[shape]
    found = collided(rng.exponential(1000, N), lifetimes)
    assert within(found, theory.blocking(1e-3, 500))
    renewals = theory.renewals_poisson(1e-3, 500)
    assert theory.blocking(1e-3, 500) == pytest.approx(theory.collision_fraction(renewals))


@pytest.mark.parametrize("jitter", [False, True])
@pytest.mark.parametrize("period", [256, 1024])
def test_collisions_of_exponential_lifetimes(period: int, jitter: bool) -> None:
    """Row 4: renewal selections, lifetime exponential with mean 600 ops."""
    rng = np.random.default_rng(4)
    gap = rng.choice(theory.gaps(period, jitter=jitter), N)
    found = collided(gap, rng.exponential(600, N))
    expected = theory.collision_fraction(theory.renewals_exponential(period, 600, jitter=jitter))
    assert within(found, expected)


def test_published_collision_fractions() -> None:
    """The values that the theory page quotes for P = 1024 and a mean of 600."""
    exact = [theory.renewals_exponential(1024, 600, jitter=j) for j in (False, True)]
    assert [theory.collision_fraction(m) for m in exact] == pytest.approx([0.1812, 0.148], abs=5e-4)


def test_no_collision_while_lifetimes_are_shorter_than_the_gap() -> None:
    """Row 4, periodic: zero below P + 1, half at P + 1."""
    assert theory.collision_fraction(theory.renewals_periodic(1024, [1.0, 1024.9])) == 0
    assert theory.collision_fraction(theory.renewals_periodic(1024, [1025.0])) == 0.5


def test_dead_time_and_its_inverse() -> None:
    """Row 1 and back; row 3 is the fraction that it loses."""
    seen = theory.observed_rate(0.01, 37)
    assert theory.true_rate(seen, 37) == pytest.approx(0.01)
    assert 1 - seen / 0.01 == pytest.approx(theory.blocking(0.01, 37))


def test_live_fraction_of_alternating_renewals() -> None:
    """Row 5: uniform ups and exponential downs, ratio of 20,000 cycles, delta-method error."""
    rng = np.random.default_rng(5)
    up, down = rng.uniform(0, 2000, 20_000), rng.exponential(300, 20_000)
    live = theory.live_fraction(1000, 300)
    residual = up - live * (up + down)
    error = float(residual.std()) / math.sqrt(up.size) / float((up + down).mean())
    assert abs(float(up.sum() / (up + down).sum()) - live) < Z * error


def test_a_window_fills_in_records_times_gap() -> None:
    """Row 5: 2 MiB of 64 B records at a mean gap of 1152.5 ops, half of them filtered."""
    assert theory.buffer_up_ops(2 << 20, 64, 1152.5) == 32768 * 1152.5
    assert theory.buffer_up_ops(2 << 20, 64, 1152.5, 0.5) == 65536 * 1152.5


def cold_loss(n: int, down: int, cycles: int) -> float:
    """Row 5b op by op: n records a page, the next one faults, blackout, page is there."""
    rng = np.random.default_rng(6)
    executed = lost = 0
    for _ in range(cycles):
        executed += int(rng.choice(theory.gaps(1024, jitter=True), n + 1).sum()) + down
        lost += down
    return lost / executed


def test_always_cold_pages() -> None:
    """Row 5b: 64 records a page, blackouts of 2,250 ops; relative error of 4 SE of the gaps."""
    mean = float(theory.gaps(1024, jitter=True).mean())
    up = theory.cold_page_up_ops(64, mean)
    expected = theory.cold_page_loss(up, 2250)
    cycles = 500
    error = math.sqrt(theory.jitter_variance() / (65 * cycles)) / mean
    assert cold_loss(64, 2250, cycles) == pytest.approx(expected, rel=Z * error)


def test_published_cold_page_loss() -> None:
    """The theory page's 3.267 % without jitter, and its yield of records."""
    loss = theory.cold_page_loss(theory.cold_page_up_ops(64, 1025), 2250)
    assert loss == pytest.approx(0.03267, abs=1e-5)
    assert theory.cold_page_yield(64, loss) == pytest.approx((1 - loss) * 64 / 65)
    assert theory.cold_page_up_ops(64, 1025, collided=0.147) == pytest.approx(65 * 1025 / 0.853)


def test_counts_are_sub_poisson() -> None:
    """Row 7: variance of the selections in 2,000 mean gaps, 2,000 windows, 4 SE of a variance."""
    rng = np.random.default_rng(7)
    gaps = theory.gaps(1024, jitter=True)
    mean, variance = float(gaps.mean()), float(gaps.var())
    assert variance == pytest.approx(theory.jitter_variance())
    window = 2000 * mean
    counts = [int(np.searchsorted(np.cumsum(rng.choice(gaps, 2100)), window)) for _ in range(2000)]
    expected = theory.count_variance(window, mean, variance)
    assert theory.count_mean(window, mean) == pytest.approx(2000)
    assert theory.count_dispersion(mean, variance) == pytest.approx(expected / 2000)
    found = float(np.var(counts, ddof=1))
    assert abs(found - expected) < Z * expected * math.sqrt(2 / 1999) + 0.25  # end-point term


def test_dispersion_of_the_theory_page() -> None:
    """4.1e-3 at P = 1024, 3.1e-4 at P = 4096."""
    found = [theory.count_dispersion(p + 128.5, theory.jitter_variance()) for p in (1024, 4096)]
    assert found == pytest.approx([4.1e-3, 3.1e-4], rel=0.02)


def test_variance_behind_a_dead_time() -> None:
    """Row 8: Poisson input, fixed dead time, 3,000 windows, 4 SE of a variance plus 3 % of ends."""
    rng = np.random.default_rng(8)
    window, rate, dead = 100_000.0, 1e-2, 50.0
    steps = rng.exponential(1 / rate, (3000, 1200)) + dead
    counts = (np.cumsum(steps, axis=1) < window).sum(axis=1)
    expected = theory.poisson_count_variance(rate, window, dead)
    assert abs(float(counts.var(ddof=1)) / expected - 1) < Z * math.sqrt(2 / 2999) + 0.03


def test_even_loss_does_not_bias() -> None:
    """Row 12: the same loss everywhere moves nothing; loss in one place moves its share."""
    p = np.array([0.5, 0.3, 0.2])
    assert np.abs(theory.loss_bias(p, np.full(3, 0.4))).max() < 1e-15
    assert theory.loss_bias(p, np.array([0.5, 0, 0])) == pytest.approx(
        [0.25 / 0.75 - 0.5, 0.3 / 0.75 - 0.3, 0.2 / 0.75 - 0.2]
    )
    assert (theory.loss_bias(p, np.ones(3)) == 0).all()


def test_replications_for_a_half_width() -> None:
    """1.96² · (sd/half)², and never fewer than two."""
    assert theory.replications_for(1.0, 0.1) == 385
    assert theory.replications_for(1.0, 100.0) == 2


@pytest.mark.parametrize(
    ("form", "arguments"),
    [
        (theory.gaps, {"period": 0, "jitter": True}),
        (theory.observed_rate, {"rate": -1, "dead": 1}),
        (theory.true_rate, {"observed": 0.5, "dead": 2}),
        (theory.paralyzable_rate, {"rate": 1, "dead": -1}),
        (theory.blocking, {"rate": -1, "lifetime": 1}),
        (theory.collision_fraction, {"renewals": -0.1}),
        (theory.renewals, {"period": 10, "lifetimes": [], "jitter": False}),
        (theory.renewals_periodic, {"period": 10, "lifetimes": [-1.0]}),
        (theory.renewals_exponential, {"period": 10, "mean": 0, "jitter": False}),
        (theory.live_fraction, {"up": 0, "down": 1}),
        (theory.buffer_up_ops, {"window_bytes": 32, "record_bytes": 64, "gap": 1}),
        (theory.cold_page_up_ops, {"records_per_page": 64, "gap": 1, "collided": 1.0}),
        (theory.cold_page_yield, {"records_per_page": 64, "loss": 1.5}),
        (theory.live_fraction_of_causes, {"rates": [1.0], "downs": []}),
        (theory.count_mean, {"window": 9, "gap_mean": 1}),
        (theory.count_variance, {"window": 9, "gap_mean": 1, "gap_variance": 1}),
        (theory.count_dispersion, {"gap_mean": 0, "gap_variance": 1}),
        (theory.poisson_count_variance, {"rate": 1, "window": 10, "dead": 1}),
        (theory.systematic_variance, {"values": [1.0, 2.0, 3.0], "interval": 2}),
        (theory.intraclass_correlation, {"values": [1.0, 1.0], "interval": 1}),
        (theory.systematic_variance_of, {"n": 2, "population": 4, "s2": 1, "rho": 1.5}),
        (theory.random_order_variance, {"n": 5, "population": 4, "s2": 1}),
        (theory.loss_bias, {"share": np.ones(1), "loss": np.full(1, 1.5)}),
    ],
)
def test_outside_its_conditions_a_form_is_refused(
    form: object, arguments: dict[str, object]
) -> None:
    """No number where the form does not hold."""
    with pytest.raises(theory.ConditionError, match="the closed form needs"):
        form(**arguments)  # type: ignore[operator]


def test_a_floor_of_few_samples_is_a_distance() -> None:
    """Of three samples of a thousand groups: at most 1, so that it may stand in a report."""
    assert theory.expected_tvd(np.full(1000, 1e-3), 3) == 1.0
