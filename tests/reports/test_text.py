"""Numbers, units and intervals as a person reads them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.results.metric import Metric
from reports.text import (
    aligned,
    duration,
    fixed,
    hanging,
    interval,
    number,
    percent,
    size,
    with_interval,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.012345, "0.0123"), (3e-6, "3.0e-06"), (123.4, "123"), (12345.6, "12,346")],
)
def test_numbers(value: float, text: str) -> None:
    """Three digits, separators, no surprises."""
    assert number(value) == text


def test_units() -> None:
    """Percent and binary sizes."""
    assert percent(0.0316) == "3.16 %"
    assert (size(100), size(2 << 20), size(2_125_824)) == ("100 B", "2 MiB", "2.03 MiB")
    assert size(1_048_000) == "1,023 KiB"


def test_intervals_show_two_digits_of_their_width() -> None:
    """The mean has as many decimals as its interval deserves."""
    wide = Metric(0.15361, (0.14312, 0.1641), 8, "fraction")
    assert with_interval(wide, 100, "%") == "15.4 % [14.3, 16.4]"
    assert interval(replace(wide, ci95="exact")) == f"(all {wide.n} equal)"
    assert interval(replace(wide, ci95=None, n=1)) == "(one replication)"
    assert with_interval(Metric(None, None, 0, "fraction")) == "–"


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (0.152514, 1.7e-5, "15.25 ±0.002 %"),
        (6.25e-5, 4e-7, "0.00625 ±0.00004 %"),
        (0.9999205, 5e-6, "99.99 ±0.0005 %"),
        (5672.98, 12.4, "567,298 ±1,240 %"),
    ],
)
def test_tight_intervals_are_one_number(mean: float, half: float, text: str) -> None:
    """Four digits at most, and how wide: two ends that look alike say less."""
    found = Metric(mean, (mean - half, mean + half), 8, "fraction")
    assert with_interval(found, 100, "%") == text
    cut = replace(found, ci95=(mean - half, mean))
    assert with_interval(cut, 100, "%") == text


def test_tiny_numbers_have_exponents() -> None:
    """Instead of a row of zeros."""
    found = Metric(1.56e-6, (8.9e-7, 2.24e-6), 8, "nats")
    assert with_interval(found) == "1.6e-06 [8.9e-07, 2.2e-06]"
    assert fixed(0.0940123, 7) == "0.0940123"


def test_columns_stand_under_each_other() -> None:
    """As wide as the widest cell, the first not below what is asked; numbers to the right."""
    rows = [("arm", "lost", ""), ("a", "1,234,567", "µs"), ("", "5", "")]
    assert aligned(rows) == ["arm  lost", "a    1,234,567  µs", "     5"]
    assert aligned(rows, right=True, least=4) == [
        "arm        lost",
        "a     1,234,567  µs",
        "              5",
    ]
    assert aligned([]) == []


def test_text_hangs_below_its_head() -> None:
    """As much room as the head takes before the other lines, or what is asked for; no option is
    broken at its hyphens, and with `whole_words` no word."""
    assert hanging("note: ", "a --max-buffer of it", 18) == [
        "note: a",
        "      --max-buffer",
        "      of it",
    ]
    assert hanging("  ", "one two", 6, indent="    ") == ["  one", "    tw", "    o"]
    assert hanging("  ", "one twothree", 6, whole_words=True) == ["  one", "  twothree"]


def test_durations_are_short() -> None:
    """Seconds, minutes or hours, whichever has one or two digits more to say."""
    assert [duration(s) for s in (4, 89, 600, 9000)] == ["4 s", "89 s", "10 min", "2.5 h"]
