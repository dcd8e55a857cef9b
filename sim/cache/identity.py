"""What follows from an object that does not change, worked out once while somebody needs it.

Settings are read from a scenario once and asked the same again for each of their units; comparing
them by value would cost more than the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


class _Same(Generic[S]):
    """An object that equals itself alone; as a key it keeps the object, so its place is its own."""

    __slots__ = ("one",)

    def __init__(self, one: S) -> None:
        self.one = one

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.one is other.one

    def __hash__(self) -> int:
        return id(self.one)


def by_identity(size: int) -> Callable[[Callable[[S], T]], Callable[[S], T]]:
    """A function of one object that does not change: answers about the last `size` are kept."""

    def keeping(function: Callable[[S], T]) -> Callable[[S], T]:
        @lru_cache(size)
        def kept(same: _Same[S]) -> T:
            return function(same.one)

        @wraps(function)
        def asked(one: S) -> T:
            return kept(_Same(one))

        return asked

    return keeping
