"""The program behind a stream, as a file that perf can take symbols and code from.

A recorded program is used itself if it is at hand: beside its stream (the shipped streams have
theirs), or named by the user; its build id must be the recording's. For all code that no program
covers, an ELF file is made: executed code where it was executed, with the stream's symbols. A
synthetic stream or a profile has no instructions; its file holds one typical instruction per class.
Made files lie in the cache under their build id, so that two exports of one stream name one file.
Code at kernel addresses has no file.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from elftools.common.exceptions import ELFError
from numpy.typing import NDArray

from reports.perf.events import PROT_DATA, PROT_TEXT
from reports.store.files import ExportError
from sim.cache import home, sealed
from sim.cache.sealed import BrokenSealError
from sim.scenario.files.loader import stock_folder
from sim.scenario.models.workloads import Recorded, Threads, Workload
from sim.workload import elfread
from sim.workload.elfread import ET_DYN, EXECUTABLE
from sim.workload.sharing.group import streams_of
from sim.workload.sharing.index import unified
from sim.workload.spestream import read_header, read_spestream

if TYPE_CHECKING:
    from sim.scenario.models.scenario import Arm
    from sim.workload.arrays import Stream
    from sim.workload.elfread import Elf
    from sim.workload.spestream import Header

PAGE = 4096
_KERNEL = np.uint64(1 << 63)
_FAR = 1 << 16
"""Code further apart than this gets segments of its own."""
_TYPICAL = np.array([0xD503201F, 0xF9400020, 0xF9000020, 0xF8220020, 0x54000020], np.uint32)
"""nop; ldr x0, [x1]; str x0, [x1]; ldadd x2, x0, [x1]; b.eq ."""
_SYMBOL_BYTES = 24
_TOP = 1 << 64


class Segment(NamedTuple):
    """A mapping: address, length and file offset in bytes, PROT_*."""

    address: int
    length: int
    offset: int
    prot: int


@dataclass(frozen=True, slots=True)
class Program:
    """A file that was mapped, and how."""

    path: Path
    build_id: bytes
    segments: tuple[Segment, ...]

    def covers(self, pc: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which addresses [n] lie in one of its segments."""
        inside = np.zeros(pc.size, bool)
        for s in self.segments:
            inside |= (pc >= s.address) & (pc < s.address + s.length)
        return inside


class Code(NamedTuple):
    """Executed code: addresses ascending [S], instruction words [S], symbol numbers [S]."""

    pc: NDArray[np.uint64]
    word: NDArray[np.uint32]
    symbol: NDArray[np.int32]


def programs(arm: Arm, stream: Stream, elf: Path | None) -> tuple[str, tuple[Program, ...]]:
    """The task's name, and the files that its user code came from."""

    user = stream.static_pc < _KERNEL
    files = recordings(arm.settings.workload)
    if not files:
        if elf is not None:
            raise ExportError(f"{elf}: only a recorded stream has a program; leave --program out")
        name = file_name(stream.name)
        typical = Code(stream.static_pc, _TYPICAL[stream.static_class], stream.static_symbol)
        return name, (_made(stream, typical, user, name),) if user.any() else ()
    path = files[0]
    header = read_header(path)
    name = file_name(header.program)
    found = elf or path.with_name(name)
    own = None
    if elf is not None or _same_program(found, header):
        own = _recorded(found, header, path)
        user &= ~own.covers(stream.static_pc)
    if not user.any():  # all code is the program's, or the kernel's
        return name, () if own is None else (own,)
    (recording, *_) = unified([read_spestream(file) for file in files])
    word = np.zeros(stream.static_pc.size, np.uint32)
    word[: recording.word.size] = recording.word  # a kernel overlay's ops come after
    rest = Code(stream.static_pc, word, stream.static_symbol)
    made = _made(stream, rest, user, name if own is None else f"{name}-rest")
    return name, (made,) if own is None else (own, made)


def recordings(workload: Workload) -> tuple[Path, ...]:
    """The recordings of a workload; none if it is not recorded."""
    if isinstance(workload, Threads):
        return streams_of(stock_folder() / workload.path)
    return (stock_folder() / workload.path,) if isinstance(workload, Recorded) else ()


