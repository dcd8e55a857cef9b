"""Checks as statistics: promised power, nominal false-positive rates, families, sentences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.statistics.distributions import excess, histogram
from analysis.statistics.families import (
    Estimate,
    Finding,
    Question,
    Region,
    amount,
    decide,
    difference,
    estimate,
    from_metric,
    holm,
    needed_for_decision,
    resolution,
)
from analysis.statistics.intervals import metric
from analysis.statistics.needed import ALPHA, POWER
from analysis.statistics.tails import t_quantile
from analysis.statistics.verdicts import Status

TRIALS = 800
N = 10
SD = 2.0
MARGIN = 3.0
F64 = NDArray[np.float64]


def within(trials: int, p: float) -> float:
    """Four standard errors of a rate."""
    return 4 * math.sqrt(p * (1 - p) / trials)


def far(sd: float = SD, n: int = N, alpha: float = ALPHA) -> float:
    """Distance from an end of the region at which a one-sided t-test has POWER."""
    return (t_quantile(1 - alpha, n - 1) + t_quantile(POWER, n - 1)) * sd / math.sqrt(n)


def question(found: Estimate, region: Region, zero: bool = False) -> Question:
    """A check of one estimate."""
    return Question("check", "any", "metric", "it", region, found, zero)


def status(found: Estimate, region: Region) -> Status:
    """Its verdict, alone in its family."""
    return decide([question(found, region)])[0].verdict.status


def rate(make: Callable[[np.random.Generator], Status], wanted: Status) -> float:
    """How often a simulated check comes out as `wanted`."""
    rng = np.random.default_rng(20260101)
    return sum(make(rng) is wanted for _ in range(TRIALS)) / TRIALS


def drawn(rng: np.random.Generator, mean: float) -> Estimate:
    """What `result.json` would hold of N replications, read back."""
    m = metric(rng.normal(mean, SD, N), "ms")
    return from_metric(m)


EQUIVALENCE = Region(-MARGIN, MARGIN)
AT_MOST = Region(-math.inf, MARGIN)
AT_LEAST = Region(MARGIN, math.inf)
EDGES = [(EQUIVALENCE, MARGIN, 1), (AT_MOST, MARGIN, 1), (AT_LEAST, MARGIN, -1)]


@pytest.mark.parametrize(("region", "edge", "out"), EDGES)
def test_null_is_within_nominal_level(region: Region, edge: float, out: int) -> None:
    """With the truth on the very edge, the worst case, wrong PASS and wrong FAIL stay below α."""
    for wrong in (Status.PASS, Status.FAIL):
        found = rate(lambda rng: status(drawn(rng, edge), region), wrong)
        assert found <= ALPHA + within(TRIALS, ALPHA)


@pytest.mark.parametrize(("region", "edge", "out"), EDGES)
def test_bias_of_known_size_is_found(region: Region, edge: float, out: int) -> None:
    """A bias as far beyond the edge as promised is FAIL with the promised power."""
    biased = edge + out * far()
    found = rate(lambda rng: status(drawn(rng, biased), region), Status.FAIL)
    assert found >= POWER - within(TRIALS, POWER)


@pytest.mark.parametrize(("region", "edge", "out"), EDGES)
def test_harmless_change_stays_green(region: Region, edge: float, out: int) -> None:
    """A change that stays well inside is PASS with the promised power, and hardly ever FAIL."""
    harmless = edge - out * far()
    green = rate(lambda rng: status(drawn(rng, harmless), region), Status.PASS)
    red = rate(lambda rng: status(drawn(rng, harmless), region), Status.FAIL)
    assert green >= POWER - within(TRIALS, POWER)
    assert red <= 0.01


def test_null_with_margins_below_the_noise() -> None:
    """Even a margin far below the standard error fails by chance in at most α of the checks."""
    narrow = Region(-0.01, 0.01)
    assert rate(lambda rng: status(drawn(rng, 0.0), narrow), Status.FAIL) <= ALPHA + within(
        TRIALS, ALPHA
    )


def versus(rng: np.random.Generator, change: float) -> Estimate:
    """A metric against its baseline: independent replications, other numbers of them."""
    return difference(
        estimate(list(rng.normal(100 + change, SD, N)), "ms"),
        estimate(list(rng.normal(100, 2 * SD, N + 5)), "ms"),
    )


def test_no_worse_than_keeps_level_and_power() -> None:
    """Welch: on the margin FAIL at most α; beyond it by the promised distance FAIL with power."""
    se = math.sqrt(SD**2 / N + 4 * SD**2 / (N + 5))
    reach = (t_quantile(1 - ALPHA, 20) + t_quantile(POWER, 20)) * se
    on_edge = rate(lambda rng: status(versus(rng, MARGIN), AT_MOST), Status.FAIL)
    wrong_pass = rate(lambda rng: status(versus(rng, MARGIN), AT_MOST), Status.PASS)
    worse = rate(lambda rng: status(versus(rng, MARGIN + reach), AT_MOST), Status.FAIL)
    harmless = rate(lambda rng: status(versus(rng, MARGIN - reach), AT_MOST), Status.PASS)
    assert max(on_edge, wrong_pass) <= ALPHA + within(TRIALS, ALPHA)
    assert min(worse, harmless) >= POWER - within(TRIALS, POWER)


def sampled(rng: np.random.Generator, spread: int, shift: int) -> list[float]:
    """Excess distances of 6 replications of two arms, one perhaps shifted; runs differ."""

    def arm(extra: int) -> list[object]:
        return [
            histogram(rng.integers(0, spread, 200) + rng.integers(0, 3) + extra) for _ in range(6)
        ]

    return excess(arm(shift), arm(0), "wasserstein")  # type: ignore[arg-type]


def test_distribution_null_and_injected_shift() -> None:
    """Distributions that are alike fail in at most α of 600 checks; a shift of 4 margins does."""
    region = Region(-math.inf, 1.0)
    rng = np.random.default_rng(5)
    null = [status(estimate(sampled(rng, 50, 0), "ops"), region) for _ in range(600)]
    assert null.count(Status.FAIL) / 600 <= ALPHA + within(600, ALPHA)
    injected = [status(estimate(sampled(rng, 50, 6), "ops"), region) for _ in range(100)]
    assert injected.count(Status.FAIL) / 100 >= POWER
    harmless = [
        status(estimate(sampled(rng, 50, 0), "ops"), Region(-math.inf, 4.0)) for _ in range(100)
    ]
    assert harmless.count(Status.PASS) / 100 >= POWER


def test_family_has_the_level_of_one() -> None:
    """Of ten checks on their edges together, one or more is wrong in at most α of 600 families."""
    rng = np.random.default_rng(9)
    wrong = {Status.PASS: 0, Status.FAIL: 0}
    for _ in range(600):
        found = decide([question(drawn(rng, MARGIN), AT_MOST) for _ in range(10)])
        for kind in wrong:
            wrong[kind] += any(f.verdict.status is kind for f in found)
    assert max(wrong.values()) / 600 <= ALPHA + within(600, ALPHA)


def test_without_correction_the_family_would_fail() -> None:
    """Positive control for the correction: each alone at α is wrong far too often together."""
    rng = np.random.default_rng(9)
    wrong = sum(
        any(status(drawn(rng, MARGIN), AT_MOST) is Status.FAIL for _ in range(10))
        for _ in range(200)
    )
    assert wrong / 200 > 0.2


def test_holm() -> None:
    """The textbook example, order kept, never above 1, monotone."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("values", [[0.5] * 8, [7.0] * 8])
