"""What random samples would do: expected regret of so many, and how many do as well as a profile.

Random: independent draws of the stream's operations, each as likely as any other. For two items of
shares p > q and one to choose it is the closed form (1 - q/p) P(Binomial(n, p) < n/2), ties half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import numpy as np

from analysis.decisions.choosing import I64, Question
from analysis.statistics.intervals import F64

DRAWS = 32
"""Sets of samples that a point of a curve is the mean of."""
STEP = 4
"""Ratio of neighbouring numbers of samples of a curve."""
LEAST = 16


@dataclass(frozen=True, slots=True)
class Curve:
    """Mean regret of so many random samples [n]; it falls, if noise is taken away."""

    samples: F64
    regret: F64

    def as_many_as(self, regret: float, samples: int) -> float:
        """How few random samples do as well on average; NaN without a regret.

        Between the points on a scale of ratios; at least as many as the first point has. Where
        more samples do no better, it is `samples` themselves, if these are enough.
        """
        if math.isnan(regret) or not self.samples.size:
            return math.nan
        falling = np.minimum.accumulate(self.regret)
        if regret >= falling[0]:
            return float(self.samples[0])
        floor = falling[-1]
        last = int(np.argmax(falling <= max(regret, floor)))
        found = float(self.samples[last])
        if last:
            a, b = falling[last - 1], falling[last]
            low = float(self.samples[last - 1])
            found = low * (found / low) ** float((a - max(regret, b)) / (a - b))
        return max(found, float(samples)) if regret <= floor else found


def curve(question: Question, most: int) -> Curve:
    """The curve up to some more than `most` samples; equal questions share it."""
    parts = (question.truth, question.item, question.each)
    digest = sha256(b"".join(np.ascontiguousarray(p).tobytes() for p in parts)).hexdigest()
    exponent = max(1, math.ceil(math.log(max(most, 1) * STEP / LEAST, STEP)))
    key = f"{question.kind} {question.chosen} {question.others} {digest}"
    return _random(_Same(key, question)).curve(exponent + 1)


class _Same:
    """Questions that compare by what they ask."""

    def __init__(self, key: str, question: Question) -> None:
        self.key, self.question = key, question

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


class _Random:
    """Regrets of more and more random samples: a longer curve begins as a shorter one does."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._rng = np.random.default_rng(0x5045)
        self._regret: list[float] = []

    def curve(self, points: int) -> Curve:
        """Its first points; those that nobody has asked for yet are drawn now."""
        while len(self._regret) < points:
            n = LEAST * STEP ** len(self._regret)
            draws = (drawn(self._question, n, self._rng) for _ in range(DRAWS))
            self._regret.append(float(np.mean([1 - self._question.quality(d) for d in draws])))
        samples = [LEAST * STEP**k for k in range(points)]
        return Curve(np.array(samples, np.float64), np.array(self._regret[:points], np.float64))


@lru_cache(maxsize=64)
def _random(same: _Same) -> _Random:
    return _Random(same.question)


def drawn(question: Question, n: int, rng: np.random.Generator) -> I64:
    """`n` random samples of the stream by cell; those that are of no matter are left out."""
    return np.asarray(rng.multinomial(n, question.chances)[:-1], np.int64)


def thinned(cells: I64, samples: int, n: int, rng: np.random.Generator) -> I64:
    """`n` of a profile's `samples` without replacement, by cell; all if there are no more."""
    if n >= samples:
        return cells
    whole = np.append(cells, samples - int(cells.sum()))
    return np.asarray(rng.multivariate_hypergeometric(whole, n, method="marginals")[:-1])
