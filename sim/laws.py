"""Laws of random times as integer tables whose tails are right.

A law is 1,216 *cells*: 240 slices of probability 2^-8 cover all but the last sixteenth, 240 of
2^-12 all but the last sixteenth of that, and so on to 2^-24. A draw reads 24 bits of a hash for its
cell and 16 for its place within the cell, along a straight line that keeps the cell's mean. So no
tail is cut before 2^-24, and wherever one looks the share beyond is right to 0.1 %, or to a tick.

A cell is one int64, `span << 32 | base`, so that compiled code reads one word a draw and needs no
branch. Values are ticks, below 2^32 (22 ms at 3 GHz).

Fidelity note. Modelled: constant, exponential, a floor plus a lognormal wait, and measured
quantiles (as they are: steps, no tail beyond the last). The lowest slice of a lognormal stands at
its middle, so that no latency is below what an op costs the core.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit_inline, splitmix64

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
SLICES: Final = 256
"""Slices of the whole, and of each last part; all but the last level have the first `_CUT`."""
LEVELS: Final = 5
_CUT: Final = 240
STRIDE: Final = (LEVELS - 1) * _CUT + SLICES
"""Cells of a law: words from one to the next in a table of several."""
DRAWS: Final = 1 << 40
"""Equally likely draws of a law: 24 bits and 16."""
_PLACES: Final = 1 << 16
_TAIL: Final = 24
"""A law ends at 2^-this."""
_MAX: Final = (1 << 31) - 1


# --- tables ------------------------------------------------------------------------------------


def constant(value: int) -> I64:
    """A law of one value, ticks."""
    return np.full(STRIDE, _word(value))


@cache
def _exponential(mean: int) -> I64:
    tail = mean * (1 + _TAIL * math.log(2))
    return _cells([-mean * math.log(share) for share in _shares()], tail)


def exponential(mean: int) -> I64:
    """An exponential law of integer mean, ticks; at least one."""
    return _exponential(mean).copy()


@cache
def _lognormal(floor: int, median: int, p99: int) -> I64:
    normal = NormalDist()
    sigma = math.log(p99 / median) / normal.inv_cdf(0.99)

    def wait(z: float) -> float:
        return floor + median * math.exp(-sigma * z)

    cells = _cells([floor, *map(wait, _normals())], wait(normal.inv_cdf(0.5 / (1 << _TAIL))))
    cells[0] = _word(wait(normal.inv_cdf(1 - 0.5 / SLICES)))
    return cells


def lognormal(floor: int, median: int, p99: int) -> I64:
    """`floor` plus a lognormal wait of given median and 99th percentile, all ticks."""
    return _lognormal(floor, median, p99).copy()


def measured(quantiles: I64) -> I64:
    """A law of 256 equally likely values, ascending, ticks: what a capture has seen."""
    if quantiles.size != SLICES:
        raise ValueError(f"{quantiles.size} quantiles; a measured law has {SLICES}")
    last = quantiles[np.arange(_CUT, SLICES).repeat(SLICES // 16)[:_CUT]]
    beyond = np.full(STRIDE - 2 * _CUT, quantiles[-1], np.int64)
    return np.concatenate([quantiles[:_CUT], last, beyond])


def _cells(values: Sequence[float], tail: float) -> I64:
    """Words of a law: `values` are exceeded with the probabilities of `_shares`; `tail` stands for
    everything beyond 2^-24.

    Each cell is a line over its slice, by Simpson's rule of the slice's mean.
    """
    points = np.array(values)
    first, middle, last = points[:-1:2], points[1::2], points[2::2]
    span = np.rint(last - first)
    base = np.maximum(1.0, np.rint((first + 4 * middle + last) / 6 - span / 2))
    return np.append(_words(base, span), _word(tail))


@cache
def _shares() -> tuple[float, ...]:
    """Survival at the ends of the cells but the last, and at their middles, in falling order."""
    halves = [half for high, low in _slices() for half in (high, (high + low) / 2)]
    return (*halves, 16.0 ** -(LEVELS + 1))


@cache
def _normals() -> tuple[float, ...]:
    """What a standard normal exceeds with these probabilities, of which the first is 1."""
    return tuple(map(NormalDist().inv_cdf, _shares()[1:]))


def _slices() -> Iterator[tuple[float, float]]:
    """Survival before and after each cell but the last."""
    for level in range(LEVELS):
        top, step = 16.0**-level, 16.0 ** -(level + 2)
        cells = _CUT if level < LEVELS - 1 else SLICES - 1
        yield from ((top - k * step, top - (k + 1) * step) for k in range(cells))


def _words(base: F64, span: F64) -> I64:
    ends = base + span
    if not (np.all(base >= 0) and np.all(span >= 0) and np.all(np.maximum(base, span) <= _MAX)):
        raise ValueError(f"a time of {ends.max():,.0f} ticks is beyond the largest, {_MAX:,}")
    return span.astype(np.int64) << 32 | base.astype(np.int64)


def _word(time: float) -> np.int64:
    """Of one time."""
    return np.int64(_words(np.rint([time]), np.zeros(1))[0])


# --- draws -------------------------------------------------------------------------------------

_FROM, _BYTE, _PLACE = np.uint64(64 - _TAIL), np.uint64(255), np.uint64(_PLACES - 1)
_SHIFT, _STEP, _PER = np.uint64(_TAIL - 8), np.uint64(4), np.uint64(_CUT)
_L1, _L2, _L3, _L4 = (np.uint64((1 << _TAIL) - (1 << _TAIL - 4 * k)) for k in range(1, LEVELS))
_LOW = np.int64((1 << 32) - 1)


@njit_inline
def drawn(tables: Any, at: Any, value: Any) -> Any:
    """Ticks of the law at `at` (uint64) for a hash (uint64); free of branches, for vector units."""
    bits = value >> _FROM
    level = np.uint64(bits >= _L1) + np.uint64(bits >= _L2)
    level += np.uint64(bits >= _L3) + np.uint64(bits >= _L4)
    word = tables[at + level * _PER + ((bits >> (_SHIFT - _STEP * level)) & _BYTE)]
    return (word & _LOW) + (((word >> 32) * np.int64(value & _PLACE)) >> 16)


def draw(law: memoryview | list[int], at: int, key: int, ordinal: int) -> int:
    """`drawn` for the reference engine: the law at `at`, for one address."""
    value = splitmix64(key, ordinal)
    digits = [value >> 60 - 4 * k & 15 for k in range(6)]
    level = 0
    while level < LEVELS - 1 and digits[level] == 15:
        level += 1
    word = law[at + level * _CUT + 16 * digits[level] + digits[level + 1]]
    return (word & 0xFFFF_FFFF) + ((word >> 32) * (value & _PLACES - 1) >> 16)


def drawn_array(tables: I64, at: I64, values: NDArray[np.uint64]) -> I64:
    """`drawn` over arrays: laws that begin at `at` [n], for hashes [n]."""
    bits = (values >> _FROM).astype(np.int64)
    level = sum((bits >= int(least)).astype(np.int64) for least in (_L1, _L2, _L3, _L4))
    words = tables[at + level * _CUT + (bits >> (_TAIL - 8 - 4 * level) & 255)]
    place = (values & _PLACE).astype(np.int64)
    return np.asarray((words & _LOW) + ((words >> 32) * place >> 16))


# --- what a law says ---------------------------------------------------------------------------

_WEIGHT = np.repeat(
    np.array([1 << 16 - 4 * level for level in range(LEVELS)], np.int64),
    [*[_CUT] * (LEVELS - 1), SLICES],
)
"""How many of the 2^24 values of a draw's bits fall into each cell."""


