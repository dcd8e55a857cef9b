"""How many replications would tell: the one estimate that verdicts and checks give."""

from __future__ import annotations

import math

from analysis.statistics.intervals import t_quantile

ALPHA = 0.05
POWER = 0.8
"""What a test promises to find, and what a warning about its resolution goes by."""
MOST_REPLICATIONS = 100_000


def replications(
    sd: float,
    room: float,
    *,
    alpha: float = ALPHA,
    power: float = POWER,
    at_least: int = 2,
    noise: float = 0.0,
) -> int | None:
    """Least n ≥ `at_least` with ((t_{1-alpha} + t_{power})·sd + noise)/√n ≤ `room`.

    `sd` is the spread of one replication, `room` how far its mean lies from the edge that decides,
    `noise` what an estimate of one replication is too large by, which shrinks alike. None where
    more than MOST_REPLICATIONS would be needed.
    """
    if room <= 0 or ((sd + noise) / room) ** 2 > MOST_REPLICATIONS:
        return None

    def enough(n: int) -> bool:
        factor = t_quantile(1 - alpha, n - 1) + t_quantile(power, n - 1)
        return factor * sd + noise <= room * math.sqrt(n)

    low = high = max(2, at_least)
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high if high <= MOST_REPLICATIONS else None
