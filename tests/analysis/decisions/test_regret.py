"""Regret in parts: controls whose cause is known, and what may not be confused."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.decisions.regret import INCOMPARABLE, REFERENCE, Decision, decisions
from analysis.statistics.answers import Kind
from sim.runs.batch import ArmResult
from tests.analysis.decisions.asked import OTHER, asked, cells, made, stream, visits

FUNCTIONS = 3
TRUTH = np.array([40, 35, 25]) * 10_000
R = 80


def arm(name: str, shares: list[float], samples: int, seed: int) -> ArmResult:
    """An arm whose samples are multinomial with these shares."""
    tables = stream([OTHER] * FUNCTIONS, range(0, 12, 4), range(FUNCTIONS))
    rng = np.random.default_rng(seed)
    profiles = [cells(rng.multinomial(samples, shares).tolist()) for _ in range(R)]
    return made(name, tables, visits(cells(TRUTH.tolist())), profiles)


def decided(of: ArmResult, base: ArmResult | None, **more: float) -> Decision:
    """What is decided about the hottest function."""
    (found,) = decisions(of, base, asked("hot-functions", top="1", **more))
    return found


TRUE = [0.40, 0.35, 0.25]
BASE = arm("baremetal", TRUE, 20_000, 1)


def test_as_many_true_samples_decide_the_same() -> None:
    """Negative control: another set of draws from the truth."""
    found = decided(arm("v6", TRUE, 20_000, 2), BASE)
    assert found.answer.kind is Kind.SAME
    assert found.why == ""
    assert found.regret.mean == 0


def test_a_biased_profile_is_bias() -> None:
    """Positive control: the second function looks hotter, with as many samples as baremetal."""
    found = decided(arm("v6", [0.33, 0.42, 0.25], 20_000, 3), BASE)
    assert found.answer.kind is Kind.SKEWED
    assert found.why == "bias"
    assert found.regret.mean == pytest.approx(1 - 35 / 40)
    assert found.bias.mean == pytest.approx(1 - 35 / 40)
    assert found.sampling.mean == 0
    assert found.effective_samples.value < 100


def test_few_true_samples_are_too_few() -> None:
    """Positive control: no bias, 40 samples; a thinned baremetal is as bad."""
    found = decided(arm("v6", TRUE, 40, 4), BASE)
    assert found.answer.kind is Kind.SKEWED
    assert found.why == "too few samples"
    assert found.sampling.value > 0.02
    low, high = found.bias.low, found.bias.high
    assert low is not None
    assert high is not None
    assert low < 0 < high
    assert 10 < found.effective_samples.value < 160


def test_both_are_both() -> None:
    """Few samples of a biased profile."""
    found = decided(arm("v6", [0.30, 0.35, 0.35], 40, 5), BASE)
    assert found.answer.kind is Kind.SKEWED
    assert found.why == "bias and too few samples"


def test_parts_add_up() -> None:
    """Regret = baremetal's + sampling + bias, replication by replication."""
    few = arm("v6", [0.36, 0.38, 0.26], 60, 6)
    found, base = decided(few, BASE), decided(BASE, BASE)
    parts = np.array(found.bias.values) + np.array(found.sampling.values)
    assert np.array(found.regret.values) == pytest.approx(np.array(base.regret.values) + parts)
    assert found.worse.value == pytest.approx(found.bias.value + found.sampling.value)


def test_the_margin_decides_what_matters() -> None:
    """The same loss is none where five times as much would not matter."""
    few = arm("v6", [0.33, 0.42, 0.25], 20_000, 3)
    assert decided(few, BASE, margin=0.5).answer.kind is Kind.SAME


def test_an_arm_without_samples_chooses_nothing() -> None:
    """All is missed, and it is worth no samples."""
    found = decided(arm("v6", TRUE, 0, 7), BASE)
    assert found.regret.mean == 1
    assert found.why == "too few samples"


def test_who_is_not_judged() -> None:
    """The reference arm; an arm without one; an arm of another stream."""
    assert decided(BASE, BASE).unjudged == REFERENCE
    assert decided(BASE, None).unjudged == INCOMPARABLE
    tables = stream([OTHER] * FUNCTIONS, range(0, 12, 4), range(FUNCTIONS))
    other = made("v6", tables, visits(cells([1, 2, 3])), [cells([1, 1, 1])] * 2)
    assert decided(other, BASE).unjudged == INCOMPARABLE


def test_results_are_reproducible() -> None:
    """Thinning draws by replication and number: equal input, equal parts."""
    few = arm("v6", TRUE, 40, 4)
    assert decided(few, BASE) == decided(few, BASE)
