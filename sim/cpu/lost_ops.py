"""Where lost ops lie in the code, counted by static op and memory level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.workload.arrays import LEVEL_STRIDE, Stream


class LossCounter:
    """Where the lost ops lie in the code; intervals are counted in batches."""

    __slots__ = ("_counts", "_intervals", "_stream")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._intervals: list[int] = []
        self._counts: NDArray[np.int64] = np.zeros(stream.statics * LEVEL_STRIDE, np.int64)

    def add(self, begin: int, end: int) -> None:
        """Population ops among [begin, end) are lost; an adjoining interval grows the last one."""
        if self._intervals and self._intervals[-1] == begin:
            self._intervals[-1] = end
            return
        self._intervals += (begin, end)
        if len(self._intervals) >= 512:
            self._flush()

    def add_all(self, intervals: NDArray[np.int64]) -> None:
        """`add` for every row (begin, end)."""
        self._stream.count_intervals(intervals, self._counts)

    def counts(self) -> NDArray[np.int64]:
        """By static × LEVEL_STRIDE + level."""
        self._flush()
        return self._counts

    def _flush(self) -> None:
        pairs = np.array(self._intervals, np.int64).reshape(-1, 2)
        self._stream.count_intervals(pairs, self._counts)
        self._intervals.clear()