def test_no_variance_is_skip_with_its_reason(values: list[float]) -> None:
    """Equal replications: SKIP, which says on which side they are and what to use."""
    (found,) = decide([question(estimate(values, "ms"), AT_MOST)])
    assert found.verdict.status is Status.SKIP
    assert found.verdict.interval == "exact"
    assert "no variance" in found.verdict.sentence
    assert ("OUTSIDE" in found.verdict.sentence) is (values[0] > MARGIN)
    assert "test: exact" in found.verdict.sentence


@pytest.mark.parametrize(("values", "why"), [([], "no replication"), ([1.0], "no spread")])
def test_too_few_values_are_skip(values: list[float], why: str) -> None:
    """Nothing, or one value: SKIP with the reason."""
    (found,) = decide([question(estimate(values, "ms"), AT_MOST)])
    assert found.verdict.status is Status.SKIP
    assert why in found.verdict.sentence


def test_skips_do_not_count_in_the_family() -> None:
    """A check without statistics costs the others no power."""
    rng = np.random.default_rng(3)
    alone = decide([question(drawn(rng, 0.0), EQUIVALENCE)])[0]
    rng = np.random.default_rng(3)
    skips = [question(estimate([1.0] * 5, "ms"), EQUIVALENCE) for _ in range(50)]
    assert decide([question(drawn(rng, 0.0), EQUIVALENCE), *skips])[0] == alone


def spread(sd: float, n: int, mean: float = 0.0) -> Estimate:
    """An estimate with exactly this spread."""
    return Estimate(mean, sd / math.sqrt(n), n - 1, n, "fraction")


def one(found: Estimate, region: Region, zero: bool = True) -> Finding:
    """Decided alone."""
    return decide([question(found, region, zero)])[0]


