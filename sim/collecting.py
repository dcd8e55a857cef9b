"""Python's garbage collector, where objects are made by the million, and kept."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = (50_000, 20, 20)
"""Looking at the same objects again and again takes a tenth of the time."""


USUAL = gc.get_threshold()
"""Python's own."""


@contextmanager
def seldom() -> Iterator[None]:
    """It looks for garbage seldom until the end of the block."""
    usual = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def as_usual() -> None:
    """A program of ours is loaded; what runs now may leave much in few objects."""
    gc.set_threshold(*USUAL)
