"""Where the cache is: the one answer, for indexes, compiled code, plugins and made programs.

$SPESKEW_CACHE, else $XDG_CACHE_HOME/speskew, else ~/.cache/speskew. A folder of another user is
used through a subfolder of one's own, if one may be made there. Where nothing can be written, as in
a container without a home, the cache is a private folder for temporary files; without that, there
is none. That is said once, by the process that the user started: its workers are handed its state.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from sim import scratch

_VARIABLES = ("SPESKEW_CACHE", "XDG_CACHE_HOME", "HOME", "TMPDIR")
_PRIVATE = 0o700

Environment = tuple[str, ...]
"""Values of the variables that the place depends on; empty if unset."""

Stamp = tuple[int, int, int, int, int, int]
"""Device, inode, size, mtime, ctime (ns) and checksum of a file."""


@dataclass(slots=True)
class State:
    """What this process has found out; a worker begins with its parent's."""

    roots: dict[Environment, Path | None] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    trusted: set[Stamp] = field(default_factory=set)
    """Files that have been read and found whole, as long as they are not touched."""


STATE = State()


def adopt(parent: State) -> None:
    """Take over what the process that started this one knows and has said."""
    STATE.roots.update(parent.roots)
    STATE.said.update(parent.said)
    STATE.trusted.update(parent.trusted)


def say(subject: str, message: str) -> None:
    """One line on stderr, the first time that there is something to say of a subject."""
    if subject not in STATE.said:
        STATE.said.add(subject)
        sys.stderr.write(f"speskew: {message}\n")


def environment() -> Environment:
    """What `root` goes by, at this moment."""
    return tuple(os.environ.get(name, "") for name in _VARIABLES)


def configured(asked: Environment | None = None) -> Path | None:
    """The folder that the environment asks for; None without a home. Nothing is made or checked."""
    chosen, shared, home, _ = environment() if asked is None else asked
    if chosen:
        return Path(chosen).absolute()
    if os.path.isabs(shared):  # the specification: a relative path is to be ignored
        return Path(shared) / "speskew"
    try:
        return (Path(home) if home else Path.home()) / ".cache" / "speskew"
    except RuntimeError:
        return None


def root(asked: Environment | None = None) -> Path | None:
    """The folder of the cache, made and writable; None if there is no place for one."""
    asked = environment() if asked is None else asked
    if asked not in STATE.roots:
        STATE.roots[asked] = found = _found(configured(asked))
        if found is not None:
            _tidy(found)
    return STATE.roots[asked]


def where() -> Path | None:
    """As `root`, but nothing is made, and nothing said: for looking at what is kept."""
    place = configured()
    candidates = [] if place is None else [place, _own(place)]
    ours = [folder for folder in (*candidates, _temporary()) if _is_ours(folder)]
    return next((folder for folder in ours if os.access(folder, os.W_OK)), next(iter(ours), None))


def touch(path: Path) -> None:
    """Note that an entry was used: its age counts from here."""
    try:
        os.utime(path)
    except OSError:
        return  # of a cache on a medium that cannot be written any more


def _found(place: Path | None) -> Path | None:
    why = "there is no home folder"
    if place is not None:
        try:
            return _usable(place)
        except OSError as error:
            why = f"{place}: {error.strerror or error}"
    fix = "set SPESKEW_CACHE to a folder that you can write to"
    try:
        found = _private(_temporary())
    except OSError:
        say("home", f"{why}; nothing is kept for the next run; {fix}")
        return None
    say("home", f"{why}; compiled code and indexes are kept in {found}; {fix}")
    return found


def _tidy(place: Path) -> None:
    """Remove what processes that were killed have left, in the cache and in its folders."""
    scratch.tidy(place)
    try:
        inside = sorted(place.iterdir())
    except OSError:
        return  # another process moves it away
    for folder in inside:
        scratch.tidy(folder)  # of a file, and of another user's folder: nothing


def _usable(place: Path) -> Path:
    """`place` or one's own folder in it, made and writable; OSError if neither can be had."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(_PRIVATE)
    except FileExistsError:
        if not _is_ours(place):
            return _private(_own(place))
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(0, "not writable")
    return place


def _private(folder: Path) -> Path:
    """A folder that only we can open, made if it is not there."""
    try:
        folder.mkdir(_PRIVATE)
    except FileExistsError:
        found = folder.lstat()
        if (
            not _is_ours(folder)
            or stat.S_ISLNK(found.st_mode)
            or stat.S_IMODE(found.st_mode) & 0o77
        ):
            raise PermissionError(0, "not a private folder of yours") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, "not writable")
    return folder


def _own(place: Path) -> Path:
    """Our subfolder of a place that belongs to another user."""
    return place / f"user-{os.geteuid()}"


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir()) / f"speskew-{os.geteuid()}"
    except FileNotFoundError:  # no folder for temporary files can be written
        return Path("/tmp") / f"speskew-{os.geteuid()}"


def _is_ours(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
