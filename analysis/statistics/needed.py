"""How many replications would tell: the one estimate that verdicts and checks give."""

from __future__ import annotations

import math

from analysis.statistics.tails import t_quantile

ALPHA = 0.05
POWER = 0.8
"""What a test promises to find, and what a warning about its resolution goes by."""
MOST_REPLICATIONS = 100_000


def of_interval(effect: float, low: float, high: float, margin: float, n: int) -> int | None:
    """Replications that would tell whether a size is within ±`margin`, were it as it seems.

    From the 95 % interval of `n` replications: its far end if the size seems to be within, its near
    end if it seems to be beyond. None for fewer than two, and where none of a practical number do.
    """
    if n < 2:
        return None
    size, far, near = abs(effect), max(abs(low), abs(high)), min(abs(low), abs(high))
    half = far - size if size < margin else size - near
    sd = half * math.sqrt(n) / t_quantile(0.975, n - 1)
    return replications(sd, abs(margin - size), alpha=0.025, at_least=n + 1)


def replications(
    sd: float,
    room: float,
    *,
    alpha: float = ALPHA,
    power: float = POWER,
    at_least: int = 2,
) -> int | None:
    """Least n ≥ `at_least` with (t_{1-alpha} + t_{power})·sd/√n ≤ `room`.

    `sd` is the spread of one replication, `room` how far its mean lies from the edge that
    decides. None where more than MOST_REPLICATIONS would be needed.
    """
    if room <= 0 or (sd / room) ** 2 > MOST_REPLICATIONS:
        return None

    def enough(n: int) -> bool:
        factor = t_quantile(1 - alpha, n - 1) + t_quantile(power, n - 1)
        return factor * sd <= room * math.sqrt(n)

    low = high = max(2, at_least)
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high if high <= MOST_REPLICATIONS else None
