"""Progress in a notebook: one line under the cell, a bar where HTML is shown.

The bar is an element of HTML, so that it needs neither ipywidgets nor trust. A front end that shows
text only has the same line.
"""

from __future__ import annotations

import importlib
import sys
import time
from dataclasses import dataclass, field
from html import escape
from typing import Any

EVERY = 0.2
"""Seconds between two messages to the front end."""


def in_kernel() -> bool:
    """True in a kernel of Jupyter, where output goes to a front end."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and getattr(shell, "kernel", None) is not None


@dataclass(frozen=True, slots=True)
class HowFar:
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
class Line:
    """All of a run on one line, which stays."""

    began: float = field(default_factory=time.monotonic)
    _shown: Any = None
    _said: float = 0.0

    def say(self, done: int, total: int, text: str) -> None:
        """A `reports.progress.Progress`: the line as it is now, not too often."""
        now = time.monotonic()
        if now - self._said < EVERY and done < total:
            return
        self._said = now
        line = HowFar(done, total, text, now - self.began)
        if self._shown is None:
            # IPython is there in a kernel, and nothing that we depend on
            shell = importlib.import_module("IPython.display")
            self._shown = shell.display(line, display_id=True)
        else:
            self._shown.update(line)
