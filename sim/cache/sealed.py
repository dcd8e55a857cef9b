"""Files of the cache: they appear whole, and are read only if they are ours and unharmed.

Nothing is opened through a symbolic link, and what belongs to another user is never read: compiled
code is executed, so whoever can write it could run anything as us.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sim import scratch

_MAGIC = b"speskew\x01"
_DIGEST = 32
_SEAL = len(_MAGIC) + _DIGEST
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a fifo must not stop us
_TRIES = 3
_PRIVATE = 0o600


class BrokenSealError(Exception):
    """A file or entry that cannot be trusted; the message says why."""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A regular file of ours, for reading; FileNotFoundError, or BrokenSealError otherwise."""
    try:
        handle = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BrokenSealError(f"{path.name}: {error.strerror}") from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise BrokenSealError(f"{path.name} is not a file")
        if found.st_uid != os.geteuid():
            raise BrokenSealError(f"{path.name} belongs to another user")
        with os.fdopen(handle, "rb", closefd=False) as file:
            yield file
    except OSError as error:  # the medium is broken
        raise BrokenSealError(f"{path.name}: {error.strerror}") from error
    finally:
        os.close(handle)


def read(path: Path, most: int) -> bytes:
    """The bytes of a file, at most `most`."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise BrokenSealError(f"{path.name} is too long")
        return file.read(size)  # not `most`: so much would be set aside for every file


def write(path: Path, data: bytes, *, lasting: bool = True) -> None:
    """Make or replace a file: whole or not at all, and on the disk before it has its name.

    What is not `lasting` is on the disk some time later: if the machine stops before, its seal is
    broken, and it is made again.
    """
    for left in reversed(range(_TRIES)):
        make_folder(path.parent)
        try:
            _write_beside(path, data, lasting)
            return
        except FileNotFoundError:  # the folder was cleared meanwhile
            if not left:
                raise


def make_folder(folder: Path) -> None:
    """A folder, also where something else has its name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        remove(folder)
        folder.mkdir(exist_ok=True)


def _write_beside(path: Path, data: bytes, lasting: bool) -> None:
    with scratch.file(path.parent) as (part, file):
        os.fchmod(file.fileno(), _PRIVATE)
        file.write(data)
        if lasting:
            sync(file)
        file.flush()
        try:
            part.replace(path)
        except (IsADirectoryError, NotADirectoryError):
            remove(path)
            part.replace(path)


def sync(file: IO[bytes]) -> None:
    """Everything written so far is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sealed(payload: bytes, name: str) -> bytes:
    """A payload with a seal behind it, which holds for this name only."""
    return payload + _MAGIC + _digest(payload, name)


def unsealed(data: bytes, name: str) -> bytes:
    """The payload of `sealed`; BrokenSealError if a bit, its length or its name differs."""
    payload, seal = data[:-_SEAL], data[-_SEAL:]
    if len(data) < _SEAL or seal != _MAGIC + _digest(payload, name):
        raise BrokenSealError(f"{name}: its checksum is not its own")
    return payload


def _digest(payload: bytes, name: str) -> bytes:
    digest = hashlib.blake2b(payload, digest_size=_DIGEST)
    digest.update(b"\0" + name.encode("utf-8", "surrogateescape"))
    return digest.digest()


@contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Other programs open this file or write into this folder: clearing leaves it alone."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def is_in_use(path: Path) -> bool:
    """Whether some process holds `in_use`."""
    try:
        handle = os.open(path, _FLAGS)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def remove(path: Path) -> None:
    """Take a file or folder away: its name goes at once, so that no one finds half of it."""
    with scratch.folder(path.parent) as aside:
        path.rename(aside / path.name)
