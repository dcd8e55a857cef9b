"""Source places of code addresses, with the calls that were inlined there: a program's DWARF.

A frame is a function, the line where it is declared, and a line and a discriminator within it: of
the innermost frame those of the line table, of an outer one those of the inlined call. Versions 2
to 5, in the program itself; compressed sections too, split DWARF not. Read by pyelftools, and only
units that hold code that is asked for. Source: DWARF 5, sections 3.3.8 (inlined calls) and 6.2
(lines); DW_AT_GNU_discriminator is LLVM's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray

from reports.store.files import ExportError
from sim import inputs

_NAMES: Final = ("DW_AT_linkage_name", "DW_AT_MIPS_linkage_name", "DW_AT_name")
_ORIGINS: Final = ("DW_AT_abstract_origin", "DW_AT_specification")
_DEEPEST: Final = 256
"""Scopes within one another, and functions that refer to one another."""
_FULL: Final = (
    "compile it with -g (clang: also -fdebug-info-for-profiling), record that program, or name one "
    "of equal code with --binary"
)
Ranges = list[tuple[int, int]]
"""Addresses from, and to before."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in the source: `function` as it is linked, "" without a name that one can write;
    `start` the line of its declaration, 0 if unknown.

    `discriminator` is as the program has it; `encoded` says that it is LLVM's, of several parts.
    """

    function: str
    start: int
    line: int
    discriminator: int
    encoded: bool

    @property
    def known(self) -> bool:
        """Whether it is a place: compilers give made-up code line 0."""
        return self.start > 0 and self.line > 0


Stack = tuple[Frame, ...]
"""Frames of an address, outermost first."""


def stacks(path: Path, pc: NDArray[np.uint64]) -> dict[int, Stack]:
    """Frames of each address of a file that its DWARF knows; an address that it does not is absent.

    Raises ExportError if the file has no line tables, or not such as can be read.
    """
    wanted = np.unique(pc)
    try:
        with inputs.regular(path) as file:
            elf = ELFFile(file)
            _check(path, elf)
            found: dict[int, Stack] = {}
            dwarf = elf.get_dwarf_info()
            for unit in dwarf.iter_CUs():
                _Unit(dwarf, unit).frames(wanted, found)
            return found
    except ExportError:
        raise
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror}") from error
    except Exception as error:  # pyelftools raises whatever its parsing trips over
        why = f"{path}: its DWARF cannot be read: {error or type(error).__name__}"
        raise ExportError(f"{why}; compile it anew with -g") from error


def _check(path: Path, elf: ELFFile) -> None:
    """ExportError if a program has no lines, or counts by something else than lines."""
    if not any(elf.get_section_by_name(f".{z}debug_line") for z in ("", "z")):
        raise ExportError(f"{path}: has no DWARF line table; {_FULL}")
    if elf.get_section_by_name(".pseudo_probe") is not None:
        why = "its lines are counted by pseudo probes, which are not read"
        raise ExportError(f"{path}: {why}; compile it without -fpseudo-probe-for-profiling")
    symbols: Any = elf.get_section_by_name(".symtab")
    if symbols is not None and symbols.get_symbol_by_name("__llvm_fs_discriminator__"):
        why = "its discriminators are flow sensitive, which are not read"
        raise ExportError(f"{path}: {why}; compile it without -enable-fs-discriminator")


@dataclass(frozen=True, slots=True)
class _Lines:
    """Rows of a line table by address [R]; `ends` [R] where the row's sequence ends."""

    address: NDArray[np.uint64]
    ends: NDArray[np.uint64]
    line: NDArray[np.int64]
    discriminator: NDArray[np.int64]

    def at(self, pc: int) -> tuple[int, int]:
        """Line and discriminator at an address; (0, 0) if no row is of it."""
        k = int(np.searchsorted(self.address, np.uint64(pc), side="right")) - 1
        if k < 0 or pc >= int(self.ends[k]):
            return 0, 0
        return int(self.line[k]), int(self.discriminator[k])


