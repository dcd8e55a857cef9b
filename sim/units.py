"""Units: the only place where text becomes a number and time becomes ticks.

`Tick` is 1/64 core cycle, an int everywhere in `sim`. Text such as ``4ms`` is read exactly (as a
Decimal) into integer picoseconds, and picoseconds become ticks once, here, with the core clock.
Nanoseconds exist in output only. Sizes are binary (KiB, MiB) and `kB`, `MB`, `K`, `M` are refused:
half of the tools people use mean 1000 by them and the other half 1024.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import NewType

from sim.errors import SpeskewError

Tick = NewType("Tick", int)
Picos = NewType("Picos", int)
Ops = NewType("Ops", int)
Bytes = NewType("Bytes", int)

TICKS_PER_CYCLE = 64
PICOS_PER_SECOND = 10**12

_TIME = {"ps": 1, "ns": 10**3, "us": 10**6, "µs": 10**6, "ms": 10**9, "s": 10**12}
_SIZE = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_FREQUENCY = {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9}
_AMBIGUOUS = {"kB", "KB", "MB", "GB", "TB", "K", "M", "G", "T", "k"}
_QUANTITY = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+]?[0-9]+)?)\s*([^\s0-9.]*)\s*\Z")


class UnitError(SpeskewError, ValueError):
    """Text that is no quantity of the wanted kind; the message says what would be."""


def _split(text: str, kind: str, example: str) -> tuple[Decimal, str]:
    found = _QUANTITY.match(text)
    if not found:
        raise UnitError(f"cannot read {text!r} as a {kind}; write it like {example!r}")
    return Decimal(found[1].replace("_", "")), found[2]


def _exact(text: str, kind: str, example: str, table: dict[str, int]) -> int:
    number, unit = _split(text, kind, example)
    if unit not in table:
        raise UnitError(_unit_hint(text, unit, kind, example, table))
    value = number * table[unit]
    if value != int(value):
        smallest = next(iter(table))
        raise UnitError(
            f"{text!r} is finer than one {smallest}; the {kind} must be whole {smallest}"
        )
    return int(value)


def _unit_hint(text: str, unit: str, kind: str, example: str, table: dict[str, int]) -> str:
    if unit in _AMBIGUOUS and table is _SIZE:
        binary = unit.rstrip("B").upper() + "iB"
        return (
            f"cannot read {text!r} as a {kind}: {unit} is ambiguous; use {binary} (powers of 1024)"
        )
    known = ", ".join(table)
    close = [u for u in table if u.lower() == unit.lower()]
    if close:
        return f"cannot read {text!r} as a {kind}: did you mean {close[0]!r}? (units: {known})"
    missing = "has no unit" if not unit else f"unknown unit {unit!r}"
    return f"cannot read {text!r} as a {kind}: {missing}; use one of {known}, e.g. {example!r}"


def parse_time(text: str) -> Picos:
    """``4ms`` → picoseconds."""
    return Picos(_exact(text, "time", "4ms", _TIME))


def parse_size(text: str) -> Bytes:
    """``4MiB`` → bytes."""
    return Bytes(_exact(text, "size", "4MiB", _SIZE))


def parse_frequency(text: str) -> int:
    """``3GHz`` → hertz."""
    return _exact(text, "frequency", "3GHz", _FREQUENCY)


def parse_share(text: str) -> int:
    """``1%`` → parts per million."""
    return _exact(text, "share", "1%", {"ppm": 1, "%": 10**4})


def parse_ops(text: str) -> Ops:
    """``1024ops`` → ops."""
    return Ops(_exact(text, "number of ops", "1024ops", {"ops": 1}))


def parse_cycles(text: str) -> int:
    """``600cycles`` → cycles."""
    return _exact(text, "number of cycles", "600cycles", {"cycles": 1})


def parse_rate(text: str) -> Picos:
    """``1000/s`` → mean picoseconds between events; ``0/s`` → 0 (never)."""
    number, unit = _split(text, "rate", "1000/s")
    if unit != "/s":
        raise UnitError(f"cannot read {text!r} as a rate; write events per second, e.g. '1000/s'")
    return Picos(0 if number == 0 else round(PICOS_PER_SECOND / number))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of quantity: unit names, each with how many of the smallest step it is."""

    name: str
    sizes: tuple[tuple[str, int], ...]

    def text(self, value: int) -> str:
        """`value` smallest steps in the largest unit that needs no more than three decimals."""
        fits = (u for u in self.sizes[::-1] if value >= u[1] and value * 1000 % u[1] == 0)
        unit, size = next(fits, self.sizes[0])
        return f"{(Decimal(value) / size).normalize():f}{unit}"


COUNT = Kind("count", (("", 1),))
KINDS = (
    Kind("time", tuple((u, n) for u, n in _TIME.items() if u != "µs")),
    Kind("size", tuple(_SIZE.items())),
    Kind("frequency", tuple(_FREQUENCY.items())),
    Kind("number of ops", (("ops", 1),)),
    Kind("number of cycles", (("cycles", 1),)),
    Kind("rate", (("/s", 1000),)),
    COUNT,
)
"""Every kind of number that a setting can have."""


def quantity(text: str) -> tuple[Kind, int]:
    """``200ns`` → (time, 200,000): any quantity in the smallest steps of its kind."""
    number, unit = _split(text, "quantity", "200ns")
    unit = "us" if unit == "µs" else unit
    for kind in KINDS:
        size = dict(kind.sizes).get(unit)
        if size is not None and number * size == int(number * size):
            return kind, int(number * size)
    units = ", ".join(unit for kind in KINDS for unit, _ in kind.sizes if unit)
    raise UnitError(f"cannot read {text!r} as a quantity; units: {units}")


def ticks(picos: int, clock_hz: int) -> Tick:
    """Picoseconds → ticks of a core at `clock_hz`, rounded to the nearest tick."""
    scale = picos * clock_hz * TICKS_PER_CYCLE
    return Tick((2 * scale + PICOS_PER_SECOND) // (2 * PICOS_PER_SECOND))


def format_size(size: int) -> str:
    """Bytes as a person writes them: ``4 MiB``."""
    for factor, unit in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= factor:
            return (
                f"{size / factor:g} {unit}" if size % factor == 0 else f"{size / factor:.2f} {unit}"
            )
    return f"{size} B"


def div_up(a: int, b: int) -> int:
    """Ceiling division of non-negative ints."""
    return -(-a // b)


def round_down(value: int, granule: int) -> int:
    """Largest multiple of `granule` that is at most `value`."""
    return value - value % granule


def round_up(value: int, granule: int) -> int:
    """Smallest multiple of `granule` that is at least `value`."""
    return round_down(value + granule - 1, granule)
