"""Distances between distributions of gaps and latencies, and what of them is only noise.

Distributions are integer histograms, one per replication. As with profiles, replication r of an
arm is compared with replication r + 1 of the other arm, and so is the other arm's own r: the
difference of the two distances, the excess, has mean zero if both arms sample alike. The other
arm's r is thinned to the arm's number of records first, since fewer records are noisier. Records
of one run are not independent, so no test is made on them: the replication is the unit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Histogram = Counter[int]
"""Value → how often."""


def histogram(values: I64) -> Histogram:
    """Histogram of integer `values` [n]."""
    found, counts = np.unique(values, return_counts=True)
    return Counter(dict(zip(found.tolist(), counts.tolist(), strict=True)))


def _aligned(a: Histogram, b: Histogram) -> tuple[I64, F64, F64]:
    """Values of either [k], and both distribution functions at them [k]."""
    support = np.array(sorted(a.keys() | b.keys()), np.int64)
    each = [np.array([h[int(x)] for x in support], np.float64).cumsum() for h in (a, b)]
    return support, each[0] / each[0][-1], each[1] / each[1][-1]


def ks(a: Histogram, b: Histogram) -> float:
    """Kolmogorov-Smirnov distance, a fraction; NaN if one is empty."""
    if not a or not b:
        return math.nan
    _, f, g = _aligned(a, b)
    return float(np.abs(f - g).max())


def wasserstein(a: Histogram, b: Histogram) -> float:
    """Wasserstein-1 distance in the unit of the values; NaN if one is empty."""
    if not a or not b:
        return math.nan
    support, f, g = _aligned(a, b)
    return float((np.abs(f - g)[:-1] * np.diff(support)).sum())


DISTANCES: dict[str, Callable[[Histogram, Histogram], float]] = {
    "ks": ks,
    "wasserstein": wasserstein,
}


def thinned(h: Histogram, n: int, key: int) -> Histogram:
    """`n` values drawn from `h` without replacement; all if there are fewer."""
    if n >= h.total():
        return h
    values = sorted(h)
    counts = np.array([h[v] for v in values], np.int64)
    drawn = np.random.default_rng([key, n]).multivariate_hypergeometric(
        counts, n, method="marginals"
    )
    return Counter({v: int(c) for v, c in zip(values, drawn, strict=True) if c})


def excess(arm: Sequence[Histogram], other: Sequence[Histogram], distance: str) -> list[float]:
    """Distance in excess of noise, per replication; needs two replications or more."""
    measure = DISTANCES[distance]
    n = min(len(arm), len(other))
    if n < 2:
        return []
    found = []
    for r in range(n):
        reference = other[(r + 1) % n]
        own = thinned(other[r], arm[r].total(), r)
        found.append(measure(arm[r], reference) - measure(own, reference))
    return found
