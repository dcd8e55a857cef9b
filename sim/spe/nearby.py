"""How much of a recorded stream's index the compiled sampler has in memory, where it is large.

Fidelity note: none; time and memory of the host alone.
"""

from __future__ import annotations

import os

from sim.cache.resident import MovingPart
from sim.workload.arrays import Stream, rows_of

_MOST = 5 << 28
LARGE = min(_MOST, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 8)
"""Bytes of an index up to which all of it may stay: an eighth of the machine's memory, 1.25 GiB at
most (5e8 to 9e8 ops), so that a recording of 1e9 ops takes less than 300 MiB.

What is let go and read again is mapped again, which takes as long as the samples of it. It is the
system's page cache, which all workers share and which is given back where memory is short.
"""


class Nearby:
    """The part of an index around the candidates that come next."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        S = stream.arrays
        arrays = (S.cells, S.execs, S.levels)
        large = sum(array.nbytes for array in arrays) > LARGE
        self._parts = [MovingPart(array) for array in arrays] if large else []

    def come_to(self, pop: int, ranks: int) -> None:
        """The next `ranks` members of the population from `pop` on are about to be looked up."""
        if not self._parts:
            return
        begin, end = (self._stream.op_of_pop(rank) for rank in (pop, pop + ranks))
        for part, rows in zip(self._parts, rows_of(self._stream.arrays, begin, end), strict=True):
            if rows[1] > rows[0]:
                part.move(*rows)
