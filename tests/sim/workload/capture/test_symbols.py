"""Symbols of a capture: pages stand in, and ELF files at hand are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.workload.capture import perfdata
from sim.workload.capture.symbols import SymbolTable
from tests.needs import CROSS, run
from tests.rigs import perf_file as pf
from tests.sim.workload.capture.made import HEAD, ONE, written


def test_pages_stand_in_for_symbols(tmp_path: Path) -> None:
    """Without the file at hand a name is file and page; without a mapping the page alone."""
    records = [
        *HEAD,
        pf.comm(42, b"x"),
        pf.mmap2(42, 0x400000, 0x10000, 0x2000, b"/no/x.so"),
        pf.auxtrace(ONE, 0),
    ]
    file = perfdata.scan(written(tmp_path, pf.perf_data(records)))
    table = SymbolTable(file.mappings, file.pid_of, file.build_ids)
    assert table.name(42, 0x401234) == "x.so+0x3000"
    assert table.name(7, 0x401234) == "x.so+0x3000"
    assert table.name(42, 0x900123) == "[unknown]+0x900000"
    assert table.name(42, 0xFFFF_8000_0000_1234) == "[kernel]+0xffff800000001000"
    assert table.files() == ([], ["/no/x.so"])


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared object with two functions and a build id."""
    folder = tmp_path_factory.mktemp("elf")
    (folder / "f.c").write_text("int one(int a) { return a + 1; }\nint two(int a) { return a; }\n")
    out = folder / "libf.so"
    flags = ["-O1", "-shared", "-nostdlib", "-Wl,--build-id=0x1234abcd"]
    run(CROSS, *flags, "-o", out, folder / "f.c")
    return out


def test_elf_symbols_where_the_very_file_is_at_hand(elf: Path) -> None:
    """Function names through the mapping; another build id, or another machine, gives pages."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".dynsym")
        values = {s.name: s["st_value"] for s in table.iter_symbols()}  # type: ignore[union-attr]
    for build_id, known in (("", True), ("1234abcd", True), ("5678", False)):
        mapping = perfdata.Mapping(42, 0x7F0000000000, 0x10000, 0, str(elf), build_id)
        symbols = SymbolTable([mapping], {}, {})
        names = [symbols.name(42, 0x7F0000000000 + values[name]) for name in ("one", "two")]
        assert (names == ["one", "two"]) is known
    named = SymbolTable(
        [perfdata.Mapping(42, 0, 0x10000, 0, "/usr/lib/libf.so", "")], {}, {}, elf.parent
    )
    assert named.name(42, values["two"]) == "two"
    foreign = SymbolTable([perfdata.Mapping(42, 0, 1 << 30, 0, "/bin/sh", "")], {}, {})
    assert foreign.name(42, 0x1000).startswith("sh+0x")
