"""TOST: error rates, positive controls, and what is said when nothing can be said."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.statistics.verdicts import Status, Verdict, tost

TRIALS = 3000


def judge(values: object, margin: float = 1.0) -> Verdict:
    """A verdict about shifts in pp."""
    return tost(values, margin, unit="pp", what="share of x")  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [5, 20])
def test_false_pass_rate_at_the_margin(n: int) -> None:
    """With the true effect on the margin, PASS is wrong: at most α = 5 % of 3,000, plus 4 SE."""
    rng = np.random.default_rng(9)
    rows = rng.normal(1.0, 0.5, (TRIALS, n))
    passed = sum(judge(row).status is Status.PASS for row in rows)
    assert passed / TRIALS < 0.05 + 4 * math.sqrt(0.05 * 0.95 / TRIALS)


def test_false_fail_rate_inside_the_margin() -> None:
    """With the true effect inside, FAIL is wrong: at most α, plus 4 SE."""
    rng = np.random.default_rng(10)
    rows = rng.normal(0.99, 0.5, (TRIALS, 10))
    failed = sum(judge(row).status is Status.FAIL for row in rows)
    assert failed / TRIALS < 0.05 + 4 * math.sqrt(0.05 * 0.95 / TRIALS)


def test_positive_and_negative_control() -> None:
    """A large shift fails, a small one passes, a vague one is undecided with a way out."""
    spread = np.linspace(-0.2, 0.2, 12)
    assert judge(spread + 3).status is Status.FAIL
    assert judge(spread - 3).status is Status.FAIL
    assert judge(spread + 0.1).status is Status.PASS
    vague = judge(20 * spread + 0.1)
    assert vague.status is Status.UNDECIDED
    assert "replications would" in vague.sentence


def test_verdict_agrees_with_the_p_value() -> None:
    """PASS exactly when the larger p of scipy's two one-sided t-tests is below α."""
    from scipy.stats import ttest_1samp

    rng = np.random.default_rng(11)
    for row in rng.normal(0.6, 0.7, (50, 9)):
        p = max(
            ttest_1samp(row, -1.0, alternative="greater").pvalue,
            ttest_1samp(row, 1.0, alternative="less").pvalue,
        )
        assert (judge(row).status is Status.PASS) == (p < 0.05)


def test_no_variance_is_not_tested() -> None:
    """Equal replications are SKIP with the word exact, whatever the effect."""
    found = judge([0.2] * 6)
    assert (found.status, found.interval) == (Status.SKIP, "exact")
    assert found.effect == pytest.approx(0.2)
    assert "no variance" in found.sentence


def test_too_little_data_is_skip() -> None:
    """No value, or one replication: nothing to say."""
    assert judge([]).status is Status.SKIP
    assert judge([0.1]).status is Status.SKIP
