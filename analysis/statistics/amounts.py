"""Amounts of checks, such as `0.5%` or `3ms`, in the unit of the metric that they are about."""

from __future__ import annotations

import math
import re

from sim.errors import SpeskewError

_AMOUNT = re.compile(r"([+-]?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?)\s*(.*)")
_SCALES: tuple[dict[str, float], ...] = (
    {"fraction": 1, "": 1, "%": 1e-2, "ppm": 1e-6},
    {"s": 1e3, "ms": 1, "us": 1e-3, "µs": 1e-3, "ns": 1e-6},
    {"bytes": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30},
)
"""Units that convert into each other, with their size; the first dictionary has bare numbers."""
_COUNTS = ("ops", "ticks", "B", "KiB", "MiB", "GiB")
"""Units that a plain integer of a result may be given in."""


class AmountError(SpeskewError, ValueError):
    """An amount does not fit the metric that it is about."""


def split(text: str) -> tuple[float, str]:
    """Number and unit of an amount."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise AmountError(f"cannot read {text!r} as an amount, e.g. 0.5% or 3ms")
    value = float(found[1].replace("_", ""))
    if not math.isfinite(value):
        raise AmountError(f"{text!r} is no finite number")
    return value, found[2].strip()


def convert(text: str, unit: str) -> float:
    """`text` in `unit`; raises AmountError if it measures something else."""
    value, given = split(text)
    if given == unit or (value == 0 and not given):
        return value
    for scale in _SCALES:
        if unit in scale and given in scale and (unit or given not in ("%", "ppm")):
            return value * scale[given] / scale[unit]
    if unit == "" and given in _COUNTS:
        return value * _SCALES[2].get(given, 1)
    wanted = "a percentage, e.g. 0.5%" if unit == "fraction" else unit or "a bare number"
    raise AmountError(f"{text!r} does not fit a metric in {unit or 'counts'}; give {wanted}")


def ratio(text: str) -> float:
    """A bare fraction or percentage."""
    return convert(text, "fraction")
