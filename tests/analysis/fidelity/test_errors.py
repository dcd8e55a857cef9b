"""Signed errors by group: intervals, family-wise discoveries, error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.fidelity import errors
from tests.rigs.fakes import SHARES, Plan, arm


@settings(deadline=None)  # the first call imports scipy.stats
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_discoveries_are_those_of_benjamini_and_hochberg(p: list[float]) -> None:
    """The same decisions as scipy's adjusted p-values."""
    from scipy.stats import false_discovery_control

    adjusted = false_discovery_control(np.array(p))
    sure = np.abs(adjusted - errors.RATE) > 1e-9
    assert (errors.discoveries(np.array(p)) == (adjusted <= errors.RATE))[sure].all()


def test_unknown_p_values_find_nothing() -> None:
    """One replication has no test, and leaves the others theirs."""
    assert list(errors.discoveries(np.array([math.nan, 1e-9]))) == [False, True]
    assert math.isnan(errors.p_values(np.array([0.1]), 1000))
    assert errors.p_values(np.zeros(5), 1000) == 1


def test_equal_differences_are_no_proof() -> None:
    """One sample of 1,000 too many in both replications is chance; 500 of them are not."""
    assert errors.p_values(np.full(2, 0.1), 1000) > 0.3
    assert errors.p_values(np.full(8, 50.0), 1000) < 1e-6
    ((found, differs),) = errors.metrics(np.full((2, 1), 0.1), 1000)
    assert not differs
    assert found.low is not None
    assert found.low < 0 < found.value


@pytest.mark.parametrize("n", [2, 4, 8, 16])
@pytest.mark.parametrize("symbols", [2, 20, 200])
@pytest.mark.parametrize("moved", [1, 30])
def test_few_samples_that_differ_are_rarely_an_error(n: int, symbols: int, moved: int) -> None:
    """Arms that share all draws but some, which fall anywhere: in at most 5 %, plus 4 SE."""
    rng = np.random.default_rng(symbols + n)
    p = 1 / np.arange(1, symbols + 1)
    p /= p.sum()
    trials, hits = 300, 0
    for _ in range(trials):
        gone, came = rng.multinomial(moved, p, n), rng.multinomial(moved, p, n)
        hits += any(d for _, d in errors.metrics(100 * (came - gone) / 50_000, 50_000))
    assert hits / trials <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize("against", ["truth", "baremetal"])
def test_noise_is_rarely_an_error(against: str) -> None:
    """No arm differs: some symbol is called different in at most 5 % of 400 runs, plus 4 SE."""
    trials, hits = 400, 0
    for k in range(trials):
        bare = arm(Plan(replications=6, seed=10_000 + k))
        found = errors.errors_table([arm(Plan(name="x", replications=6, seed=k))], bare).frame()
        hits += bool(found[found["against"] == against]["differs"].any())
    assert hits / trials <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / trials)


def test_a_shift_is_found_with_its_sign() -> None:
    """Control: 8 points moved from alpha to beta, against truth and baremetal; delta is not."""
    biased = arm(Plan(name="x", shares=(0.42, 0.38, 0.15, 0.05), seed=5))
    found = errors.errors_table([biased], arm(Plan())).frame().to_dict("records")
    rows = {(row["against"], row["group"]): row for row in found}
    for against in ("truth", "baremetal"):
        alpha, beta = rows[against, "alpha"], rows[against, "beta"]
        assert alpha["differs"]
        assert beta["differs"]
        assert alpha["low"] < -8 < alpha["high"] < 0 < beta["low"] < 8 < beta["high"]


def test_false_discoveries_are_one_in_twenty() -> None:
    """Two of four symbols shifted: of what is found, at most 5 % is false; 200 runs, 4 SE."""
    false = []
    for k in range(200):
        plan = Plan(name="x", shares=(0.42, 0.38, 0.15, 0.05), seed=k, replications=6)
        found = errors.errors_table([arm(plan)], None).frame()
        named = set(found[found["differs"]]["group"])
        assert {"alpha", "beta"} <= named
        false.append(len(named - {"alpha", "beta"}) / len(named))
    assert np.mean(false) <= 0.05 + 4 * np.std(false) / math.sqrt(200)


def test_intervals_cover_the_truth() -> None:
    """95 % of the intervals of an unbiased share hold 0: 4 symbols × 300 runs, 4 SE."""
    inside = total = 0
    for k in range(300):
        found = errors.errors_table([arm(Plan(replications=6, seed=k))], None).frame()
        inside += int(((found["low"] <= 0) & (found["high"] >= 0)).sum())
        total += len(found)
    assert inside / total == pytest.approx(0.95, abs=4 * math.sqrt(0.05 * 0.95 / 300))


def test_errors_add_up_to_nothing() -> None:
    """Shares sum to one on both sides; truth shares are the plan's, largest first."""
    found = errors.errors_table([arm(Plan(seed=3))], None).frame()
    assert found["error"].sum() == pytest.approx(0, abs=1e-9)
    assert list(found["truth_share"]) == pytest.approx(SHARES)


def test_arms_without_samples_have_no_errors() -> None:
    """Nothing sampled, nothing said."""
    assert errors.errors_table([arm(Plan(samples=0))], arm(Plan())).frame().empty
