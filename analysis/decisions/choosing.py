"""What a choice catches: the items that a profile puts first, weighed by what they are worth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.intervals import F64

I64 = NDArray[np.int64]
Catch = Callable[[F64], float]
"""What the choice by these scores [items] is worth, in any unit."""


def caught(worth: F64, score: F64, k: int) -> float:
    """Worth of the `k` items with the highest scores, of those that have one.

    Items that are tied for the last places are taken in random order: it is the expected worth.
    """
    seen = np.flatnonzero(score > 0)
    worth, score = worth[seen], score[seen]
    if seen.size <= k:
        return float(worth.sum())
    last = np.partition(score, -k)[-k]
    above, tied = score > last, score == last
    part = (k - int(above.sum())) / int(tied.sum())
    return float(worth[above].sum() + part * worth[tied].sum())


def items_of(top: str, items: int) -> int:
    """How many of `items` a choice takes: `20`, or a share of them, `10%`, rounded up."""
    if top.endswith("%"):
        return min(items, max(1, math.ceil(float(top[:-1]) / 100 * items - 1e-9)))
    return min(items, int(top))


def aligned(keys: I64, found: I64, counts: I64) -> I64:
    """Counts by `keys` (ascending) of what was found; what is no key has none."""
    out = np.zeros(keys.size, np.int64)
    if keys.size:
        at = np.minimum(np.searchsorted(keys, found), keys.size - 1)
        known = keys[at] == found
        out[at[known]] = counts[known]
    return out


def _worths(item: I64, worth: F64) -> F64:
    """Sums of worth [cells] by item."""
    return np.asarray(np.bincount(item, worth), np.float64)


@dataclass(frozen=True)
class Question:
    """A decision about one stream: what it is about, and what it would be at best.

    A sample falls into one of `truth` [cells], executions, or is of no matter here:
    `others` counts the latter.
    A cell belongs to item `item` [cells] and stands for `each` [cells] of worth.
    """

    kind: str
    unit: str
    """What an item is."""
    chosen: str
    """What a choice takes, in words."""
    truth: I64 | F64
    others: int
    item: I64
    each: F64
    catch: Catch

    def scores(self, cells: I64 | F64) -> F64:
        """Worth that samples [cells] give to each item [items]."""
        return _worths(self.item, cells * self.each)

    def quality(self, cells: I64 | F64) -> float:
        """What the choice by these samples is worth, as a part of the best choice's worth."""
        return self.catch(self.scores(cells)) / self._best if self._best > 0 else math.nan

    @property
    def best_share(self) -> float:
        """What part of all worth the best choice catches."""
        whole = float(self.scores(self.truth).sum())
        return self._best / whole if whole > 0 else math.nan

    @cached_property
    def chances(self) -> F64:
        """How likely a random sample falls into each cell, and last, how likely it is of no matter
        [cells + 1].
        """
        counts = np.append(self.truth, self.others).astype(np.float64)
        return np.asarray(counts / counts.sum())

    @cached_property
    def _best(self) -> float:
        return self.catch(self.scores(self.truth))


def listed(
    kind: str, unit: str, truth: I64 | F64, others: int, top: str, **more: NDArray[Any]
) -> Question:
    """A question about a list: its `top` items are taken. `item` and `each`: as in Question."""
    item = more.get("item", np.arange(truth.size))
    each = np.asarray(more.get("each", np.ones(truth.size)), np.float64)
    worth = _worths(item, truth * each)
    there = int((worth > 0).sum())
    k = items_of(top, there)
    return Question(
        kind,
        unit,
        f"{k:,} of {there:,} {unit}",
        truth,
        others,
        item,
        each,
        lambda score: caught(worth, score, k) if k else 0.0,
    )
