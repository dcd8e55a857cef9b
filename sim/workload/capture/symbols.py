"""Names of code addresses: MMAP records and, where the very file is at hand, its ELF symbols.

Fidelity note. Mappings apply to the whole capture, a later one over an earlier one; `dlclose` and
`exec` in between are not followed. An ELF file is used if it is AArch64's and, where the capture
has a build id, of that build id. Without symbols a name is file and 4 KiB page of the offset in it,
so that a profile keeps its places without one symbol for each address.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError

from sim.workload import elfread
from sim.workload.capture.perfdata import Mapping
from sim.workload.elfread import Function

PAGE = 4096


@dataclass(frozen=True, slots=True)
class _Functions:
    """Functions of one file by offset in it, ascending."""

    starts: list[int]
    ends: list[int]
    names: list[str]

    def at(self, offset: int) -> str | None:
        k = bisect.bisect_right(self.starts, offset) - 1
        return self.names[k] if k >= 0 and offset < self.ends[k] else None


class SymbolTable:
    """Symbols for the addresses of a capture's tasks; `symfs` is a folder with the machine's files.

    Without mappings (a raw buffer) every name is a page of the address space.
    """

    def __init__(
        self,
        mappings: list[Mapping],
        pid_of: dict[int, int],
        build_ids: dict[str, str],
        symfs: Path | None = None,
    ) -> None:
        self.pid_of, self._build_ids, self._symfs = pid_of, build_ids, symfs
        self._by_pid: dict[int, list[Mapping]] = {}
        for mapping in mappings:
            self._by_pid.setdefault(mapping.pid, []).append(mapping)
        self._files: dict[tuple[str, str], _Functions | None] = {}
        self._pages: dict[tuple[int, int], Mapping | None] = {}

    def name(self, tid: int, address: int) -> str:
        """Symbol that holds `address` in a task, else file and page, else the page alone."""
        mapping = self._mapping(tid, address)
        if mapping is None:
            where = "[kernel]" if address >> 63 else "[unknown]"
            return f"{where}+{address & -PAGE:#x}"
        offset = address - mapping.start + mapping.offset
        functions = self._functions(mapping)
        found = functions.at(offset) if functions else None
        return found or f"{Path(mapping.path).name or '[mapping]'}+{offset & -PAGE:#x}"

    def files(self) -> tuple[list[str], list[str]]:
        """(paths whose symbols were used, paths that were asked for and not found)."""
        used = sorted({path for (path, _), found in self._files.items() if found})
        return used, sorted({path for (path, _), found in self._files.items() if not found})

    def _mapping(self, tid: int, address: int) -> Mapping | None:
        page = self.pid_of.get(tid, tid), address // PAGE
        if page not in self._pages:
            self._pages[page] = self._search(page[0], address)
        return self._pages[page]

    def _search(self, pid: int, address: int) -> Mapping | None:
        own = self._by_pid.get(pid)
        groups = [own] if own else [group for key, group in self._by_pid.items() if key >= 0]
        for group in (*groups, self._by_pid.get(-1, [])):
            for mapping in reversed(group):
                if mapping.start <= address < mapping.start + mapping.size:
                    return mapping
        return None

    def _functions(self, mapping: Mapping) -> _Functions | None:
        build_id = mapping.build_id or self._build_ids.get(mapping.path, "")
        key = mapping.path, build_id
        if key not in self._files:
            self._files[key] = self._load(*key)
        return self._files[key]

    def _load(self, path: str, build_id: str) -> _Functions | None:
        if not path.startswith("/"):  # [vdso], [kernel.kallsyms]_text, //anon
            return None
        if self._symfs is not None:
            candidates = [self._symfs / path.lstrip("/"), self._symfs / Path(path).name]
        else:
            candidates = [Path(path)]
        for candidate in candidates:
            found = _functions_of(candidate, build_id)
            if found is not None:
                return found
        return None


def _functions_of(path: Path, build_id: str) -> _Functions | None:
    """Functions of an AArch64 ELF file; None if it is not there, not one, or another build."""
    try:
        with elfread.opened(path) as elf:
            if elf.machine != "EM_AARCH64":
                return None
            if build_id and elf.build_id() != build_id:
                return None
            return _table(elf.functions())
    except (OSError, ELFError, ValueError):  # ValueError: a name with a NUL
        return None


def _table(functions: list[Function]) -> _Functions:
    """Functions by file offset; of several at one place the global and shortest name."""
    best: dict[int, tuple[tuple[int, int, str], int]] = {}
    for f in functions:
        key = f.rank, len(f.name), f.name
        if f.offset < 0:
            continue
        if f.offset not in best or key < best[f.offset][0]:
            best[f.offset] = key, f.size
    starts = sorted(best)
    ends = [start + best[start][1] for start in starts]
    return _Functions(starts, ends, [best[start][0][2] for start in starts])
