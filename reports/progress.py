"""Progress on stderr: a bar on a terminal, else a line per finished arm, and while one waits."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from reports import heartbeat
from reports.heartbeat import Beat
from reports.text import duration

Progress = Callable[[int, int, str], None]


class Display(Protocol):
    """Where progress is shown: on a terminal, in a notebook, nowhere."""

    def shown(self, arms: int, engine: str) -> AbstractContextManager[Progress]:
        """A callback (done, total, text) for the time in which so many arms are simulated."""

    def counted(self, total: int, what: str) -> AbstractContextManager[Callable[[int], None]]:
        """A callback that is told how many more of `total` are done."""

    def working(self, what: str) -> AbstractContextManager[object]:
        """For the time of work that cannot say how far it is."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """As the command line shows it, on stderr."""

    quiet: bool = False

    def shown(self, arms: int, engine: str) -> AbstractContextManager[Progress]:
        """As `Display`: a bar, or a line per arm where stderr is no terminal."""
        return shown(arms, quiet=self.quiet, engine=engine)

    def counted(self, total: int, what: str) -> AbstractContextManager[Callable[[int], None]]:
        """As `Display`: a bar, or a line now and then where stderr is no terminal."""
        return counted(total, what, quiet=self.quiet)

    def working(self, what: str) -> AbstractContextManager[object]:
        """As `Display`: a line whenever nothing was said for a while."""
        return heartbeat.working(what, quiet=self.quiet)


@dataclass(frozen=True, slots=True)
class Told:
    """Progress for one function: (done, total, text)."""

    call: Progress

    @contextmanager
    def shown(self, arms: int, engine: str) -> Iterator[Progress]:
        """As `Display`."""
        yield self.call

    @contextmanager
    def counted(self, total: int, what: str) -> Iterator[Callable[[int], None]]:
        """As `Display`."""
        yield _adding(self.call, total, what)

    def working(self, what: str) -> AbstractContextManager[object]:
        """As `Display`: there is nothing to count."""
        return nullcontext()


def _adding(call: Progress, total: int, what: str) -> Callable[[int], None]:
    """A callback for how many more are done, of one for how many are."""
    done = 0

    def more(n: int) -> None:
        nonlocal done
        done += n
        call(done, total, what)

    return more


@contextmanager
def shown(arms: int, *, quiet: bool = False, engine: str = "fast") -> Iterator[Progress]:
    """A callback (done, total, text) for the time of a run, which may have to compile first."""
    if quiet:
        yield lambda done, total, text: None
        return
    first = "simulating" if engine != "fast" or heartbeat.compiled() else heartbeat.COMPILING
    if sys.stderr.isatty():
        with _bar(first) as callback:
            yield callback
        return
    with heartbeat.working(first, quiet=False) as beat:
        if first == heartbeat.COMPILING:
            beat.line(heartbeat.ONCE)
        yield plain(arms, beat)


@contextmanager
def counted(total: int, what: str, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A callback that is told how many more of `total` are done; a bar on a terminal, or silent."""
    if sys.stderr.isatty() and not quiet:
        with _bar(what) as callback:
            yield _adding(callback, total, what)
        return
    with heartbeat.working(what, quiet=quiet) as beat:

        def callback(done: int, total: int, text: str) -> None:
            beat.what = f"{text} {done}/{total}"

        yield _adding(callback, total, what)


def plain(arms: int, beat: Beat) -> Progress:
    """Says a line whenever another arm's worth of units is done, and how much time is left if the
    others take as long as those since the first, which may have had to wait for compiling."""
    started = time.monotonic()
    said = 0
    first: tuple[float, int] | None = None

    def report(done: int, total: int, text: str) -> None:
        nonlocal said, first
        beat.what = f"simulating {text}"
        now = time.monotonic()
        if first is None and done:
            first = now, done
        finished = done * arms // total if total else 0
        if finished > said:
            said, left = finished, ""
            if first is not None and first[1] < done < total:
                each = (now - first[0]) / (done - first[1])
                left = f", about {duration(each * (total - done))} left"
            beat.line(f"{finished}/{arms} arms, {now - started:.1f} s{left}: {text}")

    return report


@contextmanager
def _bar(first: str) -> Iterator[Progress]:
    """On a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(first, total=None)

        def report(done: int, total: int, text: str) -> None:
            bar.update(task, completed=done, total=total, description=text)

        yield report