class _Unit:
    """A compile unit of a file."""

    def __init__(self, dwarf: DWARFInfo, unit: CompileUnit) -> None:
        self._dwarf, self._unit = dwarf, unit
        self._top = unit.get_top_DIE()
        self._base = _value(self._top, "DW_AT_low_pc") or 0
        self._encoded = any(
            mark in _text(self._top, "DW_AT_producer") for mark in ("clang", "LLVM")
        )

    def frames(self, wanted: NDArray[np.uint64], found: dict[int, Stack]) -> None:
        """Add the frames of the addresses `wanted` (ascending) that this unit holds."""
        if "DW_AT_dwo_name" in self._top.attributes or "DW_AT_GNU_dwo_name" in self._top.attributes:
            raise ExportError(
                f"{_text(self._top, 'DW_AT_name')}: its DWARF is split off; compile it without "
                "-gsplit-dwarf"
            )
        ranges = self.ranges(self._top)
        if ranges and not any(_held(wanted, first, end).size for first, end in ranges):
            return
        lines: _Lines | None = None
        for function in self._functions(self._top, 0):
            held = [pc for a, b in self.ranges(function) for pc in _held(wanted, a, b).tolist()]
            if held:
                lines = lines or self._lines()
                scope = _Scope(self, function, "", 0)
                for pc in held:
                    found[pc] = self._stack(scope, pc, lines)

    def _stack(self, scope: _Scope, pc: int, lines: _Lines) -> Stack:
        frames = []
        for inner in scope.path(pc):
            frames.append(self._frame(scope, *inner.called))
            scope = inner
        return (*frames, self._frame(scope, *lines.at(pc)))

    def _frame(self, scope: _Scope, line: int, discriminator: int) -> Frame:
        return Frame(scope.function, scope.start, line, discriminator, self._encoded)

    def _functions(self, die: DIE, depth: int) -> Iterator[DIE]:
        """Functions with code, wherever they stand."""
        if depth > _DEEPEST:
            return
        for child in die.iter_children():
            if child.tag == "DW_TAG_subprogram" and _has_code(child):
                yield child
            if child.has_children:
                yield from self._functions(child, depth + 1)

    def ranges(self, die: DIE) -> Ranges:
        """The addresses of a scope."""
        attributes = die.attributes
        if "DW_AT_ranges" in attributes:
            return list(self._listed(die))
        first, end = _value(die, "DW_AT_low_pc"), _value(die, "DW_AT_high_pc")
        if first is None or end is None:
            return []
        absolute = attributes["DW_AT_high_pc"].form in ("DW_FORM_addr", "DW_FORM_addrx")
        return [(first, end if absolute else first + end)]

    def _listed(self, die: DIE) -> Iterator[tuple[int, int]]:
        lists = self._dwarf.range_lists()
        if lists is None:
            return
        base = self._base
        for entry in lists.get_range_list_at_offset(
            die.attributes["DW_AT_ranges"].value, self._unit
        ):
            if isinstance(entry, BaseAddressEntry):
                base = entry.base_address
            else:
                shift = 0 if entry.is_absolute else base
                yield entry.begin_offset + shift, entry.end_offset + shift

    def _lines(self) -> _Lines:
        program = self._dwarf.line_program_for_CU(self._unit)
        rows: list[tuple[int, int, int, int]] = []
        begun: list[tuple[int, int, int]] = []
        for entry in program.get_entries() if program is not None else ():
            state = entry.state
            if state is None:
                continue
            if not state.end_sequence:
                begun.append((state.address, state.line, state.discriminator))
                continue
            rows += [(a, state.address, line, which) for a, line, which in begun]
            begun = []
        rows.sort(key=lambda row: row[0])  # stable: of rows at one address the last one counts
        columns = np.array(rows, object).reshape(-1, 4).T
        return _Lines(
            columns[0].astype(np.uint64),
            columns[1].astype(np.uint64),
            columns[2].astype(np.int64),
            columns[3].astype(np.int64),
        )


class _Scope:
    """A function where its code lies, inlined or not, and what is inlined in it."""

    def __init__(self, unit: _Unit, die: DIE, caller: str, depth: int) -> None:
        self.function, self.start = _declared(die)
        self.called = (
            _value(die, "DW_AT_call_line") or 0,
            _value(die, "DW_AT_GNU_discriminator") or 0,
        )
        """Line and discriminator of the call, in the caller."""
        self.ranges = unit.ranges(die)
        self._inner = [
            _Scope(unit, child, self.function, depth + 1) for child in _inlined(die, depth)
        ]

    def path(self, pc: int) -> Iterator[_Scope]:
        """What is inlined at an address, from the outside in."""
        for scope in self._inner:
            if any(first <= pc < end for first, end in scope.ranges):
                yield scope
                yield from scope.path(pc)
                return


def _inlined(die: DIE, depth: int) -> Iterator[DIE]:
    """What is inlined in a scope, not within another such; blocks are passed through."""
    if depth > _DEEPEST:
        return
    for child in die.iter_children():
        if child.tag == "DW_TAG_inlined_subroutine":
            if _has_code(child):
                yield child
        elif child.has_children and child.tag != "DW_TAG_subprogram":
            yield from _inlined(child, depth + 1)


def _declared(die: DIE) -> tuple[str, int]:
    """Name, as it is linked, and line of a function; of what stands nearest to the code."""
    chain, seen = [die], {die.offset}
    for one in chain:
        for origin in _ORIGINS:
            if origin in one.attributes:
                other = one.get_DIE_from_attribute(origin)
                if other.offset not in seen:
                    seen.add(other.offset)
                    chain.append(other)
    names = (_text(one, key) for key in _NAMES for one in chain)
    lines = (_value(one, "DW_AT_decl_line") for one in chain)
    name = next(filter(None, names), "")
    written = name if name.isprintable() and name[:1].strip(" !0123456789") else ""
    return written, next(filter(None, lines), 0)


def _has_code(die: DIE) -> bool:
    return "DW_AT_low_pc" in die.attributes or "DW_AT_ranges" in die.attributes


def _value(die: DIE, attribute: str) -> int | None:
    found = die.attributes.get(attribute)
    return None if found is None else int(found.value)


def _text(die: DIE, attribute: str) -> str:
    found = die.attributes.get(attribute)
    return "" if found is None else bytes(found.value).decode("utf-8", "replace")


def _held(wanted: NDArray[np.uint64], first: int, end: int) -> NDArray[np.uint64]:
    """Those of ascending addresses that lie in a range."""
    a, b = np.searchsorted(wanted, np.array([first, max(first, end)], np.uint64))
    return wanted[a:b]
