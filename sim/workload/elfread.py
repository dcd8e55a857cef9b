"""Functions and build ids out of ELF files that nobody vouches for.

Fidelity note. 64-bit little endian only, as AArch64 Linux programs are. A function ends where its
segment does, whatever its size says, or at the end of the address space. What a file
states is bounded before it is believed: numbers of sections, segments and symbols, bytes of names.
Tables are read through a mapping, so that a file of any size takes little memory. pyelftools is not
used for them: it builds every section that it passes, and takes what their headers say.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from elftools.common.exceptions import ELFError
from elftools.elf.enums import ENUM_E_MACHINE
from numpy.typing import NDArray

from sim import inputs

MAX_SECTIONS: Final = 1 << 16
MAX_SEGMENTS: Final = 1 << 10
MAX_SYMBOLS: Final = 1 << 22
"""Entries in all symbol tables of a file."""
MAX_FUNCTIONS: Final = 1 << 19
MAX_NAME: Final = 4096
MAX_NAMES: Final = 64 << 20
"""Bytes of all names of functions."""
_MAX_NOTES: Final = 1 << 16
_NOTE_SECTIONS: Final = 64
_GNU_BUILD_ID: Final = 3
_TOP: Final = 1 << 64
_PACKED: Final = (b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"PK\x03\x04", "zip")
_SYMBOL: Final = np.dtype(
    [
        ("name", "<u4"),
        ("info", "u1"),
        ("other", "u1"),
        ("section", "<u2"),
        ("value", "<u8"),
        ("size", "<u8"),
    ]
)
_SECTION: Final = np.dtype(
    [
        ("name", "<u4"),
        ("type", "<u4"),
        ("flags", "<u8"),
        ("address", "<u8"),
        ("offset", "<u8"),
        ("size", "<u8"),
        ("link", "<u4"),
        ("info", "<u4"),
        ("align", "<u8"),
        ("entry", "<u8"),
    ]
)
_SEGMENT: Final = np.dtype(
    [
        ("type", "<u4"),
        ("flags", "<u4"),
        ("offset", "<u8"),
        ("address", "<u8"),
        ("physical", "<u8"),
        ("filesz", "<u8"),
        ("memsz", "<u8"),
        ("align", "<u8"),
    ]
)
_HEADER_BYTES: Final = 64
PT_LOAD, PT_INTERP = 1, 3
ET_EXEC, ET_DYN = 2, 3
SHT_SYMTAB, SHT_NOTE, SHT_DYNSYM = 2, 7, 11
EXECUTABLE: Final = 1
"""PF_X of a segment's flags."""
_MACHINES: Final = {number: name for name, number in ENUM_E_MACHINE.items() if name != "_default_"}
_FUNCTION_TYPES: Final = (2, 10)  # STT_FUNC, STT_GNU_IFUNC
_RANK: Final = np.array([2, 0, 1, *[3] * 13], np.int64)
"""By binding, local, global, weak, else: of several names for one place the lowest is the best."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function at `value` in the file's addresses and at byte `offset` of it, −1 if in none."""

    name: str
    value: int
    size: int
    offset: int
    rank: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header: what is at `address` is at byte `offset` of the file."""

    type: int
    flags: int
    address: int
    offset: int
    filesz: int
    memsz: int


@dataclass(frozen=True, slots=True)
class Elf:
    """The bytes of an ELF file."""

    data: mmap.mmap

    @property
    def machine(self) -> str:
        """The machine it was built for, e.g. "EM_AARCH64"."""
        order: Literal["little", "big"] = "big" if self.data[5] == 2 else "little"
        number = int.from_bytes(self.data[18:20], order)
        return _MACHINES.get(number, f"machine {number}")

    @property
    def type(self) -> int:
        """ET_EXEC, ET_DYN or another."""
        return self._header(16, 2)

    def segments(self, kind: int = PT_LOAD) -> list[Segment]:
        """Segments of a type, in order; raises ELFError."""
        count = self._header(56, 2)
        if count > MAX_SEGMENTS:
            raise ELFError(f"more than {MAX_SEGMENTS:,} segments")
        fields = ("type", "flags", "address", "offset", "filesz", "memsz")
        rows = self._rows(self._header(32, 8), count, self._header(54, 2), _SEGMENT)
        found = [Segment(*(int(row[name]) for name in fields)) for row in rows]
        for s in found:
            if s.offset + s.filesz >= 1 << 63 or s.address + max(s.filesz, s.memsz) > _TOP:
                raise ELFError("a segment that lies outside every file or address space")
        return [s for s in found if s.type == kind]

    def sections(self, *kinds: int) -> NDArray[np.void]:
        """Headers of the sections of these types, of all without any; raises ELFError."""
        at, count, width = self._header(40, 8), self._header(60, 2), self._header(58, 2)
        if count == 0 and at:  # too many for the field
            count = int(self._rows(at, 1, width, _SECTION)[0]["size"])
        if count > MAX_SECTIONS:
            raise ELFError(f"more than {MAX_SECTIONS:,} sections")
        rows = self._rows(at, count, width, _SECTION)
        return rows[np.isin(rows["type"], kinds)] if kinds else rows

    def section_at(self, name: bytes) -> tuple[int, int]:
        """(address, bytes) of the section of a name; zeros if there is none."""
        rows, strings = self.sections(), self._header(62, 2)
        if strings < rows.size:
            for row in rows:
                begin = int(rows[strings]["offset"]) + int(row["name"])
                if self.data[begin : begin + len(name) + 1] == name + b"\0":
                    return int(row["address"]), int(row["size"])
        return 0, 0

    def build_id(self) -> str:
        """The GNU build id, hexadecimal; "" if it has none."""
        for header in self.sections(SHT_NOTE)[:_NOTE_SECTIONS]:
            begin = int(header["offset"])
            found = _build_id(self.data[begin : begin + min(int(header["size"]), _MAX_NOTES)])
            if found:
                return found
        return ""

    def functions(self) -> list[Function]:
        """Every function with a size, of all symbol tables; raises ELFError."""
        segments, sections = self.segments(), self.sections()
        found: list[Function] = []
        entries = names = 0
        for header in self.sections(SHT_SYMTAB, SHT_DYNSYM):
            table = self._table(header)
            entries += table.size
            if entries > MAX_SYMBOLS:
                raise ELFError(f"more than {MAX_SYMBOLS:,} symbols")
            rows, offset, size = _code(table, segments)
            if len(found) + rows.size > MAX_FUNCTIONS:
                raise ELFError(f"more than {MAX_FUNCTIONS:,} functions")
            if int(header["link"]) >= sections.size:
                raise ELFError("a symbol table without names")
            strings = sections[int(header["link"])]
            for row, at, extent in zip(rows, offset.tolist(), size.tolist(), strict=True):
                name = self._name(strings, int(row["name"]))
                names += len(name)
                if names > MAX_NAMES:
                    raise ELFError(f"more than {MAX_NAMES:,} bytes of names")
                if name and extent:
                    rank = int(_RANK[int(row["info"]) >> 4])
                    found.append(Function(name, int(row["value"]), extent, at, rank))
        return found

    def _header(self, at: int, size: int) -> int:
        return int.from_bytes(self.data[at : at + size], "little")

    def _rows(self, at: int, count: int, width: int, dtype: np.dtype[Any]) -> NDArray[np.void]:
        """A table [count] of the file; raises ELFError."""
        if count == 0:
            return np.empty(0, dtype)
        if width != dtype.itemsize or at + count * width > len(self.data):
            raise ELFError("a table that lies outside the file, or is none; copy the file again")
        return np.frombuffer(self.data[at : at + count * width], dtype)

    def _table(self, header: np.void) -> NDArray[np.void]:
        width = _SYMBOL.itemsize
        count = int(header["size"]) // width
        return self._rows(int(header["offset"]), count, int(header["entry"]), _SYMBOL)

    def _name(self, strings: np.void, at: int) -> str:
        begin = int(strings["offset"]) + at
        end = min(begin + MAX_NAME, int(strings["offset"]) + int(strings["size"]))
        return self.data[begin:end].split(b"\0", 1)[0].decode("utf-8", "replace")


@contextmanager
def opened(path: Path) -> Iterator[Elf]:
    """A 64-bit little endian ELF file, of AArch64 or not; ELFError for another, OSError for none.

    A program of 32 bits or big endian opens too if it is not AArch64's: `machine` says what it is.
    """
    with inputs.regular(path) as file:
        head = file.read(_HEADER_BYTES)
        for magic, name in _PACKED:
            if head.startswith(magic):
                raise ELFError(f"packed with {name}, which is not read: unpack it")
        if not head.startswith(b"\x7fELF") or len(head) < _HEADER_BYTES:
            raise ELFError("not an ELF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            elf = Elf(data)
            if head[4:6] != b"\x02\x01" and elf.machine == "EM_AARCH64":
                raise ELFError("not 64-bit little endian, as AArch64 Linux programs are")
            yield elf


def _code(
    table: NDArray[np.void], segments: list[Segment]
) -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.uint64]]:
    """The functions [n] with their file offsets, −1 if they are in none, and sizes in memory."""
    wanted = np.isin(table["info"] & 15, _FUNCTION_TYPES)
    wanted &= (table["size"] > 0) & (table["section"] != 0)
    rows = table[wanted]
    offset = np.full(rows.size, -1, np.int64)
    size = np.minimum(rows["size"], ~rows["value"])  # of what is in no segment
    for s in segments:
        skew = rows["value"] - np.uint64(s.address)  # modulo 2^64: far above what lies below
        inside = skew < np.uint64(s.memsz)
        size[inside] = np.minimum(size[inside], np.uint64(s.memsz) - skew[inside])
        inside = skew < np.uint64(s.filesz)
        offset[inside] = (skew[inside] + np.uint64(s.offset)).astype(np.int64)
    return rows, offset, size


def _build_id(data: bytes) -> str:
    """The build id among the notes of a section."""
    at = 0
    while at + 12 <= len(data):
        name, size, kind = (int.from_bytes(data[at + k : at + k + 4], "little") for k in (0, 4, 8))
        begin = at + 12 + -(-name // 4) * 4
        if kind == _GNU_BUILD_ID and data[at + 12 : at + 12 + name] == b"GNU\0":
            return data[begin : begin + size].hex() if begin + size <= len(data) else ""
        at = begin + -(-size // 4) * 4
    return ""
