"""Numbers and intervals as people read them; text without any unit of its own."""

from __future__ import annotations

import math

NOTHING = 1e-13
"""Sizes below this are what rounding leaves of a sum of shares: they are shown as 0."""


def number(value: float) -> str:
    """Three significant digits, never scientific above 1e-4: ``0.0123``, ``12,345``."""
    size = abs(value)
    if size < NOTHING:
        return "0"
    if size >= 1000:
        return f"{value:,.0f}"
    if size < 1e-4:
        return f"{value:.1e}"
    return f"{value:.3g}" if size < 100 else f"{value:.0f}"


def decimals(half_width: float) -> int | None:
    """Decimals that show two digits of an interval's half-width; None without one."""
    return max(0, 1 - math.floor(math.log10(half_width))) if half_width > 0 else None
