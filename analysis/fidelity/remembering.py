"""What is asked of one run again and again, worked out once.

A dozen measures of an arm ask for the same profile. Within `remembering` a function that is
`remembered` gives for the same objects what it gave before, so nobody may write into it. Nothing
outlives the block: a run is let go with its profiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_KEPT: ContextVar[dict[Any, tuple[Any, Any]] | None] = ContextVar("kept", default=None)
"""By function and identity of its arguments: these, so that they stay, and the answer."""


@contextmanager
def remembering(*, worth: bool = True) -> Iterator[None]:
    """A block whose answers are kept until its end, if that is `worth` its memory; one within
    another shares with it."""
    outer = _KEPT.get()
    token = _KEPT.set({} if outer is None and worth else outer)
    try:
        yield
    finally:
        _KEPT.reset(token)


def remembered(function: Callable[P, T]) -> Callable[P, T]:
    """A function that is asked again of the same objects, which do not change."""

    @wraps(function)
    def asked(*args: P.args, **others: P.kwargs) -> T:
        kept = _KEPT.get()
        if kept is None or others:
            return function(*args, **others)
        at = (function, *map(id, args))
        found = kept.get(at)
        if found is None:
            found = kept[at] = (args, function(*args, **others))
        answer: T = found[1]
        return answer

    return asked
