"""Scratch beside what is being made: locked as long as its maker lives, removed at the next start.

A name says that it is ours, a lock (flock(2)) whether somebody is at work in it: the system drops
the lock with the process, whatever ended that. On a file system without locks nobody can tell, so
nothing is removed there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PREFIX = ".speskew-"
_FILE, _FOLDER = f"{PREFIX}part-", f"{PREFIX}work-"
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class BusyError(Exception):
    """Somebody is at work there, or nobody can tell."""


@contextmanager
def file(parent: Path, *, tidied: bool = False) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new file, of the mode that files have, and its name, which is gone at the end.

    Whoever makes many says that the folder is `tidied`: looking costs time with each file in it.
    """
    if not tidied:
        tidy(parent)
    lock = None
    while lock is None:  # it may have been tidied up before it was locked
        handle, name = tempfile.mkstemp(prefix=_FILE, dir=parent)
        made, path = os.fdopen(handle, "wb"), Path(name)
        lock = _locked(path, fresh=True)
    try:
        os.fchmod(made.fileno(), 0o666 & ~umask())
        with made:
            yield path, made
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)


@contextmanager
def folder(parent: Path) -> Iterator[Path]:
    """A new folder, gone at the end with everything in it."""
    tidy(parent)
    lock = None
    while lock is None:
        path = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=parent))
        lock = _locked(path, fresh=True)
    try:
        yield path
    finally:
        remove(path)
        os.close(lock)


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """A folder of this name is ours until the end of the block, and gone then if it is empty.

    What a process that was killed has left in it is still there. Raises BusyError if it is another
    one's.
    """
    lock = None
    while lock is None:
        lock = _locked(path, fresh=_made(path))
    try:
        yield
    finally:
        with suppress(OSError):
            path.rmdir()
        os.close(lock)


def tidy(parent: Path) -> None:
    """Remove what processes that were killed have left in a folder."""
    for path in ours(parent, _FILE, _FOLDER):
        with suppress(BusyError, OSError):
            if (lock := _locked(path)) is not None:
                remove(path)
                os.close(lock)


def umask() -> int:
    """The process's file mode creation mask."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def remove(path: Path) -> None:
    """A file, or a folder with everything in it."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def ours(parent: Path, *prefixes: str) -> list[Path]:
    """What begins so in a folder and belongs to us, also if somebody is at work in it."""
    try:
        with os.scandir(parent) as listed:
            named = [entry for entry in listed if entry.name.startswith(prefixes)]
            mine = os.geteuid()
            return [
                Path(entry)
                for entry in named
                if not entry.is_symlink() and entry.stat(follow_symlinks=False).st_uid == mine
            ]
    except OSError:  # it is not there, cannot be read, or somebody tidies up too
        return []


def _made(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _locked(path: Path, *, fresh: bool = False) -> int | None:
    """A descriptor that holds the lock of a name; None if that stands for nothing any more.

    Where there are no locks, what is `fresh`, made by us this moment, is ours.
    """
    try:
        handle = os.open(path, _FLAGS)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError) or not fresh:
            os.close(handle)
            raise BusyError(path) from error
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(handle), path.lstat()):
            return handle
    os.close(handle)
    return None
