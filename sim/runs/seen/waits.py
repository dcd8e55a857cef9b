"""How long loads take: their TOTAL latency, by static op, memory level and class of length.

A class begins at 2^(k/4) cycles, rounded down, and below eight cycles each number is one of its
own: no latency is further than a tenth from the mean of its class. The truth is the law that each
latency is drawn from, cycle by cycle: what an access takes on average over all draws. A latency is
a hash of the operation's number, replication and vCPU and says nothing of the program, so no arm
and no replication has a truth of its own.

Fidelity note. As `sim.spe.record`: TOTAL counts whole cycles and saturates; an atomic is seen as a
load.
"""

from __future__ import annotations

from math import isqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim import laws
from sim.spe.record import CoreFacts, total_of
from sim.units import TICKS_PER_CYCLE
from sim.workload.a64 import OpClass
from sim.workload.arrays import LEVEL_STRIDE, Stream

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
LOADS: Final = (OpClass.LOAD, OpClass.ATOMIC)
CLASSES: Final = np.array([*range(8), *(isqrt(isqrt(1 << k)) for k in range(12, 68))], np.int64)
"""Where each class of TOTAL begins, cycles."""


def class_of(cycles: I64) -> I64:
    """The class of each latency."""
    return np.asarray(np.searchsorted(CLASSES, cycles, side="right") - 1, np.int64)


def keys(stream: Stream, static: I64, level: I64, hashes: U64, facts: CoreFacts) -> I64:
    """Cell (static × LEVEL_STRIDE + level) and class of sampled loads [n] in one number each, from
    the hashes of their latencies."""
    total = total_of(stream, static, level, hashes, facts)
    return (static * LEVEL_STRIDE + level) * CLASSES.size + class_of(total)


def rows(keys: I64, times: I64) -> I64:
    """Rows (cell, class, records), ascending, of `keys` that are."""
    return np.column_stack([keys // CLASSES.size, keys % CLASSES.size, times])


def expected(stream: Stream, members: I64, min_latency: int, counter_max: int) -> I64:
    """Rows (static × LEVEL_STRIDE + level, class, draws, mean TOTAL in ticks) of every load that
    has `members` [S × LEVEL_STRIDE], ascending.

    `draws` are those of `laws.DRAWS` that fall into the class and last `min_latency` ticks or more.
    """
    load = np.repeat(np.isin(stream.static_class, LOADS), LEVEL_STRIDE)
    cells = np.flatnonzero(load & (members > 0))
    laws_of = (stream.rows()[:, None] + np.arange(LEVEL_STRIDE)).reshape(-1)[cells]
    table = stream.latency().reshape(-1, laws.STRIDE)
    parts = [np.zeros((0, 4), np.int64)]
    for law in np.unique(laws_of).tolist():
        rows = _classes(table[law], min_latency, counter_max)
        mine = cells[laws_of == law]
        each = np.tile(rows, (mine.size, 1))
        parts.append(np.column_stack([np.repeat(mine, len(rows)), each]))
    found = np.concatenate(parts)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def _classes(law: I64, min_latency: int, counter_max: int) -> I64:
    """Rows (class, draws, mean TOTAL in ticks) of a law, those that are drawn."""
    draws = laws.by_unit(law, TICKS_PER_CYCLE, counter_max)
    draws[: -(-min_latency // TICKS_PER_CYCLE)] = 0
    cycles = np.arange(draws.size)
    at = class_of(cycles)
    times, ticks = np.zeros((2, CLASSES.size), np.int64)
    np.add.at(times, at, draws)
    np.add.at(ticks, at, draws * cycles * TICKS_PER_CYCLE)
    there = np.flatnonzero(times)
    return np.column_stack([there, times[there], ticks[there] // times[there]])
