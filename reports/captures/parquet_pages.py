"""What the pages of a Parquet file claim to unpack to, before anything is unpacked.

The footer's sizes can be believed only when the headers of the pages agree: readers allocate, and
decompress, what the page says. The headers are structs of Thrift's compact protocol, of which this
reads the two sizes and passes over the rest (parquet-format, `PageHeader`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sim import inputs

MAX_HEADER = 1 << 20
"""Bytes of a page's header; the statistics in it are a few hundred."""
_SIZES = {2: "unpacked", 3: "packed"}
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(
    13
)
_MAX_DEPTH = 8


def check(path: Path, metadata: Any) -> None:
    """ValueError unless the pages of each column unpack to what the footer says at most."""
    with inputs.regular(path) as file:
        for group in range(metadata.num_row_groups):
            row_group = metadata.row_group(group)
            for number in range(row_group.num_columns):
                _check_column(file, row_group.column(number))


def _check_column(file: IO[bytes], column: Any) -> None:
    stated = int(column.total_uncompressed_size)
    unpacked = 0
    for size in _pages(file, column):
        unpacked += size
        if unpacked > stated:
            name = str(column.path_in_schema)[:60]
            raise ValueError(
                f"pages of column {name!r} claim {unpacked:,} bytes or more, the footer {stated:,}"
            )


def _pages(file: IO[bytes], column: Any) -> Iterator[int]:
    """Unpacked size of each page of a column chunk."""
    at = int(column.data_page_offset)
    if column.has_dictionary_page and column.dictionary_page_offset is not None:
        at = min(at, int(column.dictionary_page_offset))
    end = at + int(column.total_compressed_size)
    while at < end:
        file.seek(at)
        header = _Header(file.read(min(MAX_HEADER, end - at)))
        unpacked, packed = header.sizes()
        at += header.at + packed
        yield unpacked


class _Header:
    """One page header in bytes; IndexError where it is cut short becomes a ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def sizes(self) -> tuple[int, int]:
        """(unpacked, packed) bytes of the page; `at` is then behind the header."""
        found: dict[str, int] = {}
        try:
            for field, kind in self._fields():
                if field in _SIZES and kind == _I32:
                    found[_SIZES[field]] = self._integer()
                else:
                    self._skip(kind, 0)
        except IndexError:
            raise ValueError("a page's header is cut short") from None
        if len(found) != len(_SIZES) or min(found.values()) < 0:
            raise ValueError("a page's header states no sizes")
        return found["unpacked"], found["packed"]

    def _fields(self) -> Iterator[tuple[int, int]]:
        """(number, type) of each field of a struct; whoever takes one reads or skips its value."""
        field = 0
        while (byte := self._byte()) != _STOP:
            step = byte >> 4
            field = field + step if step else self._integer()
            yield field, byte & 15

    def _byte(self) -> int:
        value = self._data[self.at]
        self.at += 1
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value
            if shift > 63:
                raise ValueError("a number of a page's header is too long")

    def _integer(self) -> int:
        zigzag = self._varint()
        return zigzag >> 1 ^ -(zigzag & 1)

    def _skip(self, kind: int, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ValueError("a page's header is nested too deeply")
        if kind in (_I16, _I32, _I64):
            self._varint()
        elif kind in (_BYTE, _DOUBLE):
            self.at += 1 if kind == _BYTE else 8
        elif kind == _BINARY:
            length = self._varint()
            self.at += length
        elif kind == _STRUCT:
            for _, inner in self._fields():
                self._skip(inner, depth + 1)
        elif kind not in (_TRUE, _FALSE):  # lists, sets and maps: no header of a page has one
            raise ValueError(f"a page's header holds a value of type {kind}")
