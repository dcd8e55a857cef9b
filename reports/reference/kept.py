"""What is kept between runs, in words: `speskew cache`."""

from __future__ import annotations

from dataclasses import dataclass

from reports.text import aligned, size
from sim.cache.keeping import KINDS, Cleared, Entry

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def removed(done: Cleared) -> str:
    """``12 entries removed, 64 MiB``."""
    freed = sum(entry.size for entry in done.removed)
    return f"{_counted(len(done.removed))} removed, {size(freed)}"


def stayed(done: Cleared) -> str:
    """What could not be removed, and why."""
    some = ", ".join(entry.path.name for entry in done.stayed[:3])
    more = ", …" if len(done.stayed) > 3 else ""
    return f"{_counted(len(done.stayed))} in use or of another user stayed: {some}{more}"


def _counted(entries: int) -> str:
    return f"{entries} {'entry' if entries == 1 else 'entries'}"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one kind; ages in seconds since the last use."""

    kind: str
    entries: int
    bytes: int
    youngest_s: int
    oldest_s: int
    where: str


def rows(found: list[Entry]) -> list[Kept]:
    """One for each kind that there is."""
    found_rows = []
    for kind in KINDS:
        entries = [entry for entry in found if entry.kind == kind]
        if entries:
            found_rows.append(
                Kept(
                    kind=kind,
                    entries=len(entries),
                    bytes=sum(entry.size for entry in entries),
                    youngest_s=round(min(entry.age for entry in entries)),
                    oldest_s=round(max(entry.age for entry in entries)),
                    where=min(str(entry.path.parent) for entry in entries),
                )
            )
    return found_rows


def as_table(found: list[Entry]) -> str:
    """A line a kind, under a heading; nothing where nothing is kept."""
    if not found:
        return ""
    lines = [("kind", "entries", "size", "last used", "where", "")]
    for row in rows(found):
        ages = dict.fromkeys((_ago(row.youngest_s), _ago(row.oldest_s)))
        counted = str(row.entries), size(row.bytes), " to ".join(ages)
        lines.append((row.kind, *counted, row.where, KINDS[row.kind]))
    return "".join(f"{line}\n" for line in aligned(lines))


def _ago(seconds: int) -> str:
    """An age as a person says it, in whole units."""
    for unit, length in reversed(_UNITS.items()):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return "now"
