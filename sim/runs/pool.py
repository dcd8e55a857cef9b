"""Processes of this machine that run units, and that end when nobody wants their results.

The parent holds one end of a line; whatever closes it, the end of the batch, Ctrl-C or a kill, ends
the workers. A unit that is being simulated is given up by an exception inside it. A worker is never
killed from outside: one that dies while it sends a result leaves half a message in the pipe, and
the parent would wait for the rest for ever.

Workers are spawned, which by itself runs the caller's script once more in each of them: a script
without `if __name__ == "__main__"` would start itself again and again. No unit needs anything of
the script, so workers are started as if there were none.
"""

from __future__ import annotations

import _thread
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import TypeVar

from sim.cache import compiled, home

U = TypeVar("U")
T = TypeVar("T")


class _Worker(SpawnProcess):
    """A spawned process that does not run the caller's script."""

    def start(self) -> None:
        """As any process, but what `spawn` says of `__main__` is that it has no file."""
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            super().start()
        finally:
            sys.modules["__main__"] = script


class _Context(SpawnContext):
    """Spawned processes, as `ProcessPoolExecutor` asks for them."""

    Process = _Worker


@contextmanager
def pooled(jobs: int) -> Iterator[ProcessPoolExecutor | None]:
    """A pool of processes, which is gone when this is left; None for one job, which runs here."""
    if jobs <= 1:
        yield None
        return
    with processes(jobs) as pool:
        yield pool


@contextmanager
def processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes, which is gone when this is left; `submit` hands units to it."""
    compiled.check()
    ours, theirs = multiprocessing.Pipe(duplex=False)
    pool = ProcessPoolExecutor(
        jobs,
        _Context(),
        initializer=_begin,
        initargs=(ours, home.STATE),  # as it is when the process is started
    )
    try:
        yield pool
    finally:
        theirs.close()
        pool.shutdown(wait=True, cancel_futures=True)
        ours.close()


def apply(
    pool: ProcessPoolExecutor | None, work: Callable[[U], T], units: Sequence[U]
) -> Iterator[tuple[int, T]]:
    """(index of the unit, what `work` makes of it), in the order of finishing."""
    if pool is None:
        for index, unit in enumerate(units):
            yield index, work(unit)
        return
    futures = {submit(pool, work, unit): index for index, unit in enumerate(units)}
    for future in as_completed(futures):
        yield futures[future], future.result()


def submit(pool: ProcessPoolExecutor, work: Callable[[U], T], unit: U) -> Future[T]:
    """What `work` makes of a unit, in one of the pool's processes."""
    return pool.submit(_work, work, unit)


# --- in the worker ---------------------------------------------------------------------------


class EndedError(Exception):
    """Nobody wants the result of the unit that is being run."""


_AGAIN = 0.1
"""Seconds between two attempts to give a unit up."""


class _State:
    """Of this process, if it is a worker."""

    busy = False  # inside a unit: an exception does no harm
    ended = False


def _work(work: Callable[[U], T], unit: U) -> T:
    _State.busy = True
    try:
        if _State.ended:
            raise EndedError
        return work(unit)
    finally:
        _State.busy = False


def _begin(line: Connection, parent: home.State) -> None:
    home.adopt(parent)
    _obey(line)


def _obey(line: Connection) -> None:
    """Ctrl-C reaches a terminal's whole process group, but is for the parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, _give_up)
    sys.unraisablehook = _unraised
    threading.Thread(target=_watch, args=(line,), daemon=True).start()


def _watch(line: Connection) -> None:
    with suppress(EOFError, OSError):
        line.recv()  # nothing is ever sent: this returns when the parent's end is closed
    _State.ended = True
    parent = multiprocessing.parent_process()
    assert parent is not None
    while parent.is_alive():
        _thread.interrupt_main(signal.SIGUSR1)
        parent.join(_AGAIN)
    os._exit(1)  # the parent was killed, so it has not told its workers to leave


def _unraised(unraisable: sys.UnraisableHookArgs) -> None:
    """Where Python drops exceptions (in a `__del__`), this one is raised again soon."""
    if unraisable.exc_type is not EndedError:
        sys.__unraisablehook__(unraisable)


def _give_up(_signal: int, _frame: object) -> None:
    if _State.busy:
        raise EndedError
