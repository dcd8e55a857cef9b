"""Which designs nobody beats: the Pareto front of loss against a price.

Loss is known up to its interval, so a design is off the front only if another one has a lower price
and a loss that is not clearly higher, or the same price and a loss that is clearly lower. Losses
are clearly apart if their intervals do not meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """A design's price, in any unit, and the interval of its loss."""

    price: float
    low: float
    high: float


def beats(one: Offer, other: Offer) -> bool:
    """True if nobody who looks at price and loss would take `other`."""
    if one.price == other.price:
        return one.high < other.low
    return one.price < other.price and one.low <= other.high


def front(offers: Sequence[Offer]) -> list[bool]:
    """For each offer, whether no other one beats it."""
    return [not any(beats(one, offer) for one in offers) for offer in offers]
