"""What is taken from a kernel tree: the driver, the AUX functions of the ring, register fields.

Text in, text out; nothing is executed. arm_spe_pmu.c is taken as it is. Of ring_buffer.c and
internal.h come `struct perf_buffer`, the functions that a driver calls, and what those call in turn
in the same files. Fields of the system registers come from arch/arm64/tools/sysreg, or before 6.3
from asm/sysreg.h. `#line` keeps the tree's places, so that the compiler's errors, and a crash, name
them. Source: the layout of Linux 6.1 and 6.12; newer trees are read the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sim import inputs
from sim.errors import SpeskewError

DRIVER = "drivers/perf/arm_spe_pmu.c"
RING = "kernel/events/ring_buffer.c"
INTERNAL = "kernel/events/internal.h"
SYSREG_TABLE = "arch/arm64/tools/sysreg"
SYSREG_HEADER = "arch/arm64/include/asm/sysreg.h"
MAKEFILE = "Makefile"
FILES = (MAKEFILE, DRIVER, RING, INTERNAL, SYSREG_TABLE, SYSREG_HEADER)
"""All that is read of a tree."""
_MOST = 1 << 22
"""Bytes of a file: the largest of these, the table of registers, has 0.1 MB."""

_WANTED = (
    "perf_aux_output_flag",
    "perf_aux_output_begin",
    "perf_aux_output_end",
    "perf_aux_output_skip",
    "perf_get_aux",
    "rb_alloc_aux",
    "rb_free_aux",
)
_OURS = frozenset({"ring_buffer_get", "ring_buffer_put", "perf_event_aux_event"})
"""Functions of perf's core, which the shim has."""
_RENAMED = ("perf_aux_output_begin", "perf_aux_output_end", "perf_aux_output_skip")


class TreeError(SpeskewError):
    """A kernel tree cannot be used; the message says what, why and how to go on."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A kernel tree as far as it is compiled: its place, its version, and the units made of it."""

    path: Path
    version: str
    driver: str
    ring: str
    buffer: str
    """A header: struct perf_buffer and its accessors."""
    registers: str
    """A header: SYS_*, and the fields of what the driver uses."""

    @property
    def name(self) -> str:
        """As a person calls it."""
        return f"Linux {self.version}"

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor number."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(re.sub(r"\D.*", "", minor))

    @property
    def discards(self) -> bool:
        """Does its driver know discard mode (PMBLIMITR_EL1.FM)?"""
        return "ATTR_CFG_FLD_discard_CFG" in self.driver


def read(path: str | Path) -> Tree:
    """What is needed of the tree at `path`; raises TreeError if it is none."""
    root = Path(path).expanduser()
    texts = {name: _text(root, name) for name in FILES}
    version = _version(root, texts[MAKEFILE])
    ring = _Unit(RING, texts[RING])
    internal = _Unit(INTERNAL, texts[INTERNAL])
    missing = [name for name in _WANTED if name not in ring.functions]
    if missing:
        raise TreeError(
            f"driver.kernel_tree: {root / RING} of Linux {version} has no function "
            f"{', '.join(missing)}, which drivers call; speskew knows Linux 6.1 to 7.x"
        )
    return Tree(
        path=root,
        version=version,
        driver=_placed(DRIVER, 1, _without_headers(texts[DRIVER])),
        ring=_ring(ring, internal),
        buffer=_buffer(internal),
        registers=_registers(texts[SYSREG_TABLE], texts[SYSREG_HEADER]),
    )


def _text(root: Path, name: str) -> str:
    try:
        data: bytes = inputs.read_at_most(root / name, _MOST)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise TreeError(
            f"driver.kernel_tree: {root} is no kernel tree that can be used: {name}: {why}; give "
            "the top folder of Linux sources, the one with Makefile, drivers and kernel"
        ) from error
    return str(data, "utf-8", "replace")


