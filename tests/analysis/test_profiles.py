"""Distances between profiles and their noise floors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis import profiles
from analysis.profiles import distances, tvd, tvd_floor
from tests.analysis.fakes import OPS, SHARES, Plan, arm, cells, stream


def test_tvd_is_half_the_moved_mass_twice() -> None:
    """Moving 10 % of a profile from one symbol to another is a distance of 0.1."""
    assert tvd(np.array([0.5, 0.5]), np.array([0.4, 0.6])) == pytest.approx(0.1)
    assert tvd(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1


@pytest.mark.parametrize("n2", [math.inf, 10_000.0])
def test_floor_is_the_mean_distance_of_perfect_profiles(n2: float) -> None:
    """E[TVD] of multinomial profiles, one or two of them: 300 trials, 4 SE plus 1 % of bias."""
    rng = np.random.default_rng(2)
    p = 1 / np.arange(1, 101)
    p /= p.sum()
    n = 20_000
    found = []
    for _ in range(300):
        other = p if math.isinf(n2) else rng.multinomial(int(n2), p) / n2
        found.append(tvd(rng.multinomial(n, p) / n, other))
    error = float(np.std(found)) / math.sqrt(len(found))
    expected = tvd_floor(p, n, n2)
    assert abs(float(np.mean(found)) - expected) < 4 * error + 0.01 * expected


def test_no_samples_have_no_floor() -> None:
    """A floor of nothing is not a number."""
    assert math.isnan(tvd_floor(np.array([0.5, 0.5]), 0))


def test_groups_keep_every_count() -> None:
    """All four views of a histogram add up to the same total, and name each group."""
    table = stream()
    counts = cells(SHARES, OPS)
    for by in profiles.VIEWS:
        grouped = profiles.group(counts, table, by)
        assert grouped.sum() == counts.sum()
        assert len(profiles.labels(table, by)) == grouped.size


def test_symbol_view_has_the_shares() -> None:
    """The fake stream's symbols have the shares they were given, and no op is outside."""
    grouped = profiles.group(cells(SHARES, OPS), stream(), "symbol")
    assert list(grouped / OPS) == pytest.approx([*SHARES, 0])


def test_ops_outside_symbols_are_counted() -> None:
    """Static ops with symbol -1 go to the last group."""
    table = stream()
    table.static_symbol[:5] = -1
    grouped = profiles.group(cells(SHARES, OPS), table, "symbol")
    assert grouped[-1] == OPS * SHARES[0]


def test_same_samples_have_no_excess_exactly() -> None:
    """An arm with baremetal's own samples is 0 in excess, not nearly 0."""
    bare = arm(Plan())
    found = distances(arm(Plan(name="v6", design="v6")), bare, "symbol")
    assert (found.tvd_excess.mean, found.tvd_excess.ci95) == (0, "exact")
    assert found.tvd_vs_baremetal == found.tvd_noise_floor


def excess_seen(plan: Plan, trials: int) -> float:
    """How often the interval of the excess lies above zero."""
    hits = 0
    for k in range(trials):
        bare = arm(Plan(replications=plan.replications, seed=10_000 + k))
        other = arm(Plan(**{f: getattr(plan, f) for f in plan.__slots__} | {"seed": k}))
        ci = distances(other, bare, "symbol").tvd_excess.ci95
        hits += isinstance(ci, tuple) and ci[0] > 0
    return hits / trials


def test_noise_is_not_called_skew() -> None:
    """False positives of `excess > 0` under independent noise: 400 trials, 2.5 % + 4 SE."""
    rate = excess_seen(Plan(name="x", replications=8), 400)
    assert rate <= 0.025 + 4 * math.sqrt(0.025 * 0.975 / 400)


def test_fewer_samples_are_not_called_skew() -> None:
    """An arm with a third of the samples is noisier; the floor is thinned to match."""
    rate = excess_seen(Plan(name="x", samples=333, replications=8), 400)
    assert rate <= 0.025 + 4 * math.sqrt(0.025 * 0.975 / 400)


def test_skew_is_found() -> None:
    """Positive control: 8 points moved from one symbol to another."""
    biased = Plan(name="x", shares=(0.42, 0.38, 0.15, 0.05), replications=8)
    assert excess_seen(biased, 50) > 0.95


def test_arms_that_ended_early_are_not_compared() -> None:
    """A profile of a prefix says nothing about the whole: no distance from baremetal."""
    found = distances(arm(Plan(name="x", design="v6", ended_at=1000)), arm(Plan()), "symbol")
    assert found.tvd_vs_baremetal.mean is None
    assert found.tvd_vs_truth.mean is not None


def test_one_replication_is_not_judged() -> None:
    """Without an independent baremetal run there is no measured floor."""
    found = distances(arm(Plan(name="x", replications=1)), arm(Plan(replications=1)), "symbol")
    assert found.tvd_excess.mean is None


def test_thinning_takes_from_what_is_there() -> None:
    """A thinned profile has n samples, none more than before, and is reproducible."""
    counts = np.array([100, 0, 50, 7])
    thin = profiles.thinned(counts, 60, 3)
    assert thin.sum() == 60
    assert (thin <= counts).all()
    assert (thin == profiles.thinned(counts, 60, 3)).all()
    assert profiles.thinned(counts, 1000, 3) is counts


def test_baseline_is_the_arm_called_baremetal() -> None:
    """By name first, then the first without a hypervisor, else none."""
    bare, other, virtual = (
        arm(Plan()),
        arm(Plan(name="fast-irq")),
        arm(Plan(name="v6", design="v6")),
    )
    assert profiles.baseline_of([virtual, other, bare]) is bare
    assert profiles.baseline_of([virtual, other]) is other
    assert profiles.baseline_of([virtual]) is None
