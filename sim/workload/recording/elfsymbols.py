"""Functions of AArch64 ELF files, where a process had them mapped.

Fidelity note. Names come from the symbol tables and the PLT; a stripped function has none. The
load address of a shared object is that of its lowest mapping.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from elftools.common.exceptions import ELFError
from numpy.typing import NDArray

from sim.workload import elfread
from sim.workload.elfread import Elf
from sim.workload.spestream import Symbol

_TOP: Final = 1 << 64
_PLT_RANK: Final = 4
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
    first = np.searchsorted(ordered, np.array([s.start for s in symbols], np.uint64))
    ends = np.array([s.start + max(s.size, 1) - 1 for s in symbols], np.uint64)
    after = np.searchsorted(ordered, ends, side="right")
    return tuple(s for s, a, b in zip(symbols, first, after, strict=True) if a < b and s.size)


def elf_symbols(path: Path, mapping: Mapping | None) -> list[Ranked]:
    """Functions and PLT of an AArch64 ELF file, none of another; OSError or ELFError."""
    with elfread.opened(path) as elf:
        if elf.machine != "EM_AARCH64":
            return []
        bias = _load_bias(elf, mapping)
        ranked = [(Symbol(f.name, f.value + bias, f.size), f.rank) for f in elf.functions()]
        plt, size = elf.section_at(b".plt")
        if size:
            ranked.append((Symbol(f"{path.name}@plt", plt + bias, size), _PLT_RANK))
    return [(s, rank) for s, rank in ranked if s.start >= 0 and s.start + s.size <= _TOP]


def machine(path: Path) -> str:
    """The machine an ELF file was built for, e.g. "EM_AARCH64"; OSError or ELFError."""
    with elfread.opened(path) as elf:
        return elf.machine


def build_id(path: Path) -> str:
    """The build id from the program's GNU note, hexadecimal, or "" if it has none."""
    with elfread.opened(path) as elf:
        return elf.build_id()


def _read_maps(path: Path) -> list[Mapping]:
    """File mappings of the QEMU process, by address; those of deleted files are left out."""
    mappings = []
    for line in path.read_text(errors="surrogateescape").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and Path(fields[5]).is_file():
            start, end = (int(part, 16) for part in fields[0].split("-"))
            mappings.append(Mapping(start, end, int(fields[2], 16), Path(fields[5])))
    return sorted(mappings, key=lambda mapping: mapping.start)


def _load_bias(elf: Elf, mapping: Mapping | None) -> int:
    """What to add to the file's addresses to get those of the process."""
    if elf.type == elfread.ET_EXEC or mapping is None:
        return 0
    for s in elf.segments():
        if s.offset & ~0xFFF <= mapping.offset < s.offset + s.filesz:
            return mapping.start - (s.address - s.offset + mapping.offset)
    return 0
