"""Progress in a notebook: one line under the cell, a bar where HTML is shown.

The bar is an element of HTML, so that it needs neither ipywidgets nor trust. A front end that shows
text only has the same line.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from html import escape
from typing import Any

from reports.progress import Progress

EVERY = 0.2
"""Seconds between two messages to the front end."""


def in_kernel() -> bool:
    """True in a kernel of Jupyter, where output goes to a front end."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and getattr(shell, "kernel", None) is not None


@dataclass(frozen=True, slots=True)
class Line:
    """How far it is, as front ends ask for it."""

    done: int
    total: int
    text: str
    seconds: float

    def __repr__(self) -> str:
        return f"{self.done}/{self.total} {self.text}, {self.seconds:.0f} s"

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self.done}" max="{max(1, self.total)}"></progress>'
        return f"<div>{bar} {escape(repr(self))}</div>"


@dataclass(slots=True)
class Notebook:
    """As `reports.progress.Display`; all of a run is told on one line, which stays."""

    began: float = field(default_factory=time.monotonic)
    _line: Any = None
    _said: float = 0.0

    @contextmanager
    def shown(self, arms: int, engine: str) -> Iterator[Progress]:
        """As `Display`."""
        yield self._say

    @contextmanager
    def counted(self, total: int, what: str) -> Iterator[Callable[[int], None]]:
        """As `Display`."""
        done = 0

        def more(n: int) -> None:
            nonlocal done
            done += n
            self._say(done, total, what)

        yield more

    def working(self, what: str) -> AbstractContextManager[object]:
        """As `Display`: the line stays as it is."""
        return nullcontext()

    def _say(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if now - self._said < EVERY and done < total:
            return
        self._said = now
        line = Line(done, total, text, now - self.began)
        if self._line is None:
            # IPython is there in a kernel, and nothing that we depend on
            shell = importlib.import_module("IPython.display")
            self._line = shell.display(line, display_id=True)
        else:
            self._line.update(line)
