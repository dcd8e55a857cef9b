"""Amounts in a metric's unit; what does not fit is refused with what would."""

from __future__ import annotations

import pytest

from analysis.statistics.amounts import AmountError, convert


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("0.5%", "fraction", 0.005),
        ("0.005", "fraction", 0.005),
        ("20 ppm", "fraction", 2e-5),
        ("0.5pp", "pp", 0.5),
        ("3ms", "ms", 3),
        ("1s", "ms", 1000),
        ("2MiB", "bytes", 2 << 20),
        ("12", "", 12),
        ("12ops", "", 12),
        ("2KiB", "", 2048),
        ("0", "exits/enable", 0),
        ("-1_000", "", -1000),
    ],
)
def test_fits(text: str, unit: str, value: float) -> None:
    """Units of one quantity convert."""
    assert convert(text, unit) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("3ms", "fraction"),
        ("5%", "ms"),
        ("5%", ""),
        ("1", "ms"),
        ("1e99", "x"),
        ("x", "ms"),
        ("5%", "pp"),
        ("", ""),
    ],
)
def test_does_not_fit(text: str, unit: str) -> None:
    """Another quantity, a bare number where a unit is needed, or no number at all."""
    with pytest.raises(AmountError):
        convert(text, unit)
