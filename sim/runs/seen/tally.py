"""How often each of many keys comes, of which few differ, counted as they come.

Sorting millions of keys takes longer than finding them. Here a key has one place in a small table;
if another key holds the place, that one moves to a list, where the same key may be found again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.draws import WEYL, njit
from sim.results import OPS_AT_ONCE

I64 = NDArray[np.int64]
_NONE = -1
"""Where no key is held."""
_BITS = 14
"""The table has 2^14 places, 256 KiB: a level 2 cache holds it beside what is counted."""
_MANY = 1 << 20
"""Keys of the list that are added up before more come."""
_SPREAD = np.uint64(WEYL)
"""The golden ratio: keys that differ little have places far apart (Knuth, TAOCP 3, 6.4)."""
_SHIFT = np.uint64(64 - _BITS)


class Tally:
    """Counts of int64 keys that are not negative."""

    __slots__ = ("_held", "_keys", "_moved", "_room", "_times")

    def __init__(self) -> None:
        self._keys = np.full(1 << _BITS, _NONE, np.int64)
        self._times = np.zeros(1 << _BITS, np.int64)
        self._room = np.empty((2, OPS_AT_ONCE), np.int64)
        self._moved: list[I64] = []
        self._held = 0

    def add(self, keys: I64) -> None:
        """Count at most `OPS_AT_ONCE` keys."""
        moved = count(keys, self._keys, self._times, self._room[0], self._room[1])
        if not moved:
            return
        self._moved.append(self._room[:, :moved].copy())
        self._held += moved
        if self._held >= _MANY:
            self._moved = [np.stack(_added_up(self._moved))]
            self._held = 0

    def counts(self) -> tuple[I64, I64]:
        """The keys, ascending, and how often each came."""
        there = self._keys != _NONE
        return _added_up([*self._moved, np.stack([self._keys[there], self._times[there]])])


def _added_up(parts: list[I64]) -> tuple[I64, I64]:
    """Keys, ascending, and sums, of arrays [2, n] of keys and counts."""
    keys, times = np.concatenate(parts, axis=1)
    found, at = np.unique(keys, return_inverse=True)
    sums = np.zeros(found.size, np.int64)
    np.add.at(sums, at, times)
    return found, sums


@njit
def count(keys: Any, held: Any, times: Any, moved: Any, moved_times: Any) -> Any:
    """Count keys in the table; those that lose their place are written to `moved`: how many."""
    n = 0
    for j in range(keys.size):
        key = keys[j]
        at = (np.uint64(key) * _SPREAD) >> _SHIFT
        if held[at] != key:
            if held[at] != _NONE:
                moved[n], moved_times[n] = held[at], times[at]
                n += 1
            held[at], times[at] = key, 0
        times[at] += 1
    return n
