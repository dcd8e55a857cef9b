"""Progress on stderr: a bar on a terminal, else one plain line per finished arm."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

Progress = Callable[[int, int, str], None]


@contextmanager
def shown(arms: int, *, quiet: bool = False) -> Iterator[Progress]:
    """A callback (done, total, text) for the time of a run."""
    if quiet:
        yield lambda done, total, text: None
    elif sys.stderr.isatty():
        with _bar() as callback:
            yield callback
    else:
        yield plain(arms)


@contextmanager
def counted(total: int, what: str, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A callback that is told how many more of `total` are done; a bar on a terminal, or silent."""
    done = 0

    def ignore(done: int, total: int, text: str) -> None:
        pass

    with _bar() if sys.stderr.isatty() and not quiet else nullcontext(ignore) as callback:

        def more(n: int) -> None:
            nonlocal done
            done += n
            callback(done, total, what)

        yield more


def plain(arms: int) -> Progress:
    """Says a line whenever another arm's worth of units is done."""
    started = time.monotonic()
    said = 0

    def report(done: int, total: int, text: str) -> None:
        nonlocal said
        finished = done * arms // total if total else 0
        if finished > said:
            said = finished
            seconds = time.monotonic() - started
            click.echo(f"{finished}/{arms} arms, {seconds:.1f} s: {text}", err=True)

    return report


@contextmanager
def _bar() -> Iterator[Progress]:

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def report(done: int, total: int, text: str) -> None:
            bar.update(task, completed=done, total=total, description=text)

        yield report
