"""Opening what a user names: files, pipes, devices. None of them may hang or fill the memory.

A regular file is opened as it is. A pipe (a FIFO, a shell's `<(command)`, /dev/stdin) is read where
one pass is enough; nothing coming through it for WAIT_S seconds is an error, as is a FIFO into
which nobody writes. Whoever reads bounds how much. Errors are OSErrors whose `strerror` says what
is wrong and how to fix it.
"""

from __future__ import annotations

import errno
import io
import os
import select
import stat
from pathlib import Path

WAIT_S = 30
"""Seconds without a byte after which a pipe is given up."""
_READ = 1 << 16
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
_piped: dict[tuple[str, int, int], bytes] = {}
"""What pipes gave, by name and inode: a command may ask for the same scenario twice."""


def stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file is replaced or written again; empty if there is none.

    A process that keeps what it has made of a file keeps it under the file's name and this.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return ()  # whoever opens it says why
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def regular(path: Path) -> io.BufferedReader:
    """A regular file, opened to be read at any place; raises OSError for all else.

    Files of /proc and /sys that give bytes without having a size are refused too.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            raise _not_a_file(path, mode)
        _want_a_size(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return open(fd, "rb")


def stream(path: Path) -> io.BufferedReader:
    """A file or a pipe, opened to be read once from its beginning; raises OSError.

    Files of /proc and /sys are refused as by `regular`: some of them have no end.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        os.close(fd)
        return regular(path)
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        return io.BufferedReader(_Pipe(fd, path), _READ)
    os.close(fd)
    raise _not_a_file(path, mode)


def read_at_most(path: Path, limit: int) -> bytes:
    """A file or a pipe up to its end, or its first `limit` + 1 bytes; raises OSError.

    What a pipe gave is given again when it is asked for again.
    """
    with stream(path) as file:
        status = os.fstat(file.fileno())
        key = str(path), status.st_dev, status.st_ino
        if key in _piped:
            return _piped[key]
        data = _up_to(file, limit + 1)
        if not stat.S_ISREG(status.st_mode):
            _piped[key] = data
        return data


def _up_to(file: io.BufferedReader, most: int) -> bytes:
    """What a file gives, at most so much; piece by piece, as a read sets aside what it asks for."""
    parts, left = [], most
    while left and (part := file.read(min(left, _READ))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


class _Pipe(io.RawIOBase):
    """A pipe that is waited for, but not for ever."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd, self._path = fd, path
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def fileno(self) -> int:
        return self._fd

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        if not self._poll.poll(WAIT_S * 1000):
            why = f"nothing came out of it for {WAIT_S} s; is there a program that writes into it?"
            raise _error(errno.ETIMEDOUT, why, self._path)
        try:
            data = os.read(self._fd, len(buffer))
        except BlockingIOError:  # another reader was faster
            return self.readinto(buffer)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()


def _want_a_size(fd: int, path: Path) -> None:
    if os.fstat(fd).st_size == 0 and os.pread(fd, 8, 0):  # 8: pagemap wants whole words
        raise _error(errno.ESPIPE, "has no size, as files of /proc; copy it and give that", path)


def _not_a_file(path: Path, mode: int) -> OSError:
    if stat.S_ISDIR(mode):
        return _error(errno.EISDIR, os.strerror(errno.EISDIR), path)
    kind = next((name for test, name in _KINDS if test(mode)), "something else")
    return _error(errno.ESPIPE, f"not a regular file but {kind}; copy it into a file first", path)


def _error(number: int, text: str, path: Path) -> OSError:
    return OSError(number, text, str(path))
