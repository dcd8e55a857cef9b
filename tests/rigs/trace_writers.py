"""Writers of the formats that are imported, and an ELF file with symbols.

Each encodes executed ops as the tool that makes the format does: a second access for pairs, an
encoding only where one is due, failed conditions, lines that the importer must pass over.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.workload.a64 import Flag, OpClass, classify
from sim.workload.importers.blocks import Program
from sim.workload.importers.threads import Imported, Reader, import_trace
from sim.workload.spestream import Recording, Symbol

AARCH64_WITH_ENCODINGS = 0xE08
DR = np.dtype([("type", "<u2"), ("size", "<u2"), ("value", "<u8")])


@dataclass(frozen=True)
class Executed:
    """Ops in order of execution; all arrays are [n]. `apart`: does not follow from the op before.
    `taken`: a branch that jumped.
    """

    pc: NDArray[np.uint64]
    word: NDArray[np.uint32]
    address: NDArray[np.uint64]
    apart: NDArray[np.bool_]
    taken: NDArray[np.bool_]

    def first(self, count: int) -> Executed:
        """The first `count` ops, the last of them with what it did."""
        return Executed(*(getattr(self, name)[:count] for name in self.__dataclass_fields__))

    def rows(self) -> Iterator[tuple[int, int, int, bool, bool]]:
        """(pc, word, address, apart, taken) of each op."""
        columns = (self.pc, self.word, self.address, self.apart, self.taken)
        return zip(*(column.tolist() for column in columns), strict=True)


def executed(stream: Recording, blocks: int | None = None) -> Executed:
    """The ops of a recording, or of its first `blocks` executions."""
    ids = stream.ids[:blocks]
    length = stream.block_len[ids].astype(np.int64)
    end = np.cumsum(length)
    begin = end - length
    op = np.arange(end[-1]) - np.repeat(begin, length)
    op += np.repeat(stream.block_first[ids], length)
    slot = (stream.flags[op] & Flag.SLOT.value) != 0
    address = np.zeros(op.size, np.uint64)
    address[slot] = stream.addresses[: np.count_nonzero(slot)]
    apart = np.zeros(op.size, np.bool_)
    apart[begin[stream.discontinuities[stream.discontinuities < ids.size]]] = True
    last = stream.taken_last if ids.size == stream.ids.size else _follower(stream, ids.size)
    return ops_of(stream.pc[op], stream.word[op], address, apart, last)


def _follower(stream: Recording, blocks: int) -> bool:
    """Whether the execution after the first `blocks` does not lie right behind them in memory."""
    before, after = stream.ids[blocks - 1], stream.ids[blocks]
    end = stream.pc[stream.last_op[before]] + np.uint64(4)
    return bool(stream.pc[stream.block_first[after]] != end)


def ops_of(
    pc: NDArray[np.uint64],
    word: NDArray[np.uint32],
    address: NDArray[np.uint64],
    apart: NDArray[np.bool_],
    taken_last: bool,
) -> Executed:
    """Ops whose branches jumped if the next pc says so; across a break a conditional did not."""
    static = classify(word)
    branch = static.op_class == OpClass.BRANCH
    conditional = (static.flags & Flag.CONDITIONAL.value) != 0
    jumped = np.append((pc[1:] != pc[:-1] + np.uint64(4)) & ~apart[1:], taken_last)
    return Executed(pc, word, address, apart, branch & (jumped | ~conditional))


def imported(read: Reader, out: Path, name: str = "p", **options: Any) -> Imported:
    """Import without a program's symbols."""
    return import_trace(read, out, Program(name), **options)


# ------------------------------------------------------------------------------- drmemtrace


def drmemtrace_chunks(
    ops: Executed,
    *,
    version: int = 5,
    kind: int = AARCH64_WITH_ENCODINGS,
    tid: int = 7,
    chunk_ops: int = 1 << 30,
) -> list[bytes]:
    """The chunks of one thread's file."""
    static = classify(ops.word)
    size = max(ops.pc.size, 1)
    bounds = list(range(0, size, chunk_ops))
    chunks = [_chunk(ops, static.flags, begin, begin + chunk_ops) for begin in bounds]
    head = _records([(25, 0, version), (28, 12, version), (28, 9, kind), (22, 4, tid), (24, 4, 7)])
    chunks[0] = head + _records([(28, 10, 64), (28, 2, 1), (28, 3, 0)]) + chunks[0]
    for number in range(len(chunks) - 1):
        chunks[number] += _records([(28, 21, number)])  # chunk footer
    chunks[-1] += _records([(23, 4, tid), (26, 0, 0)])
    return chunks


