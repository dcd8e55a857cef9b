"""Where lost ops lie in the code, counted by static op and memory level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.workload.arrays import LEVEL_STRIDE, Stream

AT_ONCE = 1 << 18
"""Intervals that are counted together, 4 MiB: the more, the fewer ops are looked at twice."""
PACKED = 1 << 11
"""Numbers of Python, two an interval, that wait to become an array, which is half as large."""


class LossCounter:
    """Where the lost ops lie in the code; intervals are counted in batches."""

    __slots__ = ("_counts", "_intervals", "_many", "_stream", "_waiting")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._intervals: list[int] = []
        self._many: list[NDArray[np.int64]] = []
        self._waiting = 0  # rows of `_many`
        self._counts: NDArray[np.int64] = np.zeros(stream.statics * LEVEL_STRIDE, np.int64)

    def add(self, begin: int, end: int) -> None:
        """Population ops among [begin, end) are lost; an adjoining interval grows the last one."""
        if self._intervals and self._intervals[-1] == begin:
            self._intervals[-1] = end
            return
        self._intervals += (begin, end)
        if len(self._intervals) >= PACKED:
            self._pack()

    def add_all(self, intervals: NDArray[np.int64]) -> None:
        """`add` for every row (begin, end); the caller may reuse its buffer."""
        self._keep(intervals.copy())

    def counts(self) -> NDArray[np.int64]:
        """By static × LEVEL_STRIDE + level."""
        self._pack()
        self._flush()
        return self._counts

    def _pack(self) -> None:
        rows = np.array(self._intervals, np.int64).reshape(-1, 2)
        self._intervals.clear()
        self._keep(rows)

    def _keep(self, rows: NDArray[np.int64]) -> None:
        self._many.append(rows)
        self._waiting += len(rows)
        if self._waiting >= AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._stream.count_intervals(np.concatenate(self._many), self._counts)
        self._many.clear()
        self._waiting = 0


class NoCounter:
    """In its place where nobody asks where they lie: long intervals take long to count."""

    __slots__ = ()

    def add(self, begin: int, end: int) -> None:
        """Not kept."""

    def add_all(self, intervals: NDArray[np.int64]) -> None:
        """Not kept."""

    def counts(self) -> NDArray[np.int64]:
        """None; no cell either, so that nobody takes them for zeros."""
        return np.zeros(0, np.int64)
