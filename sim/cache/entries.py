"""Entries of the cache that hold arrays: memory-mapped, each with its length and checksum.

An entry is a folder with `meta.json` and a file per array. It is written beside its place, synced
and renamed, so that it is there whole or not at all. Compiled code indexes the arrays without
looking, so an entry is used only if every byte is what was written: of `meta.json` a digest, of
each array's file the length and a CRC-32 (4 GB/s), computed once by a process and its workers.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import zlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sim import scratch
from sim.cache import home, sealed
from sim.cache.sealed import BrokenSealError

Arrays = Mapping[str, NDArray[Any]]
META = "meta.json"
_MOST_META = 1 << 28
"""Bytes of a meta.json."""
_CHUNK = 1 << 18
"""Bytes that are read at once; they stay in the core's cache."""


class AbsentError(Exception):
    """There is no such entry."""


def load(
    folder: Path, key: str, names: Collection[str], mapped: Collection[str]
) -> tuple[dict[str, NDArray[Any]], dict[str, object]]:
    """(arrays, facts) of the entry that was kept under `key`; those in `mapped` stay on disk.

    Raises AbsentError if there is none, BrokenSealError if it cannot be trusted.
    """
    try:
        meta = _meta(folder, key)
        listed = meta.arrays
        if set(listed) != set(names):
            raise BrokenSealError(f"{META} lists other arrays")
        arrays = {n: _array(folder / f"{n}.npy", listed[n], n in mapped) for n in names}
    except FileNotFoundError as error:
        if not folder.is_symlink() and not (folder / META).exists() and not _holds_arrays(folder):
            raise AbsentError from error  # never made, or cleared a moment ago
        raise BrokenSealError(f"{Path(error.filename).name} is missing") from error
    home.touch(folder)
    return arrays, meta.facts


def keep(folder: Path, key: str, arrays: Arrays, facts: Mapping[str, object]) -> None:
    """Write an entry, in place of one that is damaged; OSError if it cannot be kept."""
    sealed.make_folder(folder.parent)
    with scratch.folder(folder.parent) as work:
        listed = {name: _save(work / f"{name}.npy", array) for name, array in arrays.items()}
        meta = {"key": key, "arrays": listed, "facts": dict(facts)}
        with (work / META).open("xb") as file:
            file.write(json.dumps({**meta, "digest": _digest(meta)}).encode())
            sealed.sync(file)
        _sync_folder(work)
        _put(work, folder, key)
    _sync_folder(folder.parent)


# --- reading ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Meta:
    """meta.json: length and checksum of each array, and what else its maker wanted to keep."""

    arrays: dict[str, tuple[int, int]]
    facts: dict[str, object]


def _meta(folder: Path, key: str) -> _Meta:
    if folder.is_symlink():
        raise BrokenSealError(f"{folder.name} is a symbolic link")
    try:
        meta = json.loads(sealed.read(folder / META, _MOST_META))
        digest = meta.pop("digest")
        if digest != _digest(meta):
            raise BrokenSealError(f"the checksum of {META} differs")
        found, arrays, facts = meta["key"], meta["arrays"], meta["facts"]
        listed = {name: (int(length), int(crc)) for name, (length, crc) in arrays.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BrokenSealError(f"{META} cannot be read") from error
    if found != key:
        raise BrokenSealError(f"{META} is that of another entry")
    return _Meta(listed, dict(facts))


def _holds_arrays(folder: Path) -> bool:
    return any(folder.glob("*.npy"))


def _digest(meta: Mapping[str, object]) -> str:
    return hashlib.blake2b(json.dumps(meta, sort_keys=True).encode(), digest_size=20).hexdigest()


def _array(path: Path, written: tuple[int, int], mapped: bool) -> NDArray[Any]:
    """An array of the written length and checksum: a read-only map, or a copy in memory."""
    length, crc = written
    with sealed.opened(path) as file:
        found = os.fstat(file.fileno())
        times = found.st_mtime_ns, found.st_ctime_ns
        stamp = (found.st_dev, found.st_ino, found.st_size, *times, crc)
        if found.st_size != length:
            raise BrokenSealError(f"{path.name} has {found.st_size} bytes instead of {length}")
        if stamp not in home.STATE.trusted:
            if _crc(file) != crc:
                raise BrokenSealError(f"the checksum of {path.name} differs")
            home.STATE.trusted.add(stamp)
        file.seek(0)
        array = _map(file)
    return array if mapped else array.copy()


def _crc(file: IO[bytes]) -> int:
    """CRC-32 of a file. It is read, not mapped: a bad block is then an error, not a SIGBUS."""
    crc, buffer = 0, memoryview(bytearray(_CHUNK))
    while count := file.readinto(buffer):  # type: ignore[attr-defined]
        crc = zlib.crc32(buffer[:count], crc)
    return crc


def _map(file: IO[bytes]) -> NDArray[Any]:
    """The array in a file in numpy's format, mapped."""
    np.lib.format.read_magic(file)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    count = int(np.prod(shape, dtype=np.int64))
    if count == 0:
        return np.zeros(shape, dtype)
    data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    flat = np.frombuffer(data, dtype, count, file.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


# --- writing ---------------------------------------------------------------------------------


class _Summed:
    """A file that sums what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.length, self.crc = file, 0, 0

    def write(self, data: Any) -> int:
        """As a file's."""
        view = memoryview(data).cast("B")
        self.length, self.crc = self.length + view.nbytes, zlib.crc32(view, self.crc)
        return self._file.write(view)


def _save(path: Path, array: NDArray[Any]) -> tuple[int, int]:
    """(length, checksum) of the file in which an array was saved."""
    with path.open("xb") as file:
        summed = _Summed(file)
        np.lib.format.write_array(summed, array, (1, 0), allow_pickle=False)
        sealed.sync(file)
    return summed.length, summed.crc


def _put(work: Path, folder: Path, key: str) -> None:
    """Give what was built its name; what had it goes, unless another process was faster."""
    try:
        os.replace(work, folder)
    except OSError:
        if not os.path.lexists(folder):
            raise
        listed = [path.stem for path in work.glob("*.npy")]
        with suppress(AbsentError, BrokenSealError):
            load(folder, key, listed, listed)
            return
        sealed.remove(folder)
        os.replace(work, folder)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
