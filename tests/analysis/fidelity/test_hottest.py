"""The ten hottest, and who moved."""

from __future__ import annotations

import re

import numpy as np
import pytest

from analysis.fidelity import profiles
from analysis.fidelity.hottest import moved, order
from tests.rigs.fakes import Plan, arm

NAMES = tuple("abcdefghijkl")
TRUTH = tuple(k / 78 for k in range(12, 0, -1))


def of(shares: tuple[float, ...], samples: int = 400_000) -> str:
    """What is said of symbols with these shares, where the truth falls from a to l."""
    return moved(
        arm(Plan(symbols=NAMES, truth=TRUTH, shares=shares, samples=samples, replications=4)),
        "symbol",
    )


def swapped(i: int, j: int) -> tuple[float, ...]:
    """The truth with two symbols' shares exchanged."""
    shares = list(TRUTH)
    shares[i], shares[j] = shares[j], shares[i]
    return tuple(shares)


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        (TRUTH, "same ten, same order"),
        (swapped(0, 2), "same ten, another order: b, a too far down"),
        (swapped(1, 11), "l instead of b"),
        (swapped(10, 11), "same ten, same order"),
    ],
)
def test_who_moved(shares: tuple[float, ...], said: str) -> None:
    """By name, of the first ten."""
    assert of(shares) == said


def test_which_of_two_alike_comes_first_does_not_matter() -> None:
    """49 and 51 % in the truth, the other way round in the profile; twelve symbols all alike."""
    two = Plan(symbols=("a", "b"), truth=(0.51, 0.49), shares=(0.49, 0.51), samples=400_000)
    assert moved(arm(two), "symbol") == "same 2, same order"
    flat = tuple(1 / 12 for _ in NAMES)
    alike = Plan(symbols=NAMES, truth=flat, shares=flat, samples=400_000)
    assert moved(arm(alike), "symbol") == "same ten, same order"


def test_a_profile_alone_may_say_something_else() -> None:
    """Of few samples the mean has the order; not every replication does."""
    found = of(TRUTH, samples=3_000)
    says = re.fullmatch(r"same ten, same order \(so in ([1-3]) of 4 replications\)", found)
    assert says is not None, found
    few = arm(Plan(symbols=NAMES, truth=TRUTH, samples=3_000, shares=TRUTH, replications=4))
    ranks = [list(np.argsort(-one, kind="stable")[:10]) for one in profiles.sampled(few, "symbol")]
    assert ranks.count(list(range(10))) == int(says[1])


def test_small_programs_and_empty_profiles() -> None:
    """Four symbols; no samples at all."""
    assert moved(arm(Plan(samples=400_000)), "symbol") == "same 4, same order"
    assert moved(arm(Plan(samples=0)), "symbol") == ""
    assert order(np.array([0.0, 0.5, 0.5, 0.0])) == [1, 2]
