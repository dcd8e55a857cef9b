"""Rows 9 to 11 of the theory page: systematic sampling, by exact enumeration and in the simulator.

Without jitter the sampler takes every (N + 1)-th op from a random start: a systematic sample. Its
variance over starts is enumerated for short traces, and the simulator's is compared with it.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import theory
from analysis.fidelity import profiles
from analysis.statistics.intervals import F64
from sim.runs.batch import ArmResult
from sim.scenario.models.scenario import Scenario, Settings

Z = 4
GAP = 257
REPLICATIONS = 400

POPULATIONS = st.tuples(st.integers(2, 12), st.integers(2, 12), st.integers(0, 2**32 - 1))


def drawn(k: int, n: int, seed: int) -> F64:
    """A population of k × n values that differ."""
    y = np.random.default_rng(seed).normal(size=k * n)
    return np.asarray(y, np.float64)


@settings(deadline=None)
@given(POPULATIONS)
def test_variance_between_is_what_is_not_within(sizes: tuple[int, int, int]) -> None:
    """Row 9: σ² minus the mean variance within the samples."""
    k, n, seed = sizes
    y = drawn(k, n, seed)
    within = np.array([y[i::k].var() for i in range(k)])
    expected = float(y.var() - within.mean())
    assert theory.systematic_variance(y, k) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(deadline=None)
@given(POPULATIONS)
def test_correlation_gives_the_same_variance(sizes: tuple[int, int, int]) -> None:
    """Row 10: with ρ_w counted pair by pair the form gives row 9's number."""
    k, n, seed = sizes
    y = drawn(k, n, seed)
    d = (y - y.mean()).reshape(n, k)
    pairs = ((d.sum(axis=0) ** 2 - (d**2).sum(axis=0)) / (n * (n - 1))).mean()
    rho = float(pairs / y.var())
    assert theory.intraclass_correlation(y, k) == pytest.approx(rho, abs=1e-9)
    found = theory.systematic_variance_of(n, k * n, float(y.var(ddof=1)), rho)
    assert found == pytest.approx(theory.systematic_variance(y, k), rel=1e-6, abs=1e-9)


def test_random_order_is_simple_random_sampling() -> None:
    """Row 11: mean V_sy over 4,000 orders of a population, within Z standard errors."""
    y = drawn(10, 8, 11)
    rng = np.random.default_rng(12)
    found = np.array([theory.systematic_variance(rng.permutation(y), 10) for _ in range(4000)])
    expected = theory.random_order_variance(8, 80, float(y.var(ddof=1)))
    error = float(found.std(ddof=1)) / math.sqrt(found.size)
    assert abs(float(found.mean()) - expected) < Z * error
    assert abs(float(found.mean()) - float(y.var(ddof=1)) / 8) > Z * error


def test_resonance_is_a_correlation_of_one() -> None:
    """A loop of the gap's length: every member of a sample is alike; n times the variance."""
    y = np.tile(drawn(41, 1, 3), 20)
    assert theory.intraclass_correlation(y, 41) == pytest.approx(1)
    inflated = theory.systematic_variance(y, 41)
    assert inflated == pytest.approx(float(y.var()))
    assert theory.systematic_variance(y, 20) < inflated / 100  # meets every member of the loop


def ran(length: int) -> ArmResult:
    """One loop without jitter at N = 256: the gap is 257 ops; shares by instruction."""
    from sim.runs import batch
    from sim.scenario.models.scenario import DESIGNS, Arm

    ops = GAP * length * 2  # whole samples for every start
    phase = {
        "name": "loop",
        "length": length,
        "iterations": ops // length,
        "cpi_millis": 1000,
        "latency": {"kind": "constant", "value": "2cycles"},
    }
    given = Settings.model_validate(
        {
            "workload": {"kind": "synthetic", "phases": [phase]},
            "spe": {"interval": "256ops", "min_interval": "256ops"},
            "driver": {"mode": "cpu"},
        }
    )
    arm = Arm(name="b", design="baremetal", policies=DESIGNS["baremetal"][0], settings=given)
    return batch.run(Scenario(name="x", replications=REPLICATIONS, arms=(arm,)))[0]


@pytest.mark.parametrize("length", [16, 64, 100])
def test_the_sampler_is_systematic(length: int) -> None:
    """Share of the loop's first half, over random starts: enumerated mean and variance.

    257 is prime, so no loop here resonates; the first selection is one gap after the start, so
    the sample of a start is that start's systematic sample without its first member.
    """
    arm = ran(length)
    counts = profiles.sampled(arm, "pc")
    y = (np.arange(GAP * length * 2) % length < length // 2).astype(np.float64)
    table = y.reshape(-1, GAP)[1:]  # [n, starts], the first member is never sampled
    starts = np.array([v.ledgers.ops.as_dict()["before_start"] for r in arm.runs for v in r.vcpus])
    assert counts.sum(axis=1).min() >= len(table) - 1
    share = profiles.shares(counts)[:, : length // 2].sum(axis=1)
    means = table.mean(axis=0)
    assert np.abs(share - means[(starts + GAP - 2) % GAP]).max() <= 1 / len(table)
    spread = float(np.sqrt(((means - means.mean()) ** 2).mean()))
    assert abs(float(share.mean() - means.mean())) < Z * spread / math.sqrt(REPLICATIONS) + 1e-3


def test_a_loop_of_the_gap_resonates() -> None:
    """A loop of 257 ops: each replication sees one instruction, and never another."""
    counts = profiles.sampled(ran(GAP), "pc")
    assert ((counts > 0).sum(axis=1) == 1).all()
    assert (counts > 0).any(axis=0).sum() > 100  # which one depends on the random start
