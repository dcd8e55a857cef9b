"""Processes of this machine that run units, and that end when nobody wants their results.

Each worker has a line of its own, on which it is sent one unit at a time. A worker that dies, even
amid a message, is seen as the end of its line; it takes nothing along but the unit that it was
running, which is run once more, when the others are done and nothing else wants the memory. A unit
that is not wanted any more is given up by an exception inside it. Workers end with their parent,
whatever ends that (`sim.children`).

Workers are spawned, which by itself runs the caller's script once more in each of them: a script
without `if __name__ == "__main__"` would start itself again and again. No unit needs anything of
the script, so workers are started as if there were none.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe, connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import ModuleType, TracebackType
from typing import Any, ClassVar, Self, TypeVar

from sim import children
from sim.cache import compiled, home
from sim.errors import Kind, SpeskewError
from sim.policies import outside

U = TypeVar("U")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Died:
    """Why a unit has no result: the process that ran it died, and that which ran it again."""

    why: str


class DiedError(SpeskewError):
    """A unit cannot be run: its process dies each time."""

    kind: ClassVar[Kind] = Kind.DIED


class Pool:
    """So many processes, started when there is work for them; one job is done here."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._idle: list[_Worker] = []
        if jobs > 1:
            compiled.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """No process is left."""
        idle, self._idle = self._idle, []
        _end(idle)

    def apply(self, work: Callable[[U], T], units: Sequence[U]) -> Iterator[tuple[int, T]]:
        """(index of the unit, what `work` makes of it), in the order of finishing.

        Raises what `work` raises, or DiedError, which names the unit as `str` does.
        """
        for index, made in self.each(work, units):
            if isinstance(made, Died):
                raise DiedError(f"{units[index]}: {made.why}")
            yield index, made

    def each(self, work: Callable[[U], T], units: Sequence[U]) -> Iterator[tuple[int, T | Died]]:
        """As `apply`, but a unit whose process dies each time has that for its result."""
        if self._jobs <= 1:
            yield from ((index, work(unit)) for index, unit in enumerate(units))
            return
        again = []
        for index, made in self._round(work, units, range(len(units)), self._jobs):
            if isinstance(made, Died):
                again.append(index)
                home.say(f"died {units[index]}", f"{units[index]}: {made.why}; it is run again")
            else:
                yield index, made
        if again:
            self.close()  # what they hold, the unit may need
            for index, made in self._round(work, units, again, 1):
                yield index, Died(f"{made.why} (twice)") if isinstance(made, Died) else made

    def _round(
        self, work: Callable[[U], T], units: Sequence[U], which: Iterable[int], jobs: int
    ) -> Iterator[tuple[int, T | Died]]:
        """Each of these units once, in `jobs` processes at a time."""
        waiting = deque(which)
        running: dict[Connection, tuple[_Worker, int]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    worker = self._idle.pop() if self._idle else _Worker()
                    running[worker.line] = worker, waiting.popleft()
                    worker.begin(pickle.dumps((work, units[running[worker.line][1]])))
                for line in connection.wait(running):
                    assert isinstance(line, Connection)
                    answer = running[line][0].answer()
                    worker, index = running.pop(line)
                    if isinstance(answer, Died):
                        yield index, answer
                        continue
                    self._idle.append(worker)
                    made, error = answer
                    if error is not None:
                        raise error
                    yield index, made
        finally:
            _end(worker for worker, _ in running.values())


_PATIENCE = 2.0
"""Seconds for a worker to give up its unit, before it is killed; it may leave scratch files."""
_AGAIN = 0.1
"""Seconds between two attempts: Python drops exceptions where it can raise none."""


class _Process(SpawnProcess):
    """A spawned process that does not run the caller's script and is not for Ctrl-C."""

    def start(self) -> None:
        """As any process, but what `spawn` says of `__main__` is that it has no file.

        Whoever asks for our end meanwhile gets it afterwards: a process that has been told half of
        what it is to do complains.
        """
        resource_tracker.ensure_running()  # it would unblock Ctrl-C
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        usual = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with _kept_waiting(signal.SIGTERM, signal.SIGHUP):
                super().start()
        finally:
            sys.modules["__main__"] = script
            signal.pthread_sigmask(signal.SIG_SETMASK, usual)


@contextmanager
def _kept_waiting(*numbers: signal.Signals) -> Iterator[None]:
    """Handlers of these run after the block; unlike a mask, a child does not inherit that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []
    usual = {number: signal.getsignal(number) for number in numbers}
    handled = {number: handler for number, handler in usual.items() if callable(handler)}
    for number in handled:
        signal.signal(number, lambda signum, _: asked.append(signum))
    try:
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
        for signum in asked[:1]:
            signal.raise_signal(signum)


class _Worker:
    """A process, and our end of its line."""

    def __init__(self) -> None:
        self.line, theirs = Pipe()
        # the state is that of this moment, not that of the pool's beginning
        arguments = (theirs, os.getpid(), home.STATE, outside.packed())
        self.process = _Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def begin(self, unit: bytes) -> None:
        """Send a unit; that nobody is there, its answer will say."""
        with suppress(OSError):
            self.line.send_bytes(unit)

    def answer(self) -> tuple[Any, Exception | None] | Died:
        """What came of its unit, which is waited for: the result, and what was raised."""
        try:
            data = self.line.recv_bytes()
        except (EOFError, OSError):
            _end([self])
            return Died(f"its process {_how(self.process.exitcode)}")
        made, error = pickle.loads(data)
        return made, error


def _how(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "was killed, as when memory is short"
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with {code}"


def _end(workers: Iterable[_Worker]) -> None:
    """None of these is left; units that have begun are given up."""
    ending = list(workers)
    for worker in ending:
        worker.line.close()
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and (left := [w for w in ending if w.process.is_alive()]):
        for worker in left:
            worker.process.terminate()
        connection.wait([worker.process.sentinel for worker in left], _AGAIN)
    for worker in ending:
        worker.process.kill()
        worker.process.join()


# --- in the worker ---------------------------------------------------------------------------


class _EndedError(SystemExit):
    """Nobody wants the result of the unit that is being run."""


class _State:
    serving = True  # an exception does no harm


def _serve(line: Connection, parent: int, state: home.State, policies: bytes) -> None:
    """Run what comes along the line, to its end. Ctrl-C is for the parent alone."""
    children.end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _give_up)
    sys.unraisablehook = _unraised
    home.adopt(state)
    outside.adopt(policies)
    try:
        while True:
            line.send_bytes(_answered(line.recv_bytes()))
    except (EOFError, OSError):
        return
    finally:
        _State.serving = False


def _answered(data: bytes) -> bytes:
    try:
        work, unit = pickle.loads(data)
        return pickle.dumps((work(unit), None), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # whatever it is, it is raised where the result is asked for
        error.add_note("".join(traceback.format_exception(error)))
        raised = error
    try:
        pickle.loads(found := pickle.dumps((None, raised)))
    except Exception:  # an error that cannot be sent
        return pickle.dumps((None, RuntimeError(f"{type(raised).__name__}: {raised}")))
    return found


def _unraised(unraisable: sys.UnraisableHookArgs) -> None:
    """Where Python drops exceptions (in a `__del__`), this one is raised again soon."""
    if unraisable.exc_type is not _EndedError:
        sys.__unraisablehook__(unraisable)


def _give_up(_signal: int, _frame: object) -> None:
    if _State.serving:
        raise _EndedError
