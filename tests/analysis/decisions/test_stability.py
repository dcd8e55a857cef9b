"""Stability of choices without a truth: controls whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.decisions.stability import FEWEST, Stability, stability


def of(keys: NDArray[np.integer], top: str) -> Stability:
    """Of records that are worth the same."""
    found = stability("hot-pages", keys.astype(np.uint64), np.ones(keys.size), top)
    assert found is not None
    return found


def test_a_clear_choice_is_stable() -> None:
    """Ten items have nearly all records: any half finds them."""
    keys = np.r_[np.repeat(np.arange(10), 500), np.arange(100, 300)]
    found = of(keys, "10")
    assert found.halves < 0.001
    assert all(x < 0.001 for x in found.thinned.values())
    assert (found.items, found.taken, found.records) == (210, 10, 5200)


def test_noise_is_not() -> None:
    """Equal items, two records each: a half chooses others than its other half would."""
    found = of(np.repeat(np.arange(500), 2), "10%")
    assert found.halves > 0.5


def test_fewer_records_choose_worse() -> None:
    """Of a popularity like 1/r: the thinner, the more is missed."""
    rng = np.random.default_rng(1)
    p = 1 / np.arange(1, 401)
    found = of(rng.choice(400, 8000, p=p / p.sum()), "10%")
    missed = list(found.thinned.values())
    assert 0 < missed[0] < missed[1] < missed[2]
    assert found.halves > missed[0]  # it has the noise of both halves


def test_worth_counts() -> None:
    """A rare item that is worth most is the choice."""
    keys = np.r_[np.zeros(400), np.ones(100)].astype(np.uint64)
    worth = np.r_[np.ones(400), np.full(100, 100.0)]
    found = stability("slow-loads", keys, worth, "1")
    assert found is not None
    assert found.halves == 0


@pytest.mark.parametrize("keys", [np.arange(FEWEST - 1), np.zeros(100)])
def test_too_little_says_nothing(keys: NDArray[np.float64]) -> None:
    """Few records, or one item."""
    assert stability("hot-pages", keys.astype(np.uint64), np.ones(keys.size), "10%") is None
