"""Large memory-mapped arrays of which only the part that is in use stays in the process's memory.

A walk through gigabytes on disk maps them page by page and keeps all of them resident. Here what
has been passed is let go; it stays in the system's page cache. Nothing depends on it but time and
memory: what is read again is mapped again.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


class MovingPart:
    """The rows [begin, end) of an array that may stay; of one that is not memory-mapped all do."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._map = _map_of(array)
        self._row = array.strides[0]
        self._first = 0  # where the rows begin in the map, bytes
        if self._map is not None:
            whole = np.frombuffer(self._map, np.uint8)
            self._first = array.ctypes.data - whole.ctypes.data
        self._kept = (0, 0)  # bytes of the map

    @property
    def kept(self) -> int:
        """Bytes that may be resident, whole pages."""
        return self._kept[1] - self._kept[0]

    def move(self, begin: int, end: int) -> None:
        """Rows [begin, end) are about to be read: let go of what lies before, or of all if this is
        somewhere else than where the last ones were."""
        if self._map is None:
            return
        low = (self._first + begin * self._row) // mmap.PAGESIZE * mmap.PAGESIZE
        high = -(-(self._first + end * self._row) // mmap.PAGESIZE) * mmap.PAGESIZE
        first, last = self._kept
        follows = first <= low <= last
        gone = low if follows else last
        if gone > first:
            self._map.madvise(mmap.MADV_DONTNEED, first, gone - first)
        high = min(high, len(self._map))
        self._kept = (low, max(last, high) if follows else high)


def _map_of(array: NDArray[Any]) -> mmap.mmap | None:
    """What an array is a view of, if that is a map of a file."""
    base: object = array
    while isinstance(base, (np.ndarray, memoryview)):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base if isinstance(base, mmap.mmap) else None
