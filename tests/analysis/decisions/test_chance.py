"""Regret of random samples against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.decisions import chance
from analysis.decisions.chance import Curve, curve, drawn, thinned
from analysis.decisions.choosing import Question, listed

TRIALS = 4000


def two(p: int, q: int, others: int = 0) -> Question:
    """The larger of two functions."""
    return listed("hot-functions", "functions", np.array([p, q]), others, "1")


def expected(p: float, n: int) -> float:
    """(1 - q/p) P(the other one is ahead), ties half: n samples of two items of shares p > q."""
    wrong = stats.binom.cdf((n - 1) // 2, n, p) if n % 2 else stats.binom.cdf(n // 2 - 1, n, p)
    tie = 0.0 if n % 2 else stats.binom.pmf(n // 2, n, p)
    return (1 - (1 - p) / p) * float(wrong + tie / 2)


@pytest.mark.parametrize("n", [1, 2, 7, 20, 101])
def test_two_items_by_the_closed_form(n: int) -> None:
    """Within four standard errors of the binomial's."""
    question, rng = two(60, 40), np.random.default_rng(1)
    regrets = [1 - question.quality(drawn(question, n, rng)) for _ in range(TRIALS)]
    error = float(np.std(regrets)) / math.sqrt(TRIALS)
    assert abs(np.mean(regrets) - expected(0.6, n)) < 4 * max(error, 1e-4)


def test_samples_of_no_matter_make_fewer() -> None:
    """Nine of ten samples fall elsewhere: as many as a tenth, up to how many that is."""
    question, rng = two(60, 40, 900), np.random.default_rng(2)
    regrets = [1 - question.quality(drawn(question, 200, rng)) for _ in range(TRIALS)]
    mean = sum(stats.binom.pmf(n, 200, 0.1) * expected(0.6, n) for n in range(1, 80))
    mean += stats.binom.pmf(0, 200, 0.1)  # nothing seen, nothing chosen
    error = np.std(regrets) / math.sqrt(TRIALS)
    assert abs(np.mean(regrets) - mean) < 4 * error


def test_equal_items_cost_nothing() -> None:
    """Whichever of equal items is taken, it is as good: negative control."""
    question, rng = two(50, 50), np.random.default_rng(3)
    assert all(question.quality(drawn(question, 5, rng)) == 1 for _ in range(100))


def test_a_curve_falls_to_no_regret() -> None:
    """Few samples are worse than many, and with enough of them nothing is lost."""
    found = curve(two(60, 40), 10_000)
    assert found.samples[0] == chance.LEAST
    assert found.samples[-1] >= 10_000 * chance.STEP
    assert found.regret[0] > 0.02
    assert found.regret[-1] == 0


def test_as_many_random_samples() -> None:
    """On a line in ratios between two points, its ends outside."""
    line = Curve(np.array([16.0, 64.0, 256.0]), np.array([0.4, 0.2, 0.0]))
    assert line.as_many_as(0.4, 1000) == 16
    assert line.as_many_as(0.9, 1000) == 16
    assert line.as_many_as(0.3, 1000) == pytest.approx(32)
    assert line.as_many_as(0.1, 1000) == pytest.approx(128)
    assert math.isnan(line.as_many_as(math.nan, 1000))


def test_without_regret_samples_are_worth_themselves() -> None:
    """More would do no better, so nobody can say that they are worth fewer."""
    line = Curve(np.array([16.0, 64.0, 256.0]), np.array([0.4, 0.0, 0.0]))
    assert line.as_many_as(0.0, 1000) == 1000
    assert line.as_many_as(0.0, 20) == pytest.approx(64)
    flat = Curve(np.array([16.0, 64.0]), np.array([0.1, 0.1]))
    assert flat.as_many_as(0.05, 300) == 300


def test_thinning_is_hypergeometric() -> None:
    """Mean and variance of a cell of a thinned profile; nothing is thinned upwards."""
    cells, samples, n = np.array([300, 100]), 1000, 200
    rng = np.random.default_rng(4)
    found = np.array([thinned(cells, samples, n, rng) for _ in range(TRIALS)])
    law = stats.hypergeom(samples, 300, n)
    assert abs(found[:, 0].mean() - law.mean()) < 4 * law.std() / math.sqrt(TRIALS)
    assert abs(found[:, 0].std() / law.std() - 1) < 0.06
    assert thinned(cells, samples, 2000, rng) is cells
