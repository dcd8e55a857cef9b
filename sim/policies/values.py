"""A policy and its values: every value is one frozen object, and its entry in the policy's list.

The list is all that knows which values there are. A scenario's words, the messages about wrong
ones, the editor's schema, `speskew explain` and the reference pages are read from it; what a value
does and what must be known of it is on the object, and nobody else compares words. From outside
the package `add` and `remove` do what an entry does; the processes of `-j` are told (`outside`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Generic, Self, TypeVar


@dataclass(frozen=True)
class Policy:
    """One value of a policy: the word that a scenario says, and what that means, for its schema."""

    word: str
    what: str = ""
    _: KW_ONLY
    spends: tuple[str, ...] = ()
    """Times of parameters.toml that only values which name them can spend."""

    @property
    def pattern(self) -> str:
        """Regular expression of the words that name it."""
        return self.word

    def read(self, word: str) -> Self | None:
        """The value that `word` names: this one, or None; raises ValueError for a bad argument."""
        return self if word == self.word else None


P = TypeVar("P", bound=Policy)


class Values(Generic[P]):
    """The values of one policy, in the order in which they are told."""

    def __init__(self, name: str, asks: str, *values: P, between: str = ", ") -> None:
        self.name, self._asks, self._between = name, asks, between
        self._values: list[P] = []
        for value in values:
            self.add(value)
        self._own = tuple(self._values)

    def __iter__(self) -> Iterator[P]:
        return iter(self._values)

    def __getitem__(self, word: str) -> P:
        """The value that `word` names; raises KeyError if there is none."""
        found = self.get(word)
        if found is None:
            raise KeyError(f"{self.name}: no value {word!r}; one of {', '.join(self.words)}")
        return found

    def get(self, word: str) -> P | None:
        """The value that `word` names, or None; raises ValueError for a bad argument."""
        return next((found for v in self._values if (found := v.read(word)) is not None), None)

    def add(self, value: P) -> None:
        """One value more; raises ValueError if its word is taken."""
        if value.word in self.words:
            raise ValueError(f"{self.name}: there is a value {value.word!r} already")
        self._values.append(value)

    def remove(self, value: P) -> None:
        """Take a value away again; raises ValueError if it is not there."""
        self._values.remove(value)

    def changes(self) -> tuple[tuple[P, ...], tuple[str, ...]]:
        """Values that were added from outside, and words of the package's that were removed."""
        added = tuple(v for v in self._values if v not in self._own)
        return added, tuple(v.word for v in self._own if v not in self._values)

    @property
    def words(self) -> tuple[str, ...]:
        """What a scenario may say."""
        return tuple(value.word for value in self._values)

    @property
    def open(self) -> bool:
        """Does a value take an argument, so that the words are no closed list?"""
        return any(value.pattern != value.word for value in self._values)

    @property
    def meaning(self) -> str:
        """What the policy decides and what each value means, where the words alone do not say it;
        what says nothing of a value says it of all."""
        *most, last = [value.what for value in self._values]
        if not all((*most, last)):
            return self._asks
        listed = self._between.join([*most, f"or {last}" if self._between == ", " else last])
        return f"{self._asks}: {listed}" if self._asks else listed
