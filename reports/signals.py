"""When Ctrl-C, `kill`, `timeout` and the end of a terminal take effect."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sim.interrupts import ENDING, restore


@contextmanager
def terminable() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise KeyboardInterrupt as Ctrl-C does.

    One that the caller's process ignores stays ignored, as under nohup(1). Only a process's main
    thread can handle signals; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = {number: signal.getsignal(number) for number in ENDING[1:]}
    for number, handler in usual.items():
        if handler not in (signal.SIG_IGN, None):
            signal.signal(number, signal.default_int_handler)
    with never_dropped():
        try:
            yield
        finally:
            restore(usual)


@contextmanager
def never_dropped() -> Iterator[None]:
    """Within the block a Ctrl-C that Python drops, as in a `__del__`, comes again."""
    hook, sys.unraisablehook = sys.unraisablehook, _unraised
    try:
        yield
    finally:
        sys.unraisablehook = hook


_MOMENT = 0.01
"""Seconds; Python would drop what is raised before the hook is left, too."""


def _unraised(unraisable: sys.UnraisableHookArgs) -> None:
    """Where Python drops exceptions (in a `__del__`), Ctrl-C comes again, a moment later."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
        return
    try:
        _thread.start_new_thread(_interrupt, ())  # threading's waits for it, and can be interrupted
    except KeyboardInterrupt:  # a second one, meanwhile
        _thread.start_new_thread(_interrupt, ())


def _interrupt() -> None:
    """Soon ask the main thread to end, by a signal that is not ignored; it wakes from any wait."""
    time.sleep(_MOMENT)
    heeded = (number for number in ENDING if callable(signal.getsignal(number)))
    ident = threading.main_thread().ident
    if (number := next(heeded, None)) is not None and ident is not None:
        signal.pthread_kill(ident, number)


def ending() -> None:
    """A command is about to leave: from here on nothing asks it to."""
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
