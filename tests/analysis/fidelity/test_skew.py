"""Skew: what it finds, what it does not call skew, and how sure it is, by simulation.

Counts are drawn here, not simulated by the machine: multinomial per replication from shares that
are biased, that scatter from run to run (Dirichlet), or neither.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.fidelity import skew
from analysis.statistics.answers import Kind, answer
from analysis.statistics.intervals import F64, Metric
from reports.validation.statistics import moved, zipf
from tests.rigs.fakes import Plan, arm

TRIALS = 250
MARGIN = 0.01
NOMINAL = 0.05


def found(q: F64, p: F64, n: int, samples: int, seed: int, family: int = 1) -> list[Metric]:
    """Skew in each trial."""
    rng = np.random.default_rng(seed)
    draw = (rng.multinomial(samples, q, n) for _ in range(TRIALS))
    return [skew.of_shares(counts, p, family) for counts in draw]


def slack(rate: float) -> float:
    """Four standard errors of a rate."""
    return 4 * math.sqrt(rate * (1 - rate) / TRIALS)


@pytest.mark.parametrize("groups", [2, 20, 200])
@pytest.mark.parametrize("n", [2, 4, 8, 16])
@pytest.mark.parametrize("samples", [400, 20_000])
def test_null_is_not_called_skew(groups: int, n: int, samples: int) -> None:
    """No bias: the interval leaves 0 out in at most 5 % of the trials, plus 4 SE."""
    p = zipf(groups)
    hits = sum((m.low or 0.0) > 0 for m in found(p, p, n, samples, seed=groups * n))
    assert hits / TRIALS <= NOMINAL + slack(NOMINAL)


@pytest.mark.parametrize("groups", [2, 20, 200])
@pytest.mark.parametrize("n", [2, 4, 8, 16])
@pytest.mark.parametrize("share", [0.003, 0.03])
def test_intervals_hold_the_bias(groups: int, n: int, share: float) -> None:
    """Coverage of at least 93 %, minus 4 SE; never a fraction outside [0, 1]."""
    p = zipf(groups)
    rows = found(moved(p, share), p, n, 20_000, seed=7 * groups + n)
    held = [(m.low or 0.0) <= share <= (m.high or 0.0) for m in rows]
    assert sum(held) / TRIALS >= 0.93 - slack(0.93)
    assert all(0 <= (m.low or 0.0) <= m.value <= (m.high or 0.0) <= 1 for m in rows)


@pytest.mark.parametrize("n", [4, 8, 16])
@pytest.mark.parametrize("groups", [20, 200])
def test_intervals_hold_what_scatters(n: int, groups: int) -> None:
    """Runs that differ by more than sampling: the mean distance of their profiles is covered."""
    p = zipf(groups)
    rng = np.random.default_rng(groups + n)
    true = float(np.abs(rng.dirichlet(1000 * p, 4000) - p).sum(axis=1).mean() / 2)
    held = 0
    for _ in range(TRIALS):
        runs = rng.dirichlet(1000 * p, n)
        counts = np.stack([rng.multinomial(20_000, q) for q in runs])
        m = skew.of_shares(counts, p)
        held += (m.low or 0.0) <= true <= (m.high or 0.0)
    assert held / TRIALS >= 0.93 - slack(0.93)


@pytest.mark.parametrize(("n", "power", "same"), [(4, 0.9, 0.25), (8, 0.99, 0.95)])
def test_power(n: int, power: float, same: float) -> None:
    """A bias of three margins among 200 groups is called skew, and none is called the same."""
    p = zipf(200)
    kinds = [
        answer(m.mean, m.ci95, MARGIN, n=m.n).kind
        for m in found(moved(p, 0.03), p, n, 100_000, seed=n)
    ]
    assert kinds.count(Kind.SKEWED) / TRIALS >= power
    assert Kind.SAME not in kinds
    null = [
        answer(m.mean, m.ci95, MARGIN, n=m.n).kind for m in found(p, p, n, 100_000, seed=n + 50)
    ]
    assert null.count(Kind.SAME) / TRIALS >= same


def test_the_number_is_the_bias() -> None:
    """1e-3 of all samples moved: told as that on average, not what noise adds to a distance."""
    p = zipf(40)
    rows = found(moved(p, 1e-3), p, 8, 1_000_000, seed=5)
    assert np.mean([m.value for m in rows]) == pytest.approx(1e-3, rel=0.05)


def test_more_arms_make_the_low_end_lower() -> None:
    """Fifteen arms at once: all of their low ends hold in 95 % of the families."""
    p = zipf(20)
    alone, many = (found(moved(p, 0.02), p, 8, 20_000, 3, family) for family in (1, 30))
    assert all((a.low or 0.0) > (b.low or 0.0) for a, b in zip(alone, many, strict=True))
    assert [a.high for a in alone] == [b.high for b in many]
    null = found(p, p, 2, 20_000, 11, family=30)
    assert sum((m.low or 0.0) > 0 for m in null) / TRIALS <= 0.01


def test_a_loop_in_step_is_skew_although_its_mean_is_right() -> None:
    """Each run sees one instruction of ten, each time another one."""
    p = np.full(10, 0.1)
    counts = 1000 * np.eye(10, dtype=np.int64)
    m = skew.of_shares(counts, p)
    assert m.low == pytest.approx(0.9 - 0.0379, abs=0.01)
    assert m.value == pytest.approx(0.9, abs=0.01)
    assert skew.of_differences(counts, np.roll(counts, 1, axis=0)).low == 0


def test_equal_replications_are_no_proof() -> None:
    """Two runs that are off by the same few samples: the interval still begins at 0."""
    p = np.array([0.5, 0.5])
    m = skew.of_shares(np.array([[11, 9], [11, 9]]), p)
    assert m.low == 0
    assert m.value == pytest.approx(0.05)
    assert (m.high or 0.0) > 0.2


def test_what_is_the_truth_is_exact_and_what_is_alone_has_no_interval() -> None:
    """No difference in any replication; one replication; none with samples."""
    p = np.array([0.25, 0.75])
    assert skew.of_shares(np.array([[1, 3], [25, 75]]), p).exact
    assert skew.of_shares(np.array([[1, 3]]), p).ci95 is None
    assert skew.of_shares(np.array([[0, 0], [1, 3]]), p).ci95 is None


def test_of_arms() -> None:
    """Baremetal's own samples are exact; eight points moved are found, in truth and beside it."""
    bare = arm(Plan(samples=100_000))
    same = arm(Plan(name="v6", design="v6", samples=100_000))
    assert skew.against_baremetal(same, bare, "pc").exact
    assert skew.against_baremetal(bare, bare, "pc").mean is None
    assert skew.against_baremetal(same, None, "pc").mean is None
    biased = arm(
        Plan(name="x", design="v6", samples=100_000, seed=2, shares=(0.42, 0.38, 0.15, 0.05))
    )
    for m in (
        skew.against_truth(biased, "symbol", 10),
        skew.against_baremetal(biased, bare, "symbol", 10),
    ):
        assert m.value == pytest.approx(0.08, abs=0.003)
        assert (m.low or 0.0) > 0.07
        assert (m.high or 0.0) < 0.09
