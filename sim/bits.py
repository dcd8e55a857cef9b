"""Bits of a 64-bit word for compiled code: how many are 1, and where. All arguments are uint64."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.draws import njit_inline

ALL = np.uint64((1 << 64) - 1)
_0, _1, _2, _4, _56 = (np.uint64(n) for n in (0, 1, 2, 4, 56))
_PAIRS, _FOURS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
_EIGHTS, _SUM = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)


@njit_inline
def ones(word: Any) -> Any:
    """How many bits are 1: written as LLVM knows it, which makes one instruction of it."""
    word = word - ((word >> _1) & _PAIRS)
    word = (word & _FOURS) + ((word >> _2) & _FOURS)
    return (((word + (word >> _4)) & _EIGHTS) * _SUM) >> _56


@njit_inline
def width(word: Any) -> Any:
    """1 + the place of the highest 1; 0 of 0. LLVM knows this loop too, and makes no loop of it."""
    bits = _0
    while word != _0:
        word = word >> _1
        bits = bits + _1
    return bits


@njit_inline
def place_of_one(word: Any, nth: Any) -> Any:
    """Place of the `nth` 1 from below, counted from 0; there must be as many."""
    for _ in range(nth):
        word = word & (word - _1)
    return ones((word & (ALL - word + _1)) - _1)
