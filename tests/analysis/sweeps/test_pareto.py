"""The Pareto front of loss against a price."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analysis.sweeps.pareto import Offer, beats, front

OFFERS = st.lists(
    st.builds(
        lambda price, low, width: Offer(price, low, low + width),
        st.integers(0, 5),
        st.integers(0, 10),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=8,
)


def test_cheaper_and_no_worse_beats() -> None:
    """Losses whose intervals meet are equal, so the lower price decides; else loss may."""
    cheap, dear = Offer(1, 10, 12), Offer(2, 11, 13)
    assert front([cheap, dear]) == [True, False]
    assert front([cheap, Offer(2, 5, 6)]) == [True, True]
    assert front([Offer(1, 5, 6), Offer(1, 7, 8), Offer(1, 6, 9)]) == [True, False, True]


@given(OFFERS)
def test_the_lowest_price_with_the_lowest_loss_is_on_the_front(offers: list[Offer]) -> None:
    """The front is never empty, and who is on it is beaten by nobody."""
    found = front(offers)
    best = min(offers, key=lambda o: (o.price, o.high))
    assert found[offers.index(best)]
    for offer, on in zip(offers, found, strict=True):
        assert on != any(beats(other, offer) for other in offers)


@given(OFFERS)
def test_order_does_not_matter(offers: list[Offer]) -> None:
    """The same designs in another order have the same front."""
    assert front(offers[::-1]) == front(offers)[::-1]