def file_name(program: str) -> str:
    """A recording's program name without its arguments, fit for a file."""
    first = program.split(" ")[0]
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", first).strip(".-")[:60] or "program"


# --- programs that exist -----------------------------------------------------------------------


def _same_program(path: Path, header: Header) -> bool:
    """Is this the ELF file that was recorded?"""
    if not header.build_id or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF" and build_id_of(path) == header.build_id


@contextmanager
def opened(path: Path) -> Iterator[Elf]:
    """An ELF file; ExportError if it is none."""

    try:
        with elfread.opened(path) as elf:
            yield elf
    except (OSError, ELFError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ExportError(f"{path}: no ELF file: {why}; give the recorded program") from error


def build_id_of(path: Path) -> str:
    """An ELF file's build id, hexadecimal; "" if it has none. ExportError if it is no ELF file."""
    with opened(path) as elf:
        return elf.build_id()


def _recorded(path: Path, header: Header, stream: Path) -> Program:
    found = build_id_of(path)
    if found != header.build_id:
        raise ExportError(
            f"{path}: build id {found or 'none'}, but the recorded program's is"
            f" {header.build_id or 'none'}; give the program that was recorded"
        )
    with opened(path) as elf:
        segments = tuple(_loaded(elf, bias_of(elf, stream)))
    return Program(path.resolve(), bytes.fromhex(found), segments)


def bias_of(elf: Elf, stream: Path) -> int:
    """Where a position-independent program was loaded, from a symbol's two addresses."""

    if elf.type != ET_DYN:
        return 0
    places: dict[str, list[int]] = {}
    for function in elf.functions():
        places.setdefault(function.name, []).append(function.value)
    for symbol in read_spestream(stream).symbols:
        for value in places.get(symbol.name, ()):
            bias = symbol.start - value
            if bias >= 0 and bias % PAGE == 0:
                return bias
    return 0


def _loaded(elf: Elf, bias: int) -> Iterator[Segment]:
    """The loadable segments in whole pages.

    Zero-initialised data is mapped from the file too, so that its symbols resolve; a kernel maps it
    anonymously.
    """

    for segment in elf.segments():
        address = segment.address + bias
        skew = address % PAGE
        length = -(-(skew + segment.memsz) // PAGE) * PAGE
        if segment.offset < skew or address - skew + length > _TOP:
            raise ExportError("a segment lies outside the file or the address space; copy it again")
        prot = PROT_TEXT if segment.flags & EXECUTABLE else PROT_DATA
        yield Segment(address - skew, length, segment.offset - skew, prot)


# --- programs that are made --------------------------------------------------------------------


def _made(stream: Stream, code: Code, chosen: NDArray[np.bool_], name: str) -> Program:
    """An ELF file of the chosen static ops."""

    order = np.flatnonzero(chosen)[np.argsort(code.pc[chosen], kind="stable")]
    taken = Code(code.pc[order], code.word[order], code.symbol[order])
    content, build_id, segments = elf_of(taken, stream.symbols)
    root = home.root()
    if root is None:
        raise ExportError("there is no place for the program's file; set SPESKEW_CACHE to a folder")
    path = root / "programs" / build_id.hex() / name
    try:
        if sealed.read(path, len(content)) != content:
            sealed.write(path, content)
        home.touch(path.parent)
    except (FileNotFoundError, BrokenSealError):
        sealed.write(path, content)
    return Program(path.resolve(), build_id, segments)


def elf_of(code: Code, names: Sequence[str]) -> tuple[bytes, bytes, tuple[Segment, ...]]:
    """(ELF image, build id, its segments) of executed code; symbol names in brackets are left out.

    One PT_LOAD and one section per cluster of code; file offsets and addresses agree modulo a page.
    """
    clusters = _clusters(code.pc)
    first = -(-(64 + 56 * (len(clusters) + 1) + 36) // PAGE) * PAGE
    segments, text = [], b""
    for begin, end in clusters:
        base = int(code.pc[begin]) // PAGE * PAGE
        size = -(-(int(code.pc[end - 1]) + 4 - base) // PAGE) * PAGE
        words = np.zeros(size // 4, "<u4")
        words[(code.pc[begin:end] - np.uint64(base)) // np.uint64(4)] = code.word[begin:end]
        segments.append(Segment(base, size, first + len(text), PROT_TEXT))
        text += words.tobytes()
    symbols, strings = _symbol_table(code, clusters, names)
    digest = hashlib.sha1(text + symbols + strings, usedforsecurity=False).digest()
    return _image(segments, text, symbols, strings, digest), digest, tuple(segments)


def _clusters(pc: NDArray[np.uint64]) -> list[tuple[int, int]]:
    """Index ranges of addresses that lie close together."""
    cuts = np.flatnonzero(np.diff(pc) > _FAR) + 1
    edges = [0, *(int(cut) for cut in cuts), pc.size]
    return list(pairwise(edges))


def _symbol_table(
    code: Code, clusters: list[tuple[int, int]], names: Sequence[str]
) -> tuple[bytes, bytes]:
    """.symtab and .strtab: a function for each stretch of one symbol."""
    symbols, strings = bytes(_SYMBOL_BYTES), b"\0"
    for section, (begin, end) in enumerate(clusters, 2):
        cuts = np.flatnonzero(np.diff(code.symbol[begin:end])) + begin + 1
        edges = [begin, *(int(cut) for cut in cuts), end]
        for a, b in pairwise(edges):
            name = names[code.symbol[a]]
            if name.startswith("["):
                continue
            start, size = int(code.pc[a]), int(code.pc[b - 1] - code.pc[a]) + 4
            symbols += struct.pack("<IBBHQQ", len(strings), 0x12, 0, section, start, size)
            strings += name.encode("utf-8", "surrogateescape") + b"\0"
    return symbols, strings


def _section(
    labels: bytes,
    label: bytes,
    kind: int,
    flags: int,
    address: int,
    at: int,
    size: int,
    link: int = 0,
    info: int = 0,
    entry: int = 0,
) -> bytes:
    """A section header (Elf64_Shdr); its name is `label`'s place in `labels`."""
    name = labels.index(b"\0" + label + b"\0") + 1
    return struct.pack("<IIQQQQIIQQ", name, kind, flags, address, at, size, link, info, 8, entry)


def _header(entry: int, sections_at: int, programs: int, sections: int) -> bytes:
    """The ELF header (Elf64_Ehdr) of an AArch64 program; the last section has the labels."""
    machine, sizes = (2, 183, 1), (64, 56, programs, 64, sections, sections - 1)
    return (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", *machine, entry, 64, sections_at, 0, *sizes)
    )


def _image(
    segments: Sequence[Segment], text: bytes, symbols: bytes, strings: bytes, build_id: bytes
) -> bytes:
    """ELF header, program headers, build id note, text, symbol and string tables, sections."""
    note = struct.pack("<III4s", 4, len(build_id), 3, b"GNU\0") + build_id
    note_at = 64 + 56 * (len(segments) + 1)
    text_at = segments[0].offset
    symbols_at = text_at + len(text)
    strings_at = symbols_at + len(symbols)
    labels = b"\0.note.gnu.build-id\0.text\0.symtab\0.strtab\0.shstrtab\0"
    labels_at = strings_at + len(strings)
    sections_at = -(-(labels_at + len(labels)) // 8) * 8
    count = len(segments) + 5
    program = b"".join(
        struct.pack("<IIQQQQQQ", 1, 5, s.offset, s.address, s.address, s.length, s.length, PAGE)
        for s in segments
    ) + struct.pack("<IIQQQQQQ", 4, 4, note_at, 0, 0, len(note), len(note), 4)

    section = partial(_section, labels)
    last = count - 3
    sections = (
        bytes(64)
        + section(b".note.gnu.build-id", 7, 2, 0, note_at, len(note))
        + b"".join(section(b".text", 1, 6, s.address, s.offset, s.length) for s in segments)
        + section(b".symtab", 2, 0, 0, symbols_at, len(symbols), last + 1, 1, _SYMBOL_BYTES)
        + section(b".strtab", 3, 0, 0, strings_at, len(strings))
        + section(b".shstrtab", 3, 0, 0, labels_at, len(labels))
    )
    header = _header(segments[0].address, sections_at, len(segments) + 1, count)
    body = (header + program + note).ljust(text_at, b"\0") + text + symbols + strings + labels
    return body.ljust(sections_at, b"\0") + sections
