"""The words of messages about a scenario; they know no model, so that every model may use them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

SHOWN_CHARS = 60

Incoherence = tuple[tuple[str, ...], str]
"""Keys that contradict each other, the one to look at first, and why."""


def suggest(got: object, known: Sequence[str]) -> str:
    """An unknown value, with the nearest known one."""
    close = difflib.get_close_matches(str(got), known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"one of {', '.join(known)}"
    return f"unknown value {shown(got)}; {hint}"


def clipped(text: str) -> str:
    """Text of a message, bounded and on one line."""
    line = text if text.isprintable() else repr(text)[1:-1]
    return line if len(line) <= SHOWN_CHARS else f"{line[: SHOWN_CHARS - 1]}…"


def shown(value: object) -> str:
    """A value as its user wrote it, more or less."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    kind = "a mapping" if isinstance(value, dict) else "a list"
    return kind if isinstance(value, (dict, list)) else clipped(repr(value))
