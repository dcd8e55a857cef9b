"""Scratch beside what is being made: locked as long as its maker lives, removed at the next start.

A name says that it is ours, a lock (flock(2)) whether somebody is at work in it: the system drops
the lock with the process, whatever ended that. On a file system without locks nobody can tell, so
nothing is removed there.

Ctrl-C can come between any two steps: making and locking are one step to it, and what stands
between them and the block that removes, `abandon`, the last thing that a command does, removes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sim.interrupts import uninterrupted

PREFIX = ".speskew-"
_FILE, _FOLDER = f"{PREFIX}part-", f"{PREFIX}work-"
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_AT_WORK: dict[Path, Callable[[Path], None]] = {}
"""What this process has made and locked, and how each is removed."""


class BusyError(Exception):
    """Somebody is at work there, or nobody can tell."""


def put(parent: Path, files: Mapping[str, bytes]) -> None:
    """Files by name, each there whole or not at all, all of them one step to Ctrl-C.

    In a folder where any processes of this machine make files in this way only: that saves the
    locks, which cost more than a small file does. What a kill leaves there `tidy` removes, for
    which nobody may be at work; a process of the same number, as there is in each container,
    writes over it.
    """
    part = parent / f"{_FILE}{os.getpid()}"
    with uninterrupted():
        for name, data in files.items():
            try:
                with part.open("wb") as file:
                    file.write(data)
                part.replace(parent / name)
            except BaseException:
                part.unlink(missing_ok=True)
                raise


@contextmanager
def file(parent: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new file, of the mode that files have, and its name, which is gone at the end."""
    tidy(parent)
    with _held(lambda: _new_file(parent), remove) as path, path.open("r+b") as made:
        yield path, made


@contextmanager
def folder(parent: Path) -> Iterator[Path]:
    """A new folder, gone at the end with everything in it."""
    tidy(parent)
    with _held(lambda: (Path(tempfile.mkdtemp(prefix=_FOLDER, dir=parent)), True), remove) as path:
        yield path


@contextmanager
def claimed(path: Path, finish: Callable[[Path], None]) -> Iterator[None]:
    """A folder of this name is ours until the end of the block.

    `finish` sees to what is in it: what a process that was killed has left, and what the block
    leaves. It is gone then if it is empty. Raises BusyError if it is another one's.
    """

    def put_away(path: Path) -> None:
        finish(path)
        with suppress(OSError):
            path.rmdir()

    with _held(lambda: (path, _made(path)), put_away):
        finish(path)
        yield


def abandon() -> None:
    """Remove what Ctrl-C has left: this process does nothing any more."""
    for path, put_away in list(_AT_WORK.items()):
        with suppress(OSError):
            put_away(path)
    _AT_WORK.clear()


@contextmanager
def _held(
    make: Callable[[], tuple[Path, bool]], put_away: Callable[[Path], None]
) -> Iterator[Path]:
    """What `make` names, and may have made afresh, locked until the end and put away then."""
    with uninterrupted():
        lock = None
        while lock is None:  # it may have been tidied up before it was locked
            path, fresh = make()
            lock = _locked(path, fresh=fresh)
        _AT_WORK[path] = put_away
    try:
        yield path
    finally:
        with uninterrupted():
            try:
                put_away(path)
            finally:
                _AT_WORK.pop(path, None)  # abandoned, if the process ends in the block
                os.close(lock)


def _new_file(parent: Path) -> tuple[Path, bool]:
    handle, name = tempfile.mkstemp(prefix=_FILE, dir=parent)
    try:
        os.fchmod(handle, 0o666 & ~umask())
    finally:
        os.close(handle)
    return Path(name), True


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
    except BlockingIOError as error:
        os.close(handle)
        if fresh:  # by somebody who tidies up, and removes it
            return None
        raise BusyError(path) from error
    except OSError as error:
        if not fresh:
            os.close(handle)
            raise BusyError(path) from error
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(handle), path.lstat()):
            return handle
    os.close(handle)
    return None