def at_least(tables: I64, value: int) -> I64:
    """Of `DRAWS` draws of each law [n, STRIDE], how many give `value` ticks or more [n]."""
    words = tables.reshape(-1, STRIDE)
    if value <= 0:  # no filter by latency: every draw
        return np.full(len(words), DRAWS, np.int64)
    base, span = words & _LOW, words >> 32
    missing = (value - base) << 16
    first = -(-missing // np.maximum(span, 1))  # the first place that reaches it
    reached = np.where(span > 0, _PLACES - np.clip(first, 0, _PLACES), _PLACES * (missing <= 0))
    return np.asarray(np.where(missing <= 0, _PLACES, reached) @ _WEIGHT)


def by_unit(law: I64, unit: int, most: int) -> I64:
    """Of `DRAWS` draws of one law [STRIDE], how many last so many whole units of `unit` ticks
    [most + 1]; what lasts more than `most` counts as `most`.
    """
    base, span = law & _LOW, law >> 32
    low = base // unit
    units = (base + (span * (_PLACES - 1) >> 16)) // unit - low + 1  # that a cell reaches into
    cell = np.repeat(np.arange(STRIDE), units)
    value = low[cell] + np.arange(cell.size) - np.repeat(np.cumsum(units) - units, units)
    first, after = (_first_place(base[cell], span[cell], end * unit) for end in (value, value + 1))
    out = np.zeros(most + 1, np.int64)
    np.add.at(out, np.minimum(value, most), (after - first) * _WEIGHT[cell])
    return out


def _first_place(base: I64, span: I64, ticks: I64) -> I64:
    """The first place of each cell that reaches so many ticks; _PLACES if none does."""
    missing = (ticks - base) << 16
    first = -(-missing // np.maximum(span, 1))
    sloping = np.clip(first, 0, _PLACES)
    return np.asarray(np.where(span > 0, sloping, np.where(missing <= 0, 0, _PLACES)))


def shortest(law: I64) -> int:
    """The least value of a law, ticks."""
    return int((law & _LOW).min())


def longest(law: I64) -> int:
    """The greatest value of a law, ticks."""
    words = law
    return int(((words & _LOW) + ((words >> 32) * (_PLACES - 1) >> 16)).max())
