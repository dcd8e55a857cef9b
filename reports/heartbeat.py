"""Signs of life on stderr: what is being done, at least every few seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

import sim.spe.compiled  # noqa: F401 - says under which address its code is kept
from sim.cache.compiled import holds

EVERY_S = 2.0
"""Silence after which a line is said; with the delays of a busy machine it stays below 5 s."""
COMPILING = "compiling the sampling kernel"
"""What takes so long before the first number, on a machine that has no compiled code yet."""
ONCE = f"{COMPILING}, once: about 10 s"


class Beat:
    """Says `what`, and for how long, whenever nothing else was said for a while."""

    def __init__(
        self, what: str, *, quiet: bool, every: float = EVERY_S, in_place: bool = False
    ) -> None:
        self.what = what
        self._quiet, self._every, self._in_place = quiet, every, in_place
        self._began = self._last = time.monotonic()
        self._over = threading.Event()

    def line(self, text: str) -> None:
        """Say a line now; the silence begins anew."""
        self._last = time.monotonic()
        if not self._quiet:
            start = "\r\x1b[K" if self._in_place else ""
            click.echo(start + text, sys.stderr, nl=not self._in_place)

    def until_over(self) -> None:
        """The thread's work."""
        while not self._over.wait(max(0.01, self._last + self._every - time.monotonic())):
            if time.monotonic() - self._last >= self._every:
                try:
                    self.line(f"{self.what}, {time.monotonic() - self._began:.0f} s")
                except (OSError, ValueError):  # nobody reads stderr any more
                    return

    def end(self) -> None:
        """Nothing is said after this."""
        self._over.set()
        if self._in_place and not self._quiet:
            click.echo(file=sys.stderr)


@contextmanager
def working(
    what: str, *, quiet: bool, every: float = EVERY_S, in_place: bool = False
) -> Iterator[Beat]:
    """For the time of a block: a line whenever `every` seconds passed without one.

    `in_place` rewrites one line of a terminal.
    """
    beat = Beat(what, quiet=quiet, every=every, in_place=in_place)
    thread = threading.Thread(target=beat.until_over, name="heartbeat", daemon=True)
    if not quiet:
        thread.start()
    try:
        yield beat
    finally:
        beat.end()
        if not quiet:
            thread.join()


def compiled() -> bool:
    """Whether the fast engine's kernel is in the cache."""
    return holds("sim.spe.compiled.advance")
