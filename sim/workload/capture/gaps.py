"""Times between records of one AUX stream, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.results import log_linear_edge

I64 = NDArray[np.int64]
_BINS = 960
_EDGES = np.array([log_linear_edge(k) for k in range(_BINS)], np.int64)
HOLE = 16
"""A gap above so many medians is a hole: the task was away, or profiling was off."""


class Gaps:
    """Log-linear histogram of gaps [timer ticks] with each bin's sum (bins are 6.3 % wide)."""

    def __init__(self) -> None:
        self._count = np.zeros(_BINS, np.int64)
        self._sum = np.zeros(_BINS, np.int64)
        self.backwards = 0
        self.longest = 0

    def add(self, gaps: I64) -> None:
        """Count gaps [n]; negative ones are counted apart."""
        self.backwards += int((gaps < 0).sum())
        gaps = gaps[gaps >= 0]
        if gaps.size == 0:
            return
        self.longest = max(self.longest, int(gaps.max()))
        bins = np.searchsorted(_EDGES, gaps, side="right") - 1
        np.add.at(self._count, bins, 1)
        np.add.at(self._sum, bins, gaps)

    @property
    def count(self) -> int:
        """Gaps counted."""
        return int(self._count.sum())

    @property
    def ticks(self) -> int:
        """Their sum."""
        return int(self._sum.sum())

    def quantile(self, permille: int) -> int:
        """The mean of the bin that holds a quantile; 0 if there are no gaps."""
        if self.count == 0:
            return 0
        rank = (self.count - 1) * permille // 1000
        k = int(np.searchsorted(np.cumsum(self._count), rank, side="right"))
        return int(self._sum[k] // self._count[k])

    def ordinary(self) -> tuple[int, int]:
        """(count, sum) of the gaps that are no holes."""
        kept = self._ordinary()
        return int(self._count[kept].sum()), int(self._sum[kept].sum())

    def holes(self) -> tuple[int, int]:
        """(count, sum) of the gaps above HOLE medians."""
        kept = self._ordinary()
        return int(self._count[~kept].sum()), int(self._sum[~kept].sum())

    def _ordinary(self) -> NDArray[np.bool_]:
        return np.asarray(HOLE * max(1, self.quantile(500)) >= _EDGES)


class Following:
    """Gaps between the records of each queue, across batches."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def gaps(self, queue: int, ts: NDArray[np.uint64]) -> I64:
        """The gap before each timestamp [n]; −1 << 62 before the first of the queue."""
        if ts.size == 0:
            return np.zeros(0, np.int64)
        times = ts.astype(np.int64)  # modulo 2^64: a difference is right all the same
        before = np.concatenate([[self._last.get(queue, 0)], times[:-1]])
        gaps = np.asarray(times - before)
        if queue not in self._last:
            gaps[0] = FIRST
        self._last[queue] = int(times[-1])
        return gaps


FIRST = -(1 << 62)
"""Stands before the first record of a queue, which has no gap."""
