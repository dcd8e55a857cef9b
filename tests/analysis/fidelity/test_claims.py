"""Claims about profiles: shares of an arm against baremetal's, on what both have executed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.fidelity import profiles
from analysis.fidelity.claims import same_shares
from analysis.fidelity.distances import distances
from analysis.statistics.verdicts import Status
from sim.runs.batch import ArmResult, Prefix
from tests.rigs.fakes import OPS, SHARES, Plan, arm, cells


def test_shares_of_an_identical_arm_are_exact() -> None:
    """The same samples: SKIP, exact, zero."""
    found = same_shares(arm(Plan(name="v6", design="v6")), arm(Plan()))
    assert (found.status, found.interval, found.effect) == (Status.SKIP, "exact", 0)


def test_shares_pass_and_fail() -> None:
    """Many samples without a bias pass; five points of bias fail and are named."""
    many = {"samples": 400_000, "replications": 8}
    bare = arm(Plan(**many))  # type: ignore[arg-type]
    good = arm(Plan(name="x", design="v6", seed=1, **many))  # type: ignore[arg-type]
    assert same_shares(good, bare).status is Status.PASS
    moved = (0.5, 0.25, 0.20, 0.05)
    bad = arm(Plan(name="x", design="v6", seed=1, shares=moved, **many))  # type: ignore[arg-type]
    found = same_shares(bad, bare)
    assert found.status is Status.FAIL
    assert "beta" in found.sentence or "gamma" in found.sentence
    assert abs(found.effect or 0) == pytest.approx(5, abs=0.3)


def test_family_rarely_fails_by_chance() -> None:
    """Four symbols, true shifts of zero, no margin to speak of: FAIL in 5 % of 300 plus 4 SE."""
    found = [
        same_shares(
            arm(Plan(name="x", design="v6", seed=k, replications=6)),
            arm(Plan(seed=5000 + k, replications=6)),
            margin=0.01,
        ).status
        for k in range(300)
    ]
    assert found.count(Status.FAIL) / 300 < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 300)


def test_reasons_to_skip() -> None:
    """No reference arm, the reference arm itself, an arm that ended early."""
    bare = arm(Plan())
    assert "no baremetal" in same_shares(bare, None).sentence
    assert "reference arm" in same_shares(bare, bare).sentence
    early = arm(Plan(name="x", design="v6", ended_at=1000))
    assert "ended early" in same_shares(early, bare).sentence


def early(shares: tuple[float, ...] = SHARES, seed: int = 1) -> ArmResult:
    """An arm that ended at a tenth, its prefix with another truth than the whole."""
    at = OPS // 10
    plan = Plan(name="x", design="v6", shares=shares, seed=seed, ended_at=at)
    bare = [arm(Plan(seed=100 + k, ended_at=at)).runs for k in range(2)]
    truth = np.tile(cells(SHARES, at), (plan.replications, 1))
    return replace(arm(plan), prefix=Prefix(truth, bare[0], bare[1]))


def test_an_early_end_is_compared_on_the_prefix() -> None:
    """Same shares: no excess and PASS; the sentence says what was compared."""
    bare = arm(Plan(truth=(0.1, 0.2, 0.3, 0.4)))
    found = early()
    assert profiles.basis(found, bare) == "prefix"
    assert distances(found, bare, "symbol")["tvd_excess"].mean is not None
    verdict = same_shares(found, bare, margin=3.0)
    assert verdict.status is Status.PASS
    assert "common prefix" in verdict.sentence
    assert "100,000 ops" in verdict.sentence
    assert distances(found, bare, "symbol")["tvd_vs_truth"].mean < 0.05  # type: ignore[operator]


def test_a_bias_on_the_prefix_is_found() -> None:
    """Control: 20 points moved."""
    bare = arm(Plan())
    biased = early((0.3, 0.5, 0.15, 0.05))
    assert same_shares(biased, bare, margin=3.0).status is Status.FAIL
    ci = distances(biased, bare, "symbol")["tvd_excess"].ci95
    assert isinstance(ci, tuple)
    assert ci[0] > 0.1


def test_prefix_verdicts_are_seldom_wrong() -> None:
    """No bias: the interval of the excess lies above 0 in at most 2.5 % of 200 runs, plus 4 SE."""
    bare = arm(Plan())
    hits = 0
    for k in range(200):
        found = early(seed=1000 + k)
        assert found.prefix is not None
        fresh = [arm(Plan(seed=5000 + 2 * k + j, ended_at=OPS // 10)).runs for j in range(2)]
        found = replace(found, prefix=Prefix(found.prefix.truth, fresh[0], fresh[1]))
        ci = distances(found, bare, "symbol")["tvd_excess"].ci95
        hits += isinstance(ci, tuple) and ci[0] > 0
    assert hits / 200 <= 0.025 + 4 * (0.025 * 0.975 / 200) ** 0.5
