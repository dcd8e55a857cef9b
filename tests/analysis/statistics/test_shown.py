"""Numbers as people read them."""

from __future__ import annotations

import pytest

from analysis.statistics.shown import decimals, number


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (5.8e-15, "0"), (2.5e-7, "2.5e-07"), (0.01234, "0.0123"), (123456.0, "123,456")],
)
def test_numbers(value: float, text: str) -> None:
    """Three digits; what rounding leaves of nothing is nothing."""
    assert number(value) == text


def test_decimals_follow_the_interval() -> None:
    """Two digits of its half-width."""
    assert decimals(0.023) == 3
    assert decimals(12.0) == 0
    assert decimals(0.0) is None
