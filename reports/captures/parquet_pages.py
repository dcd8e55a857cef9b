"""What the pages of a Parquet file claim to unpack to, before anything is unpacked.

The footer's sizes can be believed only when the headers of the pages agree: readers allocate, and
decompress, what the page says. Footer and headers are structs of Thrift's compact protocol, of
which this reads the sizes and places and passes over the rest (parquet-format, `FileMetaData` and
`PageHeader`). The footer is read here too, as pyarrow ends the process where a column's statistics
do not fit its schema (`RowGroupMetaData.column`, 26.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sim import inputs

MAX_HEADER = 1 << 20
"""Bytes of a page's header; the statistics in it are a few hundred."""
MAX_FOOTER = 1 << 24
"""Bytes of a footer; a row group of forty columns takes some thousand."""
_TAIL = 8  # the footer's length and the magic number
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(
    13
)
_INTEGERS = (_I16, _I32, _I64)
_MAX_DEPTH = 8

# Numbers of fields.
_ROW_GROUPS, _COLUMNS, _META_DATA, _PATH = 4, 1, 3, 3
_UNPACKED, _PACKED, _DATA_PAGE, _DICTIONARY_PAGE = 6, 7, 9, 11
_PAGE_UNPACKED, _PAGE_PACKED = 2, 3


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A column of a row group: its name, and where its pages begin and end in the file."""

    name: str
    begin: int
    end: int
    unpacked: int


def check(path: Path) -> None:
    """ValueError unless the pages of each column unpack to what the footer says at most."""
    with inputs.regular(path) as file:
        for chunk in _chunks(_footer(file)):
            _check_chunk(file, chunk)


def _footer(file: IO[bytes]) -> bytes:
    end = file.seek(0, 2)
    file.seek(max(0, end - _TAIL))
    length = int.from_bytes(file.read(4), "little")
    if not 0 < length <= min(MAX_FOOTER, end - _TAIL):
        raise ValueError(f"a footer of {length:,} bytes, in a file of {end:,}")
    file.seek(end - _TAIL - length)
    return file.read(length)


def _chunks(footer: bytes) -> Iterator[_Chunk]:
    """Every column of every row group."""
    struct = _Struct(footer, "the footer")
    for _ in struct.elements(_ROW_GROUPS):
        for _ in struct.elements(_COLUMNS):
            yield from (_chunk(struct) for _ in struct.inner(_META_DATA))


def _chunk(struct: _Struct) -> _Chunk:
    """ColumnMetaData."""
    names: list[str] = []
    found: dict[int, int] = {}
    for field, kind in struct.fields():
        if field == _PATH and kind == _LIST:
            names += (struct.text() for _ in struct.items(_BINARY))
        elif kind in _INTEGERS:
            found[field] = struct.integer()
        else:
            struct.skip(kind)
    try:
        begin, unpacked, packed = found[_DATA_PAGE], found[_UNPACKED], found[_PACKED]
    except KeyError:
        raise ValueError("the footer states no size of a column") from None
    if 0 < found.get(_DICTIONARY_PAGE, 0) < begin:
        begin = found[_DICTIONARY_PAGE]
    if min(begin, unpacked, packed) < 0:
        raise ValueError("a size of the footer is negative")
    return _Chunk(".".join(names)[:60], begin, begin + packed, unpacked)


def _check_chunk(file: IO[bytes], chunk: _Chunk) -> None:
    unpacked = 0
    for size in _pages(file, chunk):
        unpacked += size
        if unpacked > chunk.unpacked:
            raise ValueError(
                f"pages of column {chunk.name!r} claim {unpacked:,} bytes or more, "
                f"the footer {chunk.unpacked:,}"
            )


def _pages(file: IO[bytes], chunk: _Chunk) -> Iterator[int]:
    """Unpacked size of each page of a column chunk."""
    at = chunk.begin
    while at < chunk.end:
        file.seek(at)
        header = _Struct(file.read(min(MAX_HEADER, chunk.end - at)), "a page's header")
        sizes = {field: header.integer() for field in header.integers()}
        unpacked, packed = sizes.get(_PAGE_UNPACKED, -1), sizes.get(_PAGE_PACKED, -1)
        if min(unpacked, packed) < 0:
            raise ValueError("a page's header states no sizes")
        at += header.at + packed
        yield unpacked


class _Struct:
    """A struct in bytes, read from front to back; where it is cut short, a ValueError.

    Whoever is given a field by one of the iterators has read or skipped its value before the next.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._what, self.at = data, what, 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """(number, type) of each field."""
        field = 0
        while (byte := self._byte()) != _STOP:
            step = byte >> 4
            field = field + step if step else self.integer()
            yield field, byte & 15

    def integers(self) -> Iterator[int]:
        """The number of each field that is an integer; the others are skipped."""
        for field, kind in self.fields():
            if kind in _INTEGERS:
                yield field
            else:
                self.skip(kind)

    def inner(self, number: int) -> Iterator[int]:
        """The field of this number, a struct; the others are skipped."""
        for field, kind in self.fields():
            if field == number and kind == _STRUCT:
                yield field
            else:
                self.skip(kind)

    def elements(self, number: int) -> Iterator[int]:
        """Each struct in the list that the field of this number is; other fields are skipped."""
        for field, kind in self.fields():
            if field == number and kind == _LIST:
                yield from self.items(_STRUCT)
            else:
                self.skip(kind)

    def items(self, wanted: int) -> Iterator[int]:
        """Each element of a list, which must be of a type."""
        count, kind = self._list()
        if kind != wanted:
            raise ValueError(f"{self._what} holds a list of type {kind}")
        yield from range(count)

    def integer(self) -> int:
        """A signed integer."""
        zigzag = self._varint()
        return zigzag >> 1 ^ -(zigzag & 1)

    def text(self) -> str:
        """A name."""
        begin = self._pass(self._varint())
        return self._data[begin : self.at].decode("utf-8", "replace")

    def skip(self, kind: int, depth: int = 0) -> None:
        """Pass over a value."""
        if depth > _MAX_DEPTH:
            raise ValueError(f"{self._what} is nested too deeply")
        if kind in _INTEGERS:
            self._varint()
        elif kind in (_BYTE, _DOUBLE):
            self._pass(1 if kind == _BYTE else 8)
        elif kind == _BINARY:
            self._pass(self._varint())
        elif kind in (_LIST, _SET):
            count, inner = self._list()
            for _ in range(count):
                self._skip_item(inner, depth + 1)
        elif kind == _STRUCT:
            for _, inner in self.fields():
                self.skip(inner, depth + 1)
        elif kind not in (_TRUE, _FALSE):  # no struct of a Parquet file has a map
            raise ValueError(f"{self._what} holds a value of type {kind}")

    def _skip_item(self, kind: int, depth: int) -> None:
        """An element: unlike a field, a truth value takes a byte."""
        self.skip(_BYTE if kind in (_TRUE, _FALSE) else kind, depth)

    def _list(self) -> tuple[int, int]:
        byte = self._byte()
        count = byte >> 4
        return self._varint() if count == 15 else count, byte & 15

    def _pass(self, count: int) -> int:
        """Go over bytes that must be there; returns where they begin."""
        begin = self.at
        if count > len(self._data) - begin:
            raise ValueError(f"{self._what} is cut short")
        self.at += count
        return begin

    def _byte(self) -> int:
        return self._data[self._pass(1)]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value
            if shift > 63:
                raise ValueError(f"a number of {self._what} is too long")
