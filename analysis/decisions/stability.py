"""How stable a choice by a real profile is: no truth is known, so parts of it stand for the whole.

Records are split into random halves: what the choice by one half misses in the other, against that
half's own best choice. This has the noise of both halves in it, so it is an upper bound of the
regret of half as many records. And they are thinned: what the choice by a part misses in the whole.
Neither sees a bias that all records share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.decisions.choosing import caught, items_of
from analysis.statistics.intervals import F64

DRAWS = 16
"""Random orders of the records, of which the mean is told."""
PARTS = (2, 4, 10)
"""Every how manieth record is left when they are thinned."""
FEWEST = 20
"""Records below which nothing is said."""


@dataclass(frozen=True, slots=True)
class Stability:
    """Of one kind of choice; fractions of what the best choice catches."""

    kind: str
    records: int
    items: int
    taken: int
    halves: float
    """What a choice by one half misses in the other."""
    thinned: dict[int, float]
    """What a choice by one in so many misses in all."""


def stability(
    kind: str, keys: NDArray[np.uint64], worth: F64, top: str, seed: int = 0
) -> Stability | None:
    """Of a choice of `top` items (`20` or `10%`) by records with these items [n] and worths [n];
    None if there are too few records, or nothing to choose."""
    items, at = np.unique(keys, return_inverse=True)
    if keys.size < FEWEST or items.size < 2 or not worth.any():
        return None
    k = items_of(top, items.size)
    rng = np.random.default_rng([seed, keys.size])
    whole = _scores(at, worth, items.size)
    halves: list[float] = []
    thinned: dict[int, list[float]] = {part: [] for part in PARTS}
    for _ in range(DRAWS):
        order = rng.permutation(keys.size)
        a, b = (order[: order.size // 2], order[order.size // 2 :])
        one, other = (_scores(at[half], worth[half], items.size) for half in (a, b))
        halves.append(_missed(other, one, k))
        for part in PARTS:
            few = order[: max(1, order.size // part)]
            thinned[part].append(_missed(whole, _scores(at[few], worth[few], items.size), k))
    means = {part: _mean(found) for part, found in thinned.items()}
    return Stability(kind, int(keys.size), int(items.size), k, _mean(halves), means)


def _scores(at: NDArray[np.int64], worth: F64, items: int) -> F64:
    return np.asarray(np.bincount(at, worth, items), np.float64)


def _missed(worth: F64, score: F64, k: int) -> float:
    best = caught(worth, worth, k)
    return 1 - caught(worth, score, k) / best if best > 0 else math.nan


def _mean(found: list[float]) -> float:
    known = [x for x in found if not math.isnan(x)]
    return float(np.mean(known)) if known else 0.0
