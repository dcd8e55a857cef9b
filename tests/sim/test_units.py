"""Units: text becomes exact ints, once; what is no quantity is explained."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import units
from sim.units import UnitError

TIMES = {"ps": 1, "ns": 10**3, "us": 10**6, "µs": 10**6, "ms": 10**9, "s": 10**12}
SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
HERTZ = {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9}
Parse = Callable[[str], int]
KINDS: list[tuple[Parse, dict[str, int]]] = [
    (units.parse_time, TIMES),
    (units.parse_size, SIZES),
    (units.parse_frequency, HERTZ),
    (units.parse_ops, {"ops": 1}),
    (units.parse_cycles, {"cycles": 1}),
]
CLOCKS = st.integers(10**6, 10**11)


@given(st.sampled_from(KINDS), st.data())
def test_whole_numbers_are_exact(kind: tuple[Parse, dict[str, int]], data: st.DataObject) -> None:
    """`n` of a unit is `n` times its size, whatever the spaces, to the last digit."""
    parse, table = kind
    unit = data.draw(st.sampled_from(sorted(table)))
    n = data.draw(st.integers(0, 10**12))
    space = data.draw(st.sampled_from(["", " ", "  "]))
    assert parse(f"{space}{n}{space}{unit}{space}") == n * table[unit]


@given(st.sampled_from(KINDS), st.data())
def test_fractions_are_exact_or_refused(
    kind: tuple[Parse, dict[str, int]], data: st.DataObject
) -> None:
    """A decimal fraction is the int that it equals; one that equals none is an error."""
    parse, table = kind
    unit = data.draw(st.sampled_from(sorted(table)))
    whole = data.draw(st.integers(0, 10**6))
    digits = data.draw(st.text("0123456789", min_size=1, max_size=9))
    exact = Fraction(f"{whole}.{digits}") * table[unit]
    if exact.denominator == 1:
        assert parse(f"{whole}.{digits}{unit}") == exact
    else:
        with pytest.raises(UnitError, match="finer than one"):
            parse(f"{whole}.{digits}{unit}")


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (units.parse_time, "4ms", 4 * 10**9),
        (units.parse_time, "0.31us", 310_000),
        (units.parse_time, "1.5 µs", 1_500_000),
        (units.parse_time, "1e3ns", 10**6),
        (units.parse_size, "4MiB", 4 << 20),
        (units.parse_size, "0.5KiB", 512),
        (units.parse_frequency, "2.8GHz", 2_800_000_000),
        (units.parse_ops, "10_000ops", 10_000),
        (units.parse_cycles, "600cycles", 600),
        (units.parse_rate, "1000/s", 10**9),
        (units.parse_rate, "0/s", 0),
        (units.parse_rate, "0.5/s", 2 * 10**12),
    ],
)
def test_examples(parse: Parse, text: str, value: int) -> None:
    """What scenarios and manuals write."""
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "says"),
    [
        (units.parse_size, "64kB", "kB is ambiguous; use KiB (powers of 1024)"),
        (units.parse_size, "8MB", "MB is ambiguous; use MiB"),
        (units.parse_size, "8M", "M is ambiguous; use MiB"),
        (units.parse_size, "8k", "k is ambiguous; use KiB"),
        (units.parse_size, "8mib", "did you mean 'MiB'?"),
        (units.parse_size, "8", "has no unit; use one of B, KiB, MiB"),
        (units.parse_time, "4 parsecs", "unknown unit 'parsecs'; use one of ps, ns"),
        (units.parse_time, "4MS", "did you mean 'ms'?"),
        (units.parse_time, "0.5ps", "finer than one ps"),
        (units.parse_time, "-4ms", "cannot read '-4ms' as a time; write it like '4ms'"),
        (units.parse_time, "ms", "write it like '4ms'"),
        (units.parse_time, "4ms 3us", "cannot read"),
        (units.parse_frequency, "3 Ghz", "did you mean 'GHz'?"),
        (units.parse_ops, "1024", "has no unit; use one of ops, e.g. '1024ops'"),
        (units.parse_rate, "1000", "write events per second, e.g. '1000/s'"),
        (units.parse_rate, "1000/min", "write events per second"),
    ],
)
def test_errors_teach(parse: Parse, text: str, says: str) -> None:
    """An error quotes what was written and shows what would be right."""
    with pytest.raises(UnitError) as caught:
        parse(text)
    assert says in str(caught.value)
    assert repr(text) in str(caught.value)


@given(st.text(max_size=12), st.sampled_from([parse for parse, _ in KINDS]))
def test_any_text_is_a_quantity_or_an_error(text: str, parse: Parse) -> None:
    """Nothing else comes out, and never a negative number."""
    try:
        value = parse(text)
    except UnitError:
        return
    assert value >= 0


@given(st.integers(1, 10**9))
def test_rates_are_the_nearest_gap(rate: int) -> None:
    """A rate is held as the mean gap, rounded to the nearest picosecond."""
    assert abs(units.parse_rate(f"{rate}/s") - Fraction(10**12, rate)) <= Fraction(1, 2)


@given(st.integers(0, 10**18), CLOCKS)
def test_ticks_are_the_nearest(picos: int, clock: int) -> None:
    """Picoseconds become the nearest tick of 1/64 cycle."""
    exact = Fraction(picos * clock * units.TICKS_PER_CYCLE, 10**12)
    assert abs(units.ticks(picos, clock) - exact) <= Fraction(1, 2)


@given(st.integers(0, 10**15), st.integers(0, 10**15), CLOCKS)
def test_ticks_keep_order(first: int, second: int, clock: int) -> None:
    """A longer time never has fewer ticks."""
    low, high = sorted((first, second))
    assert units.ticks(low, clock) <= units.ticks(high, clock)


def test_ticks_are_an_int() -> None:
    """3 GHz: a nanosecond is 192 ticks; no float on the way."""
    assert units.ticks(1000, 3 * 10**9) == 192
    assert isinstance(units.ticks(1000, 3 * 10**9), int)


@given(st.integers(1, 1023), st.sampled_from(sorted(SIZES)))
def test_sizes_round_trip(n: int, unit: str) -> None:
    """A whole number of units is written with that unit, and reads back."""
    text = units.format_size(n * SIZES[unit])
    assert text == f"{n} {unit}"
    assert units.parse_size(text) == n * SIZES[unit]


def test_odd_sizes_are_rounded() -> None:
    """Two decimals where no unit divides."""
    assert units.format_size(1536) == "1.50 KiB"


@given(st.integers(0, 10**15), st.integers(1, 10**6))
def test_rounding(value: int, granule: int) -> None:
    """Down and up are the neighbouring multiples; div_up counts granules."""
    down, up = units.round_down(value, granule), units.round_up(value, granule)
    assert down <= value <= up
    assert up - down in (0, granule)
    assert down % granule == up % granule == 0
    assert units.div_up(value, granule) * granule == up
