"""Functions of AArch64 ELF files, where a process had them mapped.

Fidelity note. Names come from the symbol tables and the PLT; a stripped function has none. The
load address of a shared object is that of its lowest mapping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection, SymbolTableSection
from numpy.typing import NDArray

from sim.workload.spestream import Symbol

Ranked = tuple[Symbol, int]
"""A symbol and its rank; of several names for one start, the lowest rank is the best."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """`path` from file offset `offset` on, mapped at addresses `start` to `end`."""

    start: int
    end: int
    offset: int
    path: Path


def mapped_symbols(maps: Path, elf: Path, pc: NDArray[np.uint64]) -> tuple[Symbol, ...]:
    """Functions of `elf` and of all files in `maps` (a copy of /proc/PID/maps) that hold a `pc`."""
    by_file: dict[Path, Mapping] = {}
    for mapping in _read_maps(maps):
        by_file.setdefault(mapping.path, mapping)  # the lowest mapping gives the load address
    files = [elf, *(path for path in by_file if not path.samefile(elf))]
    ranked: list[Ranked] = []
    for path in files:
        place = next((m for p, m in by_file.items() if p.samefile(path)), None)
        try:
            ranked += elf_symbols(path, place)
        except (OSError, ELFError):
            continue  # a mapped file need not be a program
    return best_symbols(ranked, pc)


def best_symbols(ranked: Iterable[Ranked], pc: NDArray[np.uint64]) -> tuple[Symbol, ...]:
    """The best name of each start, in order, where the symbol holds one of `pc`."""
    found: dict[int, tuple[tuple[int, int, str], Symbol]] = {}
    for symbol, rank in ranked:
        key = (rank, len(symbol.name), symbol.name)
        if symbol.start not in found or key < found[symbol.start][0]:
            found[symbol.start] = key, symbol
    return touched(tuple(found[start][1] for start in sorted(found)), pc)


def touched(symbols: tuple[Symbol, ...], pc: NDArray[np.uint64]) -> tuple[Symbol, ...]:
    """The symbols that hold at least one of `pc`."""
    ordered = np.sort(pc)
    low = np.searchsorted(ordered, np.array([s.start for s in symbols], np.uint64))
    high = np.searchsorted(ordered, np.array([s.start + s.size for s in symbols], np.uint64))
    return tuple(s for s, a, b in zip(symbols, low, high, strict=True) if a < b)


def elf_symbols(path: Path, mapping: Mapping | None) -> list[Ranked]:
    """Functions and PLT of an AArch64 ELF file, none of another; OSError or ELFError."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        if elf.header["e_machine"] != "EM_AARCH64":
            return []
        bias = _load_bias(elf, mapping)
        return [*_functions(elf, bias), *_plt(elf, bias, path.name)]


def machine(path: Path) -> str:
    """The machine an ELF file was built for, e.g. "EM_AARCH64"; OSError or ELFError."""
    with path.open("rb") as file:
        return str(ELFFile(file).header["e_machine"])


def build_id(path: Path) -> str:
    """The build id from the program's GNU note, hexadecimal, or "" if it has none."""
    with path.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if isinstance(section, NoteSection):
                for note in section.iter_notes():
                    if note["n_type"] == "NT_GNU_BUILD_ID":
                        return str(note["n_desc"])
    return ""


def _read_maps(path: Path) -> list[Mapping]:
    """File mappings of the QEMU process, by address; those of deleted files are left out."""
    mappings = []
    for line in path.read_text(errors="surrogateescape").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and Path(fields[5]).is_file():
            start, end = (int(part, 16) for part in fields[0].split("-"))
            mappings.append(Mapping(start, end, int(fields[2], 16), Path(fields[5])))
    return sorted(mappings, key=lambda mapping: mapping.start)


def _load_bias(elf: Any, mapping: Mapping | None) -> int:
    """What to add to the file's addresses to get those of the process."""
    if elf.header["e_type"] == "ET_EXEC" or mapping is None:
        return 0
    for segment in elf.iter_segments("PT_LOAD"):
        begin = segment["p_offset"] & ~0xFFF
        if begin <= mapping.offset < segment["p_offset"] + segment["p_filesz"]:
            address = segment["p_vaddr"] - segment["p_offset"] + mapping.offset
            return int(mapping.start - address)
    return 0


def _functions(elf: Any, bias: int) -> Iterator[Ranked]:
    ranks = {"STB_GLOBAL": 0, "STB_WEAK": 1, "STB_LOCAL": 2}
    for section in elf.iter_sections():
        if not isinstance(section, SymbolTableSection):
            continue
        for entry in section.iter_symbols():
            kind, size = entry["st_info"]["type"], entry["st_size"]
            if kind not in ("STT_FUNC", "STT_LOOS") or not size or entry["st_shndx"] == "SHN_UNDEF":
                continue
            rank = ranks.get(entry["st_info"]["bind"], 3)
            yield Symbol(entry.name, entry["st_value"] + bias, size), rank


def _plt(elf: Any, bias: int, name: str) -> Iterator[Ranked]:
    section = elf.get_section_by_name(".plt")
    if section is not None and section["sh_size"]:
        yield Symbol(f"{name}@plt", section["sh_addr"] + bias, section["sh_size"]), 4
