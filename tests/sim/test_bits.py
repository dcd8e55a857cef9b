"""Bits of a word, against Python's own integers."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from sim.bits import ones, place_of_one, width
from sim.draws import njit


@njit
def _of(word: Any, nth: Any) -> Any:
    return ones(word), width(word), place_of_one(word, nth) if nth < ones(word) else 64


def test_counts_and_places_are_those_of_python() -> None:
    """Every density of bits, none at all, all of them, and each alone."""
    r = random.Random(1)
    words = [0, (1 << 64) - 1, *(1 << n for n in range(64))]
    for _ in range(500):
        word = r.getrandbits(64)
        words += [word, word & r.getrandbits(64), word | r.getrandbits(64), word >> r.randrange(64)]
    for word in words:
        places = [n for n in range(64) if word >> n & 1]
        nth = r.randrange(max(1, len(places)))
        found = tuple(map(int, _of(np.uint64(word), np.uint64(nth))))
        assert found == (len(places), word.bit_length(), places[nth] if places else 64)
