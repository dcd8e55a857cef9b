"""What asks a program to end, and how it waits for a block of code that must be whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a command to end: it does so in order, and says what it leaves."""


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What asks for an end waits for that of the block.

    Only a process's main thread can handle signals, and is interrupted by them; elsewhere nothing
    changes. What comes before the block's first line, or after its last, comes as ever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []

    def remember(signum: int, frame: FrameType | None) -> None:
        asked.append(signum)

    usual = {number: signal.getsignal(number) for number in ENDING}
    try:
        for number, handler in usual.items():
            if handler not in (signal.SIG_IGN, None):
                signal.signal(number, remember)
        yield
    finally:
        restore(usual)
    if asked:
        signal.raise_signal(asked[0])


def restore(usual: Mapping[signal.Signals, Any]) -> None:
    """Handlers that had been replaced, back in their places."""
    for number, handler in usual.items():
        if handler is not None:  # else it is not Python's
            signal.signal(number, handler)
