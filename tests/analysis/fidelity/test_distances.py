"""Distances between profiles, their noise floors, and agreement of ranks."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.fidelity import distances as d
from analysis.fidelity.distances import distances, thinned, tvd
from analysis.statistics.intervals import F64
from analysis.theory import expected_tvd
from tests.rigs.fakes import Plan, arm


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
    expected = expected_tvd(p, n, n2)
    assert abs(float(np.mean(found)) - expected) < 4 * error + 0.01 * expected


def test_no_samples_have_no_floor() -> None:
    """A floor of nothing is not a number."""
    assert math.isnan(expected_tvd(np.array([0.5, 0.5]), 0))


def test_same_samples_have_no_excess_exactly() -> None:
    """An arm with baremetal's own samples is 0 in excess, not nearly 0."""
    bare = arm(Plan())
    found = distances(arm(Plan(name="v6", design="v6")), bare, "symbol")
    assert (found["tvd_excess"].mean, found["tvd_excess"].ci95) == (0, "exact")
    assert found["tvd_vs_baremetal"] == found["tvd_noise_floor"]


def excess_seen(plan: Plan, trials: int, name: str = "tvd") -> float:
    """How often the interval of an excess lies above zero."""
    hits = 0
    for k in range(trials):
        bare = arm(Plan(replications=plan.replications, seed=10_000 + k))
        other = arm(Plan(**{f: getattr(plan, f) for f in plan.__slots__} | {"seed": k}))
        ci = distances(other, bare, "symbol")[f"{name}_excess"].ci95
        hits += isinstance(ci, tuple) and ci[0] > 0
    return hits / trials


@pytest.mark.parametrize("name", list(d.DISTANCES))
def test_noise_is_not_called_skew(name: str) -> None:
    """False positives of `excess > 0` under independent noise: 300 trials, 2.5 % + 4 SE."""
    rate = excess_seen(Plan(name="x", replications=8), 300, name)
    assert rate <= 0.025 + 4 * math.sqrt(0.025 * 0.975 / 300)


def test_fewer_samples_are_not_called_skew() -> None:
    """An arm with a third of the samples is noisier; the floor is thinned to match."""
    rate = excess_seen(Plan(name="x", samples=333, replications=8), 400)
    assert rate <= 0.025 + 4 * math.sqrt(0.025 * 0.975 / 400)


@pytest.mark.parametrize("name", list(d.DISTANCES))
def test_skew_is_found(name: str) -> None:
    """Positive control: 8 points moved from one symbol to another."""
    biased = Plan(name="x", shares=(0.42, 0.38, 0.15, 0.05), replications=8)
    assert excess_seen(biased, 50, name) > 0.95


def test_arms_that_ended_early_are_not_compared() -> None:
    """A profile of a prefix says nothing about the whole: no distance from baremetal."""
    found = distances(arm(Plan(name="x", design="v6", ended_at=1000)), arm(Plan()), "symbol")
    assert found["tvd_vs_baremetal"].mean is None
    assert found["tvd_vs_truth"].mean is not None


def test_one_replication_is_not_judged() -> None:
    """Without an independent baremetal run there is no measured floor."""
    found = distances(arm(Plan(name="x", replications=1)), arm(Plan(replications=1)), "symbol")
    assert found["tvd_excess"].mean is None


def test_thinning_takes_from_what_is_there() -> None:
    """A thinned profile has n samples, none more than before, and is reproducible."""
    counts = np.array([100, 0, 50, 7])
    thin = thinned(counts, 60, 3)
    assert thin.sum() == 60
    assert (thin <= counts).all()
    assert (thin == thinned(counts, 60, 3)).all()
    assert thinned(counts, 1000, 3) is counts


SHARE_VECTORS = st.lists(st.integers(0, 1000), min_size=2, max_size=30).filter(any)


def vector(counts: list[int], size: int) -> F64:
    """Shares of `size` groups."""
    padded = np.array([*counts, *([0] * size)][:size], float)
    return padded / padded.sum() if padded.any() else np.full(size, 1 / size)