def _records(rows: list[tuple[int, int, int]]) -> bytes:
    return np.array(rows, DR).tobytes()


def _chunk(ops: Executed, all_flags: NDArray[np.uint8], begin: int, end: int) -> bytes:
    part = slice(begin, end)
    pc, word, address, apart = ops.pc[part], ops.word[part], ops.address[part], ops.apart[part]
    flags = all_flags[part]
    indirect = (flags & Flag.INDIRECT.value) != 0
    pair = (flags & Flag.PAIR.value) != 0
    encode = _needs_encoding(pc, word)
    access = (flags & Flag.SLOT.value) != 0
    wide = access & pair & (address != 0)
    access &= address != 0
    count = 1 + apart + encode + indirect + access.astype(np.int64) + wide
    last = np.cumsum(count)
    at = last - count
    out = np.zeros(int(last[-1]) if last.size else 0, DR)

    def put(where: NDArray[np.bool_], kind: Any, size: int, value: NDArray[np.uint64]) -> None:
        nonlocal at
        out["type"][at[where]] = np.broadcast_to(kind, where.shape)[where]
        out["size"][at[where]] = size
        out["value"][at[where]] = value[where]
        at = at + where

    put(apart, 28, 0, pc)  # kernel event
    put(encode, 47, 4, word.astype(np.uint64))
    put(indirect, 28, 29, np.append(pc[1:], np.uint64(0)))  # branch target
    put(np.ones(pc.size, np.bool_), _types(flags, word, ops.taken[part]), 4, pc)
    store = classify(word).op_class == OpClass.STORE
    put(access, store.astype(np.int64), 8, address)
    put(wide, store.astype(np.int64), 8, address + np.uint64(8))
    return out.tobytes()