def _version(root: Path, makefile: str) -> str:
    """VERSION.PATCHLEVEL.SUBLEVEL and EXTRAVERSION, as the tree's Makefile has them."""
    found: dict[str, str] = dict(
        re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(\S*)", makefile, re.M)
    )
    if not found.get("VERSION", "").isdigit() or not found.get("PATCHLEVEL", "").isdigit():
        raise TreeError(
            f"driver.kernel_tree: {root / MAKEFILE} names no version of Linux; give the top folder "
            "of Linux sources"
        )
    numbers = [found.get(name, "") for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    return ".".join(number for number in numbers if number) + found.get("EXTRAVERSION", "")


# --- C, as far as it must be understood ------------------------------------------------------


@dataclass(slots=True)
class _Function:
    line: int
    text: str
    calls: frozenset[str]


@dataclass(slots=True)
class _Unit:
    """A source file: its functions by name; a definition begins and ends in the first column."""

    name: str
    text: str
    functions: dict[str, _Function] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lines = self.text.split("\n")
        for end, line in enumerate(lines):
            if line != "}":
                continue
            first = end
            while first > 0 and lines[first] != "{":
                first -= 1
            while first > 0 and lines[first - 1].strip() and lines[first - 1][0] not in "#}/ *":
                first -= 1
                if lines[first].endswith((";", "*/")):
                    first += 1
                    break
            while first < end and lines[first].startswith(("\t", " ")):
                first -= 1  # the rest of a list of parameters
            self._add(first + 1, "\n".join(lines[first : end + 1]))

    def _add(self, line: int, text: str) -> None:
        head = re.search(r"(\w+)\s*\([^{]*?\)\s*\{", text, re.S)
        if head:
            self.functions[head[1]] = _Function(line, text, frozenset(re.findall(r"\w+", text)))


def _closure(wanted: Iterator[str], *units: _Unit) -> list[tuple[_Unit, str]]:
    """Functions and what they call in the same files, in the order of the files."""
    found: set[tuple[int, str]] = set()
    open_names = list(wanted)
    while open_names:
        name = open_names.pop()
        for at, unit in enumerate(units):
            function = unit.functions.get(name)
            if function and (at, name) not in found and name not in _OURS:
                found.add((at, name))
                open_names.extend(function.calls)
    ordered = sorted(found, key=lambda each: (each[0], units[each[0]].functions[each[1]].line))
    return [(units[at], name) for at, name in ordered]


def _ring(ring: _Unit, internal: _Unit) -> str:
    """The AUX functions as a unit of their own: prototypes first, then the tree's text."""
    chosen = _closure(iter(_WANTED), internal, ring)
    renamed = [f"#define {name} tree_{name.removeprefix('perf_')}\n" for name in _RENAMED]
    macros = [
        _placed(RING, ring.text[: at.start()].count("\n") + 1, at[0])
        for at in re.finditer(r"^#define PERF_AUX_GFP\b.*(?:\\\n.*)*", ring.text, re.M)
    ]
    heads = [_prototype(unit.functions[name].text) for unit, name in chosen if unit is ring]
    bodies = [
        _placed(unit.name, unit.functions[name].line, unit.functions[name].text)
        for unit, name in chosen
        if unit is ring
    ]
    return "".join((*renamed, '#include "perf_buffer.h"\n', *macros, *heads, *bodies))


def _prototype(text: str) -> str:
    head = text[: text.index("{")].strip()
    return head.replace("__always_inline", "inline") + ";\n" if "static" in head else head + ";\n"


def _buffer(internal: _Unit) -> str:
    """struct perf_buffer, and the accessors that the AUX functions may use."""
    struct = re.search(r"^struct perf_buffer \{.*?^\};", internal.text, re.M | re.S)
    if struct is None:
        raise TreeError(
            f"driver.kernel_tree: {INTERNAL} has no struct perf_buffer; give Linux 6.1 or newer"
        )
    line = internal.text[: struct.start()].count("\n") + 1
    names = [name for name in ("rb_has_aux", "perf_aux_size") if name in internal.functions]
    inlines = [
        _placed(INTERNAL, internal.functions[name].line, internal.functions[name].text)
        for name in names
    ]
    extern = (
        "int rb_alloc_aux(struct perf_buffer *rb, struct perf_event *event, pgoff_t pgoff,\n"
        "\t\t int nr_pages, long watermark, int flags);\n"
        "void rb_free_aux(struct perf_buffer *rb);\n"
    )
    guard = "#ifndef SPESKEW_PERF_BUFFER_H\n#define SPESKEW_PERF_BUFFER_H\n"
    return "".join((guard, _placed(INTERNAL, line, struct[0]), extern, *inlines, "#endif\n"))


def _without_headers(text: str) -> str:
    """Headers of the kernel are replaced by the shim; lines keep their numbers."""
    return re.sub(r"^#\s*include\s*<.*$", "", text, flags=re.M)


def _placed(name: str, line: int, text: str) -> str:
    return f'#line {line} "{name}"\n{text}\n'


# --- system registers ------------------------------------------------------------------------

_OF_SPE = re.compile(r"(?:SYS_)?PM[SB]\w+_EL1\w*|(?:SYS_)?ID_AA64DFR0_EL1\w*")


def _registers(table: str, header: str) -> str:
    """SYS_* and fields of SPE's registers: those of the table, then the header's own."""
    defined = "".join(_of_table(table))
    own = re.findall(r"^#define\s+(\w+)[ \t]+((?:.*\\\n)*.*)$", header, re.M)
    kept = (f"#ifndef {n}\n#define {n} {v}\n#endif\n" for n, v in own if _OF_SPE.fullmatch(n))
    return "/* Made from the tree's own tables. */\n" + defined + "".join(kept)


def _of_table(table: str) -> Iterator[str]:
    """Definitions as arch/arm64/tools/gen-sysreg.awk makes them."""
    register = enum = ""
    for line in table.splitlines():
        words = line.split("#")[0].split()
        match words:
            case ["Sysreg", name, op0, op1, crn, crm, op2]:
                register = name if _OF_SPE.fullmatch(name) else ""
                if register:
                    encoding = f"sys_reg({op0}, {op1}, {crn}, {crm}, {op2})"
                    yield f"#define SYS_{register} {encoding}\n"
            case ["EndSysreg"]:
                register = enum = ""
            case ["EndEnum"]:
                enum = ""
            case [kind, bits, name] if register and kind.endswith(("Field", "Enum")):
                high, _, low = bits.partition(":")
                full, first, last = f"{register}_{name}", int(low or high), int(high)
                yield f"#define {full} GENMASK_ULL({last}, {first})\n#define {full}_MASK {full}\n"
                yield f"#define {full}_SHIFT {first}\n#define {full}_WIDTH {last - first + 1}\n"
                enum = full if kind.endswith("Enum") else ""
            case [value, name] if enum and value.startswith("0b"):
                yield f"#define {enum}_{name} UL({int(value, 2)})\n"
