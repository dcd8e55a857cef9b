"""ELF files that nobody vouches for: names within their segments, bounded memory, clear errors."""

from __future__ import annotations

import gzip
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zstandard
from elftools.common.exceptions import ELFError
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.workload import elfread
from sim.workload.capture.perfdata import Mapping
from sim.workload.capture.symbols import SymbolTable
from sim.workload.recording.elfsymbols import best_symbols, elf_symbols, touched
from sim.workload.spestream import Symbol
from tests.rigs.trace_writers import elf_file

TOP = 1 << 64
U64 = st.sampled_from([0, 1, 0x1000, 1 << 32, 1 << 63, TOP - 1]) | st.integers(0, TOP - 1)


def written(data: bytes) -> Path:
    """The bytes as a file."""
    path = Path(tempfile.mkdtemp()) / "x.elf"
    path.write_bytes(data)
    return path


def test_a_function_of_any_size_ends_with_its_segment(tmp_path: Path) -> None:
    """A symbol of 2^64 − 1 bytes names no address behind the segment, in a capture or a stream."""
    path = tmp_path / "x.so"
    path.write_bytes(elf_file((Symbol("f", 0x40, TOP - 1),), "ab", shared=True))
    length = path.stat().st_size - 5 * 64
    ((symbol, _),) = elf_symbols(path, None)
    assert (symbol.start, symbol.start + symbol.size) == (0x40, length)
    table = SymbolTable([Mapping(1, 0x400000, 0x10000, 0, str(path), "")], {}, {})
    assert table.name(1, 0x400040) == "f"
    assert table.name(1, 0x400000 + length) == "x.so+0x0"


def test_a_symbol_at_the_end_of_the_address_space() -> None:
    """It holds the addresses up to the last, and no sum overflows."""
    last = Symbol("last", TOP - 16, 16)
    pc = np.array([0x1000, TOP - 4], np.uint64)
    assert touched((Symbol("no", 0x2000, 16), last), pc) == (last,)
    assert best_symbols([(last, 0)], pc) == (last,)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(U64, U64), min_size=1, max_size=5))
def test_any_place_and_size_of_symbols(places: list[tuple[int, int]]) -> None:
    """Every function found lies in the address space, and finding who holds a pc does not fail."""
    symbols = tuple(Symbol(f"f{k}", value, size) for k, (value, size) in enumerate(places))
    ranked = elf_symbols(written(elf_file(symbols, "ab")), None)
    assert all(0 <= s.start < s.start + s.size <= TOP for s, _ in ranked)
    best_symbols(ranked, np.array([0, 0x1000, TOP - 4], np.uint64))


def aliased(sections: int, entries: int, name: bytes) -> bytes:
    """A small file with very many section headers that all name one symbol table."""
    table = bytes(24) + struct.pack("<IBBHQQ", 1, 0x12, 0, 1, 0x10, 16) * entries
    strings = b"\0" + name
    at = 64 + 56 + len(table) + len(strings)
    fields = "<IIQQQQIIQQ"
    rows = struct.pack(fields, 0, 3, 0, 0, 120 + len(table), len(strings), 0, 0, 1, 0)
    rows += struct.pack(fields, 0, 2, 0, 0, 120, len(table), 0, 1, 8, 24) * sections
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = struct.pack("<HHIQQQIHHHHHH", 3, 183, 1, 0, 64, at, 0, 64, 56, 1, 64, sections + 1, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, at, at, 0x1000)
    return ident + head + segment + table + strings + rows


@pytest.mark.parametrize(
    ("sections", "entries", "name", "why"),
    [
        (60_000, 1_000, b"f", "symbols|functions"),
        (1, 600_000, b"f", "functions"),
        (1, 100_000, b"f" * 5_000, "bytes of names"),
    ],
    ids=["tables", "functions", "names"],
)
def test_what_a_small_file_names_again_and_again(
    sections: int, entries: int, name: bytes, why: str
) -> None:
    """Tables, functions and names that many headers share are refused before they fill memory."""
    path = written(aliased(sections, entries, name))
    with pytest.raises(ELFError, match=why):
        elf_symbols(path, None)


def test_a_table_that_claims_more_than_the_file(tmp_path: Path) -> None:
    """A size beyond the file is an error, not a read of it."""
    good = elf_file((Symbol("f", 0x100, 16),), "ab")
    at = len(good) - 4 * 64 + 32  # sh_size of .symtab
    path = tmp_path / "x"
    path.write_bytes(good[:at] + struct.pack("<Q", 1 << 60) + good[at + 8 :])
    with pytest.raises(ELFError, match="outside the file"):
        elf_symbols(path, None)


def test_packed_files_are_named(tmp_path: Path) -> None:
    """A gzip, zstd or zip bomb in place of a program is not unpacked."""
    path, zeros = tmp_path / "x", bytes(1 << 20)
    packed = {"gzip": gzip.compress(zeros), "zstd": zstandard.compress(zeros)}
    with zipfile.ZipFile(tmp_path / "z", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", zeros)
    packed["zip"] = (tmp_path / "z").read_bytes()
    for name, data in packed.items():
        path.write_bytes(data)
        with pytest.raises(ELFError, match=f"packed with {name}"), elfread.opened(path):
            pass