def _needs_encoding(pc: NDArray[np.uint64], word: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """First use of a pc in a chunk, or another word than at its last use."""
    order = np.argsort(pc, kind="stable")
    need = np.ones(pc.size, np.bool_)
    same = (np.diff(pc[order]) == 0) & (np.diff(word[order].astype(np.int64)) == 0)
    need[order[1:][same]] = False
    return need


def _types(
    flags: NDArray[np.uint8], word: NDArray[np.uint32], taken: NDArray[np.bool_]
) -> NDArray[np.int64]:
    def has(flag: Flag) -> NDArray[np.bool_]:
        return np.asarray((flags & flag.value) != 0)

    branch = classify(word).op_class == OpClass.BRANCH
    kind = np.where(branch, 11, 10)
    kind[branch & has(Flag.CALL)] = 14
    kind[has(Flag.INDIRECT)] = 12
    kind[has(Flag.INDIRECT) & has(Flag.CALL)] = 15
    kind[has(Flag.RETURN)] = 16
    kind[has(Flag.CONDITIONAL)] = np.where(taken, 48, 49)[has(Flag.CONDITIONAL)]
    return kind


def zipped(chunks: list[bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Chunks as members, in an order that is not the numerical one."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for number in sorted(range(len(chunks)), key=lambda n: str(n)[::-1]):
            archive.writestr(f"chunk.{number:04}", chunks[number])
    return data.getvalue()


# ------------------------------------------------------------------------------- text

Row = tuple[int, int, int, bool, bool]


def _numbered(ops: Executed) -> Iterator[tuple[int, tuple[Row, bool, bool, bool]]]:
    """Of each op its number, its row, and whether it stores, is of a pair, and is conditional."""
    static = classify(ops.word)
    store = (static.op_class == OpClass.STORE).tolist()
    pair, conditional = (
        ((static.flags & flag.value) != 0).tolist() for flag in (Flag.PAIR, Flag.CONDITIONAL)
    )
    return enumerate(zip(ops.rows(), store, pair, conditional, strict=True))


@cache
def _line_of_bytes(begin: int, end: int) -> str:
    """Sixteen bytes in four words, the highest first, of which those from `begin` are written."""
    shown = ".." * (16 - end) + "a5" * (end - begin) + ".." * begin
    return " ".join(shown[at : at + 8] for at in range(0, 32, 8))


def fastmodel(ops: Executed, cpu: str = "", mode: str = "EL0t_n") -> Iterator[str]:
    """Tarmac lines as Fast Models write them; a list of lines for each op."""
    name = f"{cpu} " if cpu else ""
    for n, ((pc, word, address, apart, taken), store, pair, conditional) in _numbered(ops):
        kind = "IS" if conditional and not taken else "IT"
        text = f"{n} clk {name}E {pc:016x} 00000080 CoreEvent_IRQ\n" if apart else ""
        text += f"{n} clk {name}{kind} ({n}) {pc:08x} {word:08x} O {mode} : .inst 0x{word:08x}\n"
        if address:
            letter = "W" if store else "R"
            text += f"{n} clk {name}M{letter}8 {address:08x}:{address:012x} 00000000_00000001\n"
            if pair:
                text += f"{n} clk {name}M{letter}8 {address + 8:08x}:{address + 8:012x} 00000000\n"
        yield text + f"{n} clk {name}R X0 0000000000000001\n"


def gem5(ops: Executed, cpu: str = "cpu0") -> Iterator[str]:
    """Tarmac lines as gem5 writes them: IT for every op."""
    for n, ((pc, word, address, _, _), store, _, _) in _numbered(ops):
        text = f"{250 * n} clk {cpu} IT ({n + 1}) {pc:08x} {word:08x} O EL0t_n :   INST\n"
        if address:
            letter = "W" if store else "R"
            text += f"{250 * n} clk {cpu} M{letter}8 {address:08x}:{address:012x} {1:016x}\n"
        yield text


def es(ops: Executed) -> Iterator[str]:
    """Tarmac lines of the ES dialect: accesses of 8 bytes, 16 for pairs, in lines of 16 bytes."""
    yield "Tarmac Text Rev 3t\n"
    for n, ((pc, word, address, apart, _), store, pair, _) in _numbered(ops):
        text = f"{n:11} tic ES  EXC IRQ\n" if apart else ""
        text += f"{n:11} tic ES  ({pc:016x}:{word:08x}) O el0t_ns:         INST\n"
        if address:
            kind, size = "ST" if store else "LD", 16 if pair else 8
            for line in reversed(range(address & ~15, address + size, 16)):
                words = _line_of_bytes(max(address - line, 0), min(address + size - line, 16))
                text += f"{'':20}{kind} {line:016x} {words}    S:{line:010x}    NM ISH\n"
        yield text + f"{'':20}R X0 0000000000000001\n"


def execlog(ops: Executed, vcpu: int = 0) -> Iterator[str]:
    """Lines of QEMU's execlog plugin."""
    for _, ((pc, word, address, _, _), store, pair, _) in _numbered(ops):
        text = f'{vcpu}, 0x{pc:x}, 0x{word:x}, "inst x0, #1, lsl #2"'
        if address:
            kind = "store" if store else "load"
            text += f", {kind}, 0x{address:08x}"
            if pair:
                text += f", {kind}, 0x{address + 8:08x}"
        yield text + "\n"


# ------------------------------------------------------------------------------- ELF


def elf_file(
    symbols: tuple[Symbol, ...], build_id: str, *, shared: bool = False, memory: int = 0
) -> bytes:
    """An AArch64 ELF file with these functions and build id. A `shared` one is linked at 0.

    `memory` [bytes] is how far its segment reaches, if beyond the file.
    """
    names, entries = b"\0", [bytes(24)]
    for symbol in symbols:
        entries.append(struct.pack("<IBBHQQ", len(names), 0x12, 0, 1, symbol.start, symbol.size))
        names += symbol.name.encode() + b"\0"
    note = struct.pack("<III4s", 4, len(build_id) // 2, 3, b"GNU\0") + bytes.fromhex(build_id)
    titles = b"\0.symtab\0.strtab\0.note.gnu.build-id\0.shstrtab\0"
    bodies = [b"", b"".join(entries), names, note, titles]
    at, places = 64 + 56, []
    for body in bodies:
        places.append(at)
        at += -(-len(body) // 8) * 8
    kinds = [0, 2, 3, 7, 3]
    links, sizes = [0, 2, 0, 0, 0], [0, 24, 0, 0, 0]
    titled = [0, *(titles.index(name) for name in (b".symtab", b".strtab", b".note", b".shstr"))]
    sections = b"".join(
        struct.pack(
            "<IIQQQQIIQQ",
            titled[i],
            kinds[i],
            0,
            0,
            places[i],
            len(bodies[i]),
            links[i],
            1 if kinds[i] == 2 else 0,
            8 if kinds[i] != 7 else 4,
            sizes[i],
        )
        for i in range(5)
    )
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 3 if shared else 2, 183, 1, 0, 64, at, 0, 64, 56, 1, 64, 5, 4
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, at, max(at, memory), 0x1000)
    padded = b"".join(body + bytes(-len(body) % 8) for body in bodies)
    return header + segment + padded + sections
