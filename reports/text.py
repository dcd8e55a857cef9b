"""Text for people: numbers, units, and names that are not to be trusted.

Symbol names come from other people's programs. `printable` makes a name harmless on a terminal;
HTML is escaped by the template, SVG by matplotlib (with mathtext off).
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from analysis.statistics import shown
from analysis.statistics.shown import number as number
from analysis.symbols import brief, cut, demangled
from sim.units import TICKS_PER_CYCLE

if TYPE_CHECKING:
    from analysis.statistics.intervals import Metric


def printable(name: str, width: int = 0) -> str:
    """A name without control, bidirectional or other unprintable characters; cut to `width`.

    It is cut in the middle: names of C++ begin alike and differ at their ends.
    """
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return cut(safe, width) if width else safe


def symbol(name: str, width: int = 0) -> str:
    """A symbol's name as people write it, demangled; printable, cut to `width`."""
    return printable(brief(name, width) if width else demangled(name), width)


def aligned(rows: Sequence[Sequence[str]], *, right: bool = False, least: int = 0) -> list[str]:
    """A line per row: cells padded to the widest of their column, two spaces between columns.

    Cells are to the left; with `right`, those of every column but the first are to the right. The
    first column has `least` characters or more. No line ends in spaces.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[:1] = [max(least, width) for width in widths[:1]]
    return ["  ".join(_padded(row, widths, right=right)).rstrip() for row in rows]


def _padded(row: Sequence[str], widths: Sequence[int], *, right: bool) -> Iterator[str]:
    for k, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.rjust(width) if right and k else cell.ljust(width)


def hanging(
    head: str, text: str, width: int, *, indent: str | None = None, whole_words: bool = False
) -> list[str]:
    """Lines of at most `width`: `head` before the first, `indent` or as much room before the rest.

    Nothing is broken at a hyphen, which may be an option's, nor, with `whole_words`, inside a word.
    """
    rest = " " * len(head) if indent is None else indent
    return list(_wrapped(head, text, width, rest, whole_words))


@lru_cache(maxsize=1 << 12)
def _wrapped(head: str, text: str, width: int, indent: str, whole_words: bool) -> tuple[str, ...]:
    """The cells of a sweep say much of the same."""
    found = textwrap.wrap(
        text,
        width,
        initial_indent=head,
        subsequent_indent=indent,
        break_long_words=not whole_words,
        break_on_hyphens=False,
    )
    return tuple(found)


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def percent(fraction: float) -> str:
    """A fraction as a percentage with three digits: ``0.0123 %``."""
    return f"{number(100 * fraction)} %"


def size(count: int) -> str:
    """Bytes as a person writes them: ``4 MiB``, ``2.03 MiB``."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << shift:
            return f"{number(count / (1 << shift))} {unit}"
    return f"{count} B"


def milliseconds(ticks: float, clock_hz: int) -> float:
    """Ticks (1/64 cycle) → milliseconds."""
    return ticks * 1e3 / (TICKS_PER_CYCLE * clock_hz)


TIGHT = 0.01
"""Half-widths below this part of the mean are given as ±, since both ends look alike."""
TINY, SMALL = 6, 1e-4
"""A number of more decimals than TINY that is smaller than SMALL is written with an exponent."""


def decimals(metric: Metric, scale: float) -> int | None:
    """Decimals that show two digits of the interval's half-width; None without an interval."""
    return shown.decimals((metric.half_width or 0.0) * scale)


def interval(metric: Metric, scale: float = 1.0) -> str:
    """The interval of a metric: ``[0.12, 0.31]``, ``(all 8 equal)``, or ``(one replication)``.

    Equal replications are no interval: another seed may have another value.
    """
    if metric.exact:
        return f"(all {metric.n} equal)"
    if metric.low is None or metric.high is None:
        return "(one replication)" if metric.n == 1 else "(no value)"
    digits = decimals(metric, scale)
    return f"[{fixed(metric.low * scale, digits)}, {fixed(metric.high * scale, digits)}]"


def fixed(value: float, digits: int | None) -> str:
    """A number with so many decimals; three significant digits where the count is None."""
    if digits is None:
        return number(value)
    if digits > TINY and 0 < abs(value) < SMALL:
        return f"{value:.1e}"
    return f"{value:,.{digits}f}"


def with_interval(metric: Metric, scale: float = 1.0, unit: str = "") -> str:
    """``0.21 % [0.12, 0.31]``, or ``15.25 ±0.002 %`` if it is tight; ``–`` without a value."""
    if metric.mean is None:
        return "–"
    tail = f" {unit}" if unit else ""
    mean, half = metric.mean * scale, (metric.half_width or 0.0) * scale
    if 0 < half < TIGHT * abs(mean):
        digits = max(0, -math.floor(math.log10(half)))
        shown = max(0, min(digits, 3 - math.floor(math.log10(abs(mean)))))
        return f"{fixed(mean, shown)} ±{fixed(half, digits)}{tail}"
    return f"{fixed(mean, decimals(metric, scale))}{tail} {interval(metric, scale)}"