def test_warning_about_its_own_power() -> None:
    """Too few replications: what they can resolve, what was asked, and how many would do."""
    region = Region(-0.005, 0.005)
    found = one(spread(0.02, 12), region)
    assert found.verdict.status is Status.UNDECIDED
    assert "12 replications can resolve 1.8" in found.warning
    assert "you asked for 0.5 %" in found.warning
    needed = int(found.warning.rpartition(" ")[2])
    can = resolution(question(spread(0.02, needed), region, True))
    less = resolution(question(spread(0.02, needed - 1), region, True))
    assert can <= 0.005 < less
    assert one(spread(0.02, needed), region).warning == ""


def test_replications_that_the_warning_names_are_enough() -> None:
    """With as many as the warning says, a harmless arm passes with the promised power."""
    region = Region(-0.005, 0.005)
    needed = int(one(spread(0.006, 5), region).warning.rpartition(" ")[2])
    rng = np.random.default_rng(4)
    passed = sum(
        status(estimate(list(rng.normal(0, 0.006, needed)), "fraction"), region) is Status.PASS
        for _ in range(600)
    )
    assert passed / 600 >= POWER - within(600, POWER)


def test_undecided_says_what_would_decide() -> None:
    """The number of replications, or that no number would."""
    found = one(spread(1.0, 5, mean=0.4), Region(-1, 1), zero=False).verdict
    assert found.status is Status.UNDECIDED
    needed = needed_for_decision(question(spread(1.0, 5, mean=0.4), Region(-1, 1)))
    assert f"about {needed} replications would" in found.sentence
    edge = one(spread(1.0, 5, mean=1.0), Region(-1, 1), zero=False).verdict
    assert "too close to the edge" in edge.sentence


def test_correction_is_named_where_it_decides() -> None:
    """Inside taken alone, undecided in a large family: the sentence says so."""
    clear = question(spread(0.1, 6), Region(-0.13, 0.13))
    assert decide([clear])[0].verdict.status is Status.PASS
    many = decide([clear, *[question(spread(1.0, 6), Region(-0.1, 0.1)) for _ in range(30)]])[0]
    assert many.verdict.status is Status.UNDECIDED
    assert "not after Holm's correction for 31 checks" in many.verdict.sentence


def test_interval_cut_to_bounds_still_tells_its_spread() -> None:
    """A fraction whose interval was cut at 0 has the standard error of its uncut side."""
    values = [0.0, 0.01, 0.0, 0.09, 0.0]
    cut = metric(values, "fraction", (0.0, 1.0))
    assert isinstance(cut.ci95, tuple)
    assert cut.ci95[0] == 0.0
    found = from_metric(cut)
    assert found.se == pytest.approx(estimate(values, "fraction").se)


def test_missing_replications_are_left_out() -> None:
    """NaN is no value."""
    assert estimate([1.0, math.nan, 3.0], "ms").n == 2
    assert difference(estimate([], "ms"), estimate([1.0, 2.0], "ms")).mean is None
    assert difference(estimate([1.0], "ms"), estimate([1.0, 2.0], "ms")).se is None


def test_an_interval_never_says_what_the_verdict_does_not() -> None:
    """In families of every size: wholly inside is PASS, wholly beyond is FAIL, else UNDECIDED."""
    rng = np.random.default_rng(8)
    kinds = set()
    for size in (1, 2, 15):
        for _ in range(60):
            asked = [
                question(
                    estimate(list(rng.normal(rng.uniform(-3, 3), 1.0, 5)), "ms"), Region(-1, 1)
                )
                for _ in range(size)
            ]
            for found in decide(asked):
                verdict = found.verdict
                assert isinstance(verdict.interval, tuple)
                low, high = verdict.interval
                inside, beyond = low > -1 and high < 1, low > 1 or high < -1
                kinds.add(verdict.status)
                if inside:
                    assert verdict.status is Status.PASS
                if beyond:
                    assert verdict.status is Status.FAIL
                if verdict.status is Status.UNDECIDED:
                    assert not inside
                    assert not beyond
    assert kinds == {Status.PASS, Status.FAIL, Status.UNDECIDED}


def test_intervals_of_shares_are_shares() -> None:
    """77 % with a wide spread: not up to 116 %."""
    found = replace(estimate([0.4, 0.95, 0.96], "fraction"), bounds=(0.0, 1.0))
    (finding,) = decide([question(found, Region(-math.inf, 0.9))])
    assert isinstance(finding.verdict.interval, tuple)
    assert finding.verdict.interval[1] == 1.0
    assert "to 100 %" in finding.verdict.sentence


def test_what_rounding_leaves_is_nothing() -> None:
    """No 5.8e-15 %."""
    assert amount(5.8e-17, "fraction") == "0 %"
