"""Damaged ELF files beside a capture: names or pages, never a crash."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.workload.capture.perfdata import Mapping
from sim.workload.capture.symbols import SymbolTable

quick = settings(max_examples=200, deadline=None)
NAMES = b"\0.symtab\0.strtab\0"
SYMBOLS = b"\0f\0g\0"


def elf() -> bytes:
    """A small AArch64 ELF file with two functions: f at 0x100, g at 0x110."""
    table = bytes(24) + b"".join(
        struct.pack("<IBBHQQ", name, 0x12, 0, 1, value, 16)
        for name, value in ((1, 0x100), (3, 0x110))
    )
    strings_at = 64 + 56 + len(table)
    names_at = strings_at + len(SYMBOLS)
    sections_at = names_at + len(NAMES)
    head = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 3, 183, 1, 0, 64, sections_at, 0, 64, 56, 1, 64, 4, 3)
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 0x1000, 0x1000, 0x1000)
    sections = bytes(64) + b"".join(
        struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, at, size, link, 1, 8, entry)
        for name, kind, at, size, link, entry in (
            (1, 2, 120, len(table), 2, 24),
            (9, 3, strings_at, len(SYMBOLS), 0, 0),
            (9, 3, names_at, len(NAMES), 0, 0),
        )
    )
    return head + segment + table + SYMBOLS + NAMES + sections


def names(data: bytes) -> list[str]:
    """What the two functions are called if the file holds `data`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.so"
        path.write_bytes(data)
        table = SymbolTable([Mapping(1, 0x400000, 0x1000, 0, str(path), "")], {}, {})
        return [table.name(1, 0x400104), table.name(1, 0x400110)]


def test_the_good_file_is_good() -> None:
    """The control: both names come out."""
    assert names(elf()) == ["f", "g"]


@quick
@given(st.lists(st.tuples(st.integers(0, len(elf()) - 1), st.integers(0, 255)), max_size=4))
def test_changed_bytes(changes: list[tuple[int, int]]) -> None:
    """Any bytes changed."""
    data = bytearray(elf())
    for at, value in changes:
        data[at] = value
    assert all(names(bytes(data)))


@quick
@given(st.integers(0, len(elf())))
def test_cut_anywhere(length: int) -> None:
    """Any prefix."""
    assert all(names(elf()[:length]))