@settings(deadline=None)
@given(SHARE_VECTORS, SHARE_VECTORS)
def test_distances_keep_their_bounds(a: list[int], b: list[int]) -> None:
    """Symmetric, 0 for equals, in range; H² <= TVD <= H sqrt(2 - H²); JS <= TVD ln 2."""
    size = max(len(a), len(b))
    p, q = vector(a, size), vector(b, size)
    for distance in (d.tvd, d.js, d.hellinger):
        assert distance(p, p) == pytest.approx(0, abs=1e-7)
        assert distance(p, q) == pytest.approx(distance(q, p), abs=1e-12)
    h, t = d.hellinger(p, q), d.tvd(p, q)
    assert h * h <= t + 1e-9
    assert t <= h * math.sqrt(2 - h * h) + 1e-9
    assert d.js(p, q) <= t * math.log(2) + 1e-9


def test_distances_of_disjoint_profiles_are_the_largest() -> None:
    """1, ln 2 and 1."""
    p, q = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert (d.tvd(p, q), float(d.hellinger(p, q))) == (1, 1)
    assert d.js(p, q) == pytest.approx(math.log(2))


@pytest.mark.parametrize("groups", [5, 200])
def test_floors_are_those_of_perfect_profiles(groups: int) -> None:
    """JS and Hellinger of multinomial profiles: 300 trials, 4 SE plus 3 %; RMS for Hellinger."""
    rng = np.random.default_rng(5)
    p = 1 / np.arange(1.0, groups + 1)
    p /= p.sum()
    n = 20_000
    profiles = rng.multinomial(n, p, 300) / n
    for found, expected in (
        (np.array([d.js(row, p) for row in profiles]), d.js_floor(p, n)),
        (np.array([d.hellinger(row, p) ** 2 for row in profiles]), d.hellinger_floor(p, n) ** 2),
    ):
        error = float(found.std()) / math.sqrt(found.size)
        assert abs(float(found.mean()) - expected) < 4 * error + 0.03 * expected


def test_floors_shrink_with_samples() -> None:
    """More samples, less noise, for every distance; nothing for no samples."""
    p = np.full(50, 0.02)
    for _, floor, _ in d.DISTANCES.values():
        values = [floor(p, n) for n in (10.0, 100.0, 1e4, 1e6)]
        assert all(a > b for a, b in pairwise(values))
        assert math.isnan(floor(p, 0))


def test_rare_groups_do_not_inflate_a_floor() -> None:
    """A profile of hardly any samples over many groups: no floor beyond the distance's maximum."""
    p = np.full(10_000, 1e-4)
    assert d.js_floor(p, 1) <= math.log(2) + 1e-9
    assert d.hellinger_floor(p, 1) <= 1 + 1e-9


def test_top_ten_agreement() -> None:
    """Jaccard of the ten largest; a group without samples is never among them."""
    ramp = np.arange(20.0)
    p, turned = d.tops(np.stack([ramp, ramp[::-1]]))
    assert (p, turned) == ([*range(19, 9, -1)], [*range(10)])
    assert d.top_agreement(p, p) == 1
    assert d.top_agreement(p, turned) == 0
    one, two, none, tied = d.tops(np.array([[1.0, 0, 0], [1.0, 1.0, 0], [0, 0, 0], [0, 1.0, 1.0]]))
    assert (none, tied) == ([], [1, 2])
    assert d.top_agreement(one, two) == 0.5
    assert math.isnan(d.top_agreement(none, p))
    assert d.hottest_agrees(p, p) == 1
    assert d.hottest_agrees(p, turned) == 0
    assert math.isnan(d.hottest_agrees(none, p))


def test_ranks_see_a_change_of_the_hottest() -> None:
    """Control: an arm whose hottest symbol is another one agrees in no replication."""
    swapped = arm(Plan(name="x", shares=(0.3, 0.5, 0.15, 0.05)))
    found = distances(swapped, arm(Plan()), "symbol")
    assert found["hottest_vs_truth"].mean == 0
    assert found["hottest_baremetal_pair"].mean == 1
    assert found["top10_vs_truth"].mean == 1


def test_overlap_is_the_rest_of_the_distance() -> None:
    """Mean and interval of 1 - TVD."""
    found = distances(arm(Plan(name="x", seed=3)), arm(Plan()), "pc")
    both = zip(found["overlap_vs_truth"].ends(), found["tvd_vs_truth"].ends()[::-1], strict=True)
    assert all(a == pytest.approx(1 - b) for a, b in both)
    assert set(found) == set(d.NAMES)


def test_missing_views_are_named_all_the_same() -> None:
    """Without kept records the latency view has every metric, none with a value."""
    found = distances(arm(Plan()), None, "latency")
    assert set(found) == set(d.NAMES)
    assert {m.mean for m in found.values()} == {None}
