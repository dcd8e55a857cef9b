"""Bytes of a trace file, whatever it is packed in: nothing, gzip, zstd or zip.

What a file is packed in is told by its first bytes, not by its name. Decoding goes in pieces of a
fixed size, so that a small file that decodes to a huge one takes no memory. A file that ends before
its end is an error.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

import zstandard

from sim import inputs
from sim.workload.importers.blocks import TraceError, TruncatedError

Tell = Callable[[int, int], None]
"""Called with (bytes of the file read, size of the file or 0)."""
_GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK"
_FOREIGN: Final = (
    (b"\x04\x22\x4d\x18", "lz4", "unpack it with lz4 -d"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy", "record with -compress gzip or zip"),
    (b"\xfd7zXZ", "xz", "unpack it with xz -d"),
    (b"BZh", "bzip2", "unpack it with bzip2 -d"),
)
_ZSTD_FEED: Final = 2048
"""Packed bytes decoded at a time: zstd makes at most 32,768 times as many, 64 MiB."""
_ZSTD_WINDOW: Final = 1 << 27
_READ: Final = 1 << 16
_AGAIN: Final = "copy it again, or record it anew"


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Piece:
    """Decoded bytes: `data`, which begins at byte `offset` of `place`; `last` of this member."""

    place: str
    offset: int
    data: bytes
    last: bool


def pieces(path: Path, size: int, tell: Tell, *, members: str | None = None) -> Iterator[Piece]:
    """The decoded file in pieces of `size` bytes; the last of a member may be shorter, or empty.

    In a zip, all members "`members`.NUMBER" in numerical order, or the only member if there is
    none of that name. TraceError if the file cannot be read or decoded, TruncatedError if it is
    cut short.
    """
    with reading(path), inputs.stream(path) as file:
        total = path.stat().st_size
        head = file.peek(16)
        for magic, name, fix in _FOREIGN:
            if head.startswith(magic):
                raise TraceError(f"{path}: packed with {name}, which is not read; {fix}")
        if head.startswith(_ZIP):
            yield from _zip(path, file, size, lambda: tell(file.tell(), total), members)
            return
        source: _Readable = file
        if head.startswith(_GZIP):
            source = gzip.GzipFile(fileobj=file, mode="rb")
        elif head.startswith(_ZSTD):
            source = _Zstd(file)
        read = _teller(file, total, tell)
        yield from _split(str(path), source, size, read)


def _teller(file: IO[bytes], total: int, tell: Tell) -> Callable[[], None]:
    if not file.seekable():  # a pipe
        return lambda: tell(0, 0)
    return lambda: tell(file.tell(), total)


def _split(place: str, source: _Readable, size: int, tell: Callable[[], None]) -> Iterator[Piece]:
    offset = 0
    while True:
        data, early = _read_fully(source, size)
        tell()
        yield Piece(place, offset, data, last=early is None and len(data) < size)
        if early is not None:
            raise early
        if len(data) < size:
            return
        offset += len(data)


def _read_fully(source: _Readable, size: int) -> tuple[bytes, EOFError | None]:
    """`size` bytes, or those up to the end or to where the file is cut."""
    parts, have = [], 0
    try:
        while have < size and (part := source.read(min(size - have, _READ))):
            parts.append(part)
            have += len(part)
    except EOFError as error:
        return b"".join(parts), error
    return b"".join(parts), None


class _Zstd:
    """A zstd file that notices its end; all frames one after another, bounded memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._ready = b""
        self._at = 0
        self._decoder: zstandard.ZstdDecompressionObj | None = None
        self._packed = b""

    def read(self, size: int, /) -> bytes:
        while self._at == len(self._ready):
            self._packed = self._packed or self._file.read(_ZSTD_FEED)
            if not self._packed:
                if self._decoder is not None:
                    raise EOFError("the last zstd frame is not complete")
                return b""
            if self._decoder is None:
                decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
                self._decoder = decompressor.decompressobj()
            self._ready, self._at = self._decoder.decompress(self._packed), 0
            self._packed = b""
            if self._decoder.eof:
                self._packed, self._decoder = self._decoder.unused_data, None
        part = self._ready[self._at : self._at + size]
        self._at += len(part)
        return part


def _zip(
    path: Path, file: IO[bytes], size: int, tell: Callable[[], None], members: str | None
) -> Iterator[Piece]:
    with zipfile.ZipFile(file) as archive:
        for name in _member_names(path, archive, members):
            with archive.open(name) as member:
                yield from _split(f"{path}({name})", member, size, tell)


def _member_names(path: Path, archive: zipfile.ZipFile, members: str | None) -> list[str]:
    names = [name for name in archive.namelist() if name and not name.endswith("/")]
    numbered = [name for name in names if members and name.rpartition(".")[0] == members]
    if numbered:
        wrong = next((name for name in numbered if not name.rpartition(".")[2].isdecimal()), None)
        if wrong is not None:
            raise TraceError(f"{path}({wrong}): a member without a number; {_AGAIN}")
        return sorted(numbered, key=lambda name: int(name.rpartition(".")[2]))
    if len(names) != 1:
        what = f"{len(names)} members" + (f", none called {members}.NUMBER" if members else "")
        raise TraceError(f"{path}: a zip of {what}; give the trace file itself")
    return names


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Errors of reading and decoding, with the file's name."""
    try:
        yield
    except EOFError as error:
        raise TruncatedError(f"{path}: cut short: {error or 'it ends early'}; {_AGAIN}") from error
    except gzip.BadGzipFile as error:
        raise TraceError(f"{path}: damaged: {error}; {_AGAIN}") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise TraceError(f"{path}: cannot be read: {why}; check the path") from error
    except (
        zlib.error,
        zstandard.ZstdError,
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OverflowError,
    ) as error:
        raise TraceError(f"{path}: damaged: {error}; {_AGAIN}") from error
