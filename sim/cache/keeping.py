"""What lies in the cache, and taking it away: entries by kind, size, age and place.

Only what has the form of an entry is looked at: the folder may hold other things. An entry goes by
a rename first, so that no run finds half of it; a run that has it open keeps what it has, and the
next one makes it again. What is being built or in use, and what belongs to another user, stays.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sim import scratch
from sim.cache import sealed

KINDS = {
    "index": "indexes of recorded streams",
    "compiled": "compiled functions of one version",
    "plugin": "QEMU plugins that record",
    "program": "programs made for exports",
    "kernel": "SPE drivers of kernel trees",
    "fonts": "matplotlib's list of fonts",
    "left-over": "of a process that was killed",
}
"""What is kept, by kind."""

_FORMS = (
    ("index", "index", r"[0-9a-f]{24}"),
    ("compiled", "", r"numba-[0-9a-f]{16}"),
    ("plugin", "", r"spetrace-[0-9a-f]{24}\.so"),
    ("program", "programs", r"[0-9a-f]{40}"),
    ("kernel", "", r"kernel-[0-9a-f]{24}"),
    ("fonts", "", r"matplotlib"),
    *(
        ("left-over", place, re.escape(scratch.PREFIX) + ".*")
        for place in ("", "index", "programs")
    ),
)
"""Kind, folder in the cache, form of the name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that is kept."""

    kind: str
    path: Path
    size: int
    """Bytes on disk."""
    age: float
    """Seconds since it was last used."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was removed, and what stayed: in use, or not ours to remove."""

    removed: tuple[Entry, ...]
    stayed: tuple[Entry, ...]


def entries(root: Path) -> Iterator[Entry]:
    """Everything that is kept in a cache, kind by kind."""
    now = time.time()
    for kind, place, form in _FORMS:
        folder = root / place
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue  # not there, or not to be read
        for name in names:
            if re.fullmatch(form, name) and (found := _entry(kind, folder / name, now)) is not None:
                yield found


def clear(root: Path, kinds: frozenset[str], older_than: float = 0) -> Cleared:
    """Remove entries of these kinds that were not used for `older_than` seconds."""
    removed: list[Entry] = []
    stayed: list[Entry] = []
    for entry in list(entries(root)):  # at once: removing one tidies up beside it
        if entry.kind in kinds and entry.age >= older_than:
            (removed if _removed(entry) else stayed).append(entry)
    return Cleared(tuple(removed), tuple(stayed))


def _entry(kind: str, path: Path, now: float) -> Entry | None:
    """An entry with everything below it; None if it is gone."""
    try:
        status = path.lstat()
    except OSError:
        return None
    size = status.st_blocks * 512 + sum(
        _blocks(Path(folder) / name)
        for folder, folders, files in os.walk(path)
        for name in (*folders, *files)
    )
    return Entry(kind, path, size, max(0.0, now - status.st_mtime))


def _blocks(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def _removed(entry: Entry) -> bool:
    """Whether an entry is gone now."""
    try:
        if entry.path.lstat().st_uid != os.geteuid() or sealed.is_in_use(entry.path):
            return False
        sealed.remove(entry.path)
    except FileNotFoundError:
        return True  # another process was faster
    except OSError:
        return False
    return not os.path.lexists(entry.path)
