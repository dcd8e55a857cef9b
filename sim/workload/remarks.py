"""What the import of a trace or capture said of it, in sentences that a workload file carries.

Such a file may come from anyone: whatever it holds, what is passed on is short, and text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MAX_REMARKS: Final = 32
MAX_CHARS: Final = 500


def bounded(remarks: Sequence[str]) -> tuple[str, ...]:
    """At most `MAX_REMARKS`, each on one line of at most `MAX_CHARS`; how many more there are."""
    kept = tuple(map(_line, remarks[:MAX_REMARKS]))
    more = len(remarks) - len(kept)
    return (*kept, f"and {more:,} more remarks") if more else kept


def _line(text: str) -> str:
    """A remark without what a terminal would obey."""
    cut = text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 1]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
