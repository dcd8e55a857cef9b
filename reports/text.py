"""Text for people: numbers, units, and names that are not to be trusted.

Symbol names come from other people's programs. `printable` makes a name harmless on a terminal;
HTML is escaped by the template, SVG by matplotlib (with mathtext off).
"""

from __future__ import annotations

from typing import Any


def printable(name: str, width: int = 0) -> str:
    """A name without control, bidirectional or other unprintable characters; cut to `width`."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return safe if not width or len(safe) <= width else safe[: width - 1] + "…"


def percent(fraction: float) -> str:
    """A fraction as a percentage with three digits: ``0.0123 %``."""
    return f"{number(100 * fraction)} %"


def number(value: float) -> str:
    """Three significant digits, never scientific above 1e-4: ``0.0123``, ``12,345``."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size < 1e-4:
        return f"{value:.1e}"
    return f"{value:.3g}" if size < 100 else f"{value:.0f}"


def size(count: int) -> str:
    """Bytes as a person writes them: ``4 MiB``, ``2.02 MiB``."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << shift:
            return f"{count / (1 << shift):.4g} {unit}"
    return f"{count} B"


def milliseconds(ticks: float, clock_hz: int) -> float:
    """Ticks (1/64 cycle) → milliseconds."""
    return ticks * 1e3 / (64 * clock_hz)


def interval(metric: dict[str, Any], scale: float = 1.0) -> str:
    """The interval of a metric: ``[0.1, 0.3]``, ``exact``, or ``one replication``."""
    ci = metric["ci95"]
    if ci == "exact":
        return "exact"
    if ci is None:
        return "one replication" if metric["n"] == 1 else "no value"
    return f"[{number(ci[0] * scale)}, {number(ci[1] * scale)}]"


def with_interval(metric: dict[str, Any], scale: float = 1.0, unit: str = "") -> str:
    """``0.2 [0.1, 0.3] %``; ``–`` where there is no value."""
    if metric["mean"] is None:
        return "–"
    tail = f" {unit}" if unit else ""
    return f"{number(metric['mean'] * scale)}{tail} {interval(metric, scale)}"
