"""Python's garbage collector, where objects are made by the million, and kept."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

USUAL = gc.get_threshold()
"""As it was when the first module of ours was loaded."""
SELDOM = (50_000, 20, 20)
"""Looking at the same objects again and again takes a tenth of the time."""


@contextmanager
def _at(threshold: tuple[int, int, int]) -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*threshold)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def seldom() -> AbstractContextManager[None]:
    """It looks for garbage seldom until the end of the block."""
    return _at(SELDOM)


def usual() -> AbstractContextManager[None]:
    """It looks as often as ever until the end of the block, in which few objects hold much."""
    return _at(USUAL)
