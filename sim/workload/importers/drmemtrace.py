"""DynamoRIO drmemtrace offline traces of AArch64 programs.

A trace is a folder with one file per thread, or one such file, packed as zip (members
`chunk.NNNN`), gzip, zstd or not at all. Records are 12 bytes, little endian: u16 type, u16 size,
u64 value. Versions 4 to 7 are read, with embedded encodings. An encoding stands before the first
use of a pc in each chunk, or where it changed, and holds for that pc from there on.

Tracing in windows (-retrace_every_instrs) gives either one file in which a window marker follows
the footer of the window before, or a folder `window.NNNN` for each. Both become one stream a
thread, with a discontinuity between two windows. In folders a thread is known by its name up to
the thread id, `drmemtrace.APP.TID`.

Fidelity note. The first data record of an instruction gives its address; prefetches give none.
Signals, returns from them, aborted rseq regions and new trace windows are discontinuities. Kernel
code that a trace may hold (system calls, context switches) is left out and counted: streams stand
for EL0. Time stamps and CPU numbers are not used. Refused, because ops or addresses would be
missing: filtered and instruction-only traces; core-sharded, whole-system and REGDEPS traces.
Source of types, markers and file types: DynamoRIO clients/drcachesim/common/trace_entry.h.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit, njit_inner
from sim.workload import a64
from sim.workload.importers.blocks import MAX_STATIC_OPS, Ops, TraceError, TruncatedError
from sim.workload.importers.containers import pieces, reading
from sim.workload.importers.sense import Advice
from sim.workload.importers.threads import Threads

RECORD: Final = 12
_PIECE: Final = RECORD << 16
_AGAIN: Final = "copy it again, or record it anew"

# Record types.
_DATA_TYPES: Final = 2  # read and write, below this
_INSTR, _RETURN, _SYSENTER, _TAKEN, _UNTAKEN = 10, 16, 31, 48, 49
_BUNDLE, _NO_FETCH, _MAYBE_FETCH = 17, 29, 30
_THREAD, _HEADER, _FOOTER, _MARKER, _ENCODING = 22, 25, 26, 28, 47
# Kinds of marker.
_KERNEL_EVENT, _KERNEL_XFER, _RSEQ_ABORT, _HARDWARE_EVENT, _HARDWARE_RETURN = 0, 1, 13, 43, 44
_FILETYPE, _VERSION, _WINDOW = 9, 12, 14
_SYSCALL_BEGIN, _SYSCALL_END, _SWITCH_BEGIN, _SWITCH_END = 27, 28, 34, 35
# Bits of the file type.
_AARCH64, _ENCODINGS = 0x8, 0x200
_ARCHITECTURES: Final = ((0x10, "32-bit Arm"), (0x20, "x86"), (0x40, "x86-64"))
_REFUSED: Final = (
    (0x20000, "a synthetic instruction set (REGDEPS)", "import the trace it was made from"),
    (0x2181, "filtered: ops or addresses are missing", "record without -L0_filter"),
    (0x4, "instructions without addresses", "record without -instr_only_trace"),
    (0x10000, "sharded by core, not by thread", "import the trace it was made from"),
    (0x40000, "of a whole system", "record one program with drrun -t drmemtrace -offline"),
)
_VERSIONS: Final = range(4, 8)

# Entries of the parser's state: the pending op, what is known so far, how the call ended.
_PC, _WORD, _ADDRESS, _APART, _JUMPED, _LIVE = range(6)
_NEXT_APART, _FRESH, _KERNEL, _TYPE_BITS, _FORMAT, _CHECKED, _TID, _WINDOW_ID = range(6, 14)
_ENDED, _KNOWN, _DROPPED, _READ, _CODE, _STATES = range(14, 20)
_UNKNOWN: Final = -1

_HEADERS, _BAD_TYPE, _BAD_BUNDLE, _BAD_ENCODING = 1, 2, 3, 4
_BAD_PC, _NO_WORD, _TWO_THREADS, _AFTER_END = 5, 6, 7, 8
_ERRORS: Final = {
    _BAD_TYPE: "a record of an unknown type; is this a drmemtrace thread file?",
    _BAD_BUNDLE: "instructions in a form of online or x86 traces; record with -offline",
    _BAD_ENCODING: "an encoding that is not one of 4 bytes; only AArch64 traces are read",
    _BAD_PC: "a pc that is not a multiple of 4; only AArch64 traces are read",
    _NO_WORD: "an instruction whose encoding is not known; record with embedded encodings",
    _TWO_THREADS: "ops of a second thread; give the folder with one file per thread",
    _AFTER_END: "records after the footer; copy the file again",
}
_NOT_ONE: Final = "not a drmemtrace thread file; give *.trace.zip or the folder that holds it"


@njit_inner
def _slot_of(keys, pc):  # type: ignore[no-untyped-def]
    """Where `pc` is in a table of pc + 1, or where it belongs (0 is empty)."""
    mask = np.uint64(keys.size - 1)
    at = ((pc >> np.uint64(2)) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20) & mask
    while keys[at] != np.uint64(0) and keys[at] != pc + np.uint64(1):
        at = (at + np.uint64(1)) & mask
    return at


@njit
def _move(old_keys, old_words, keys, words):  # type: ignore[no-untyped-def]
    """Fill an empty, larger table."""
    for i in range(old_keys.size):
        if old_keys[i]:
            at = _slot_of(keys, old_keys[i] - np.uint64(1))
            keys[at] = old_keys[i]
            words[at] = old_words[i]


@njit_inner
def _encoding(state, value, size):  # type: ignore[no-untyped-def]
    """The word of the next instruction."""
    if not state[_CHECKED]:
        state[_CODE] = _HEADERS
        return
    if size != 4 or value >> np.uint64(32) or state[_FRESH] >= 0:
        state[_CODE] = _BAD_ENCODING
    state[_FRESH] = np.int64(value)


@njit_inner
def _marker(state, value, size):  # type: ignore[no-untyped-def]
    """A marker: which one is in its size."""
    if size in (_KERNEL_EVENT, _KERNEL_XFER, _RSEQ_ABORT, _HARDWARE_EVENT, _HARDWARE_RETURN):
        state[_NEXT_APART] = 1
    elif size == _WINDOW:
        if state[_WINDOW_ID] != _UNKNOWN and state[_WINDOW_ID] != np.int64(value):
            state[_NEXT_APART] = 1
        state[_WINDOW_ID] = np.int64(value)
    elif size == _FILETYPE:
        state[_CHECKED] = state[_CHECKED] and state[_TYPE_BITS] == np.int64(value)
        state[_TYPE_BITS] = np.int64(value)
    elif size == _VERSION:
        state[_CHECKED] = state[_CHECKED] and state[_FORMAT] == np.int64(value)
        state[_FORMAT] = np.int64(value)
    elif size in (_SYSCALL_BEGIN, _SWITCH_BEGIN):
        state[_KERNEL] = 1
    elif size in (_SYSCALL_END, _SWITCH_END):
        state[_KERNEL] = 0


@njit_inner
def _rare(state, kind, value, size):  # type: ignore[no-untyped-def]
    """A record that is neither an access nor an instruction."""
    if kind == _ENCODING:
        _encoding(state, value, size)
    elif kind == _MARKER:
        _marker(state, value, size)
    elif kind == _THREAD:
        if state[_TID] != _UNKNOWN and state[_TID] != np.int64(value):
            state[_CODE] = _TWO_THREADS
        state[_TID] = np.int64(value)
    elif kind == _HEADER:
        if state[_FORMAT] == _UNKNOWN:  # a marker says it, too, from version 3 on
            state[_FORMAT] = np.int64(value)
    elif kind == _FOOTER:
        state[_ENDED] = 1
    elif kind in (_BUNDLE, _NO_FETCH, _MAYBE_FETCH):
        state[_CODE] = _BAD_BUNDLE
    elif kind > _UNTAKEN:
        state[_CODE] = _BAD_TYPE


@njit
def _parse(records, state, keys, words, pc, word, address, apart):  # type: ignore[no-untyped-def]  # noqa: C901 - one loop: calls count references
    """Read records [n, 3] of u32; returns the number of ops completed.

    An op is complete when the next instruction begins, since its data records follow it. Stops
    before the first encoding or instruction for the caller to judge the headers, and at an error.
    """
    count = 0
    state[_CODE] = 0
    for i in range(records.shape[0]):
        state[_READ] = i
        kind = records[i, 0] & 0xFFFF
        size = records[i, 0] >> 16
        value = np.uint64(records[i, 1]) | (np.uint64(records[i, 2]) << np.uint64(32))
        if state[_ENDED] and kind == _MARKER and size == _WINDOW:
            state[_ENDED] = state[_WINDOW_ID] == np.int64(value)
            state[_NEXT_APART] = 1
        if state[_ENDED] and kind != _FOOTER:
            state[_CODE] = _AFTER_END
        elif kind < _DATA_TYPES:
            if state[_LIVE] and not state[_ADDRESS]:
                state[_ADDRESS] = np.int64(value)
        elif _INSTR <= kind <= _RETURN or kind in (_TAKEN, _UNTAKEN, _SYSENTER):
            at = _slot_of(keys, value)
            if not state[_CHECKED]:
                state[_CODE] = _HEADERS
            elif value & np.uint64(3):
                state[_CODE] = _BAD_PC
            elif state[_FRESH] < 0 and not keys[at]:
                state[_CODE] = _NO_WORD
            if state[_CODE]:
                return count
            if state[_FRESH] >= 0:
                if not keys[at]:
                    keys[at] = value + np.uint64(1)
                    state[_KNOWN] += 1
                words[at] = np.uint32(state[_FRESH])
                state[_FRESH] = _UNKNOWN
            if state[_LIVE]:
                pc[count] = np.uint64(state[_PC])
                word[count] = np.uint32(state[_WORD])
                address[count] = np.uint64(state[_ADDRESS])
                apart[count] = state[_APART] != 0
                count += 1
            state[_LIVE] = not state[_KERNEL]
            state[_DROPPED] += state[_KERNEL]
            if state[_LIVE]:
                state[_PC] = np.int64(value)
                state[_WORD] = words[at]
                state[_ADDRESS] = 0
                state[_APART] = state[_NEXT_APART]
                state[_NEXT_APART] = 0
                state[_JUMPED] = kind == _TAKEN
        else:
            _rare(state, kind, value, size)
        if state[_CODE]:
            return count
    state[_READ] = records.shape[0]
    return count


def _new_state() -> NDArray[np.int64]:
    state = np.zeros(_STATES, np.int64)
    state[[_FRESH, _TYPE_BITS, _FORMAT, _TID, _WINDOW_ID]] = _UNKNOWN
    return state


@dataclass(slots=True)
class _Parser:
    """One thread file: the pending op, and the encodings seen so far."""

    state: NDArray[np.int64] = field(default_factory=_new_state)
    keys: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(1 << 10, np.uint64))
    words: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(1 << 10, np.uint32))

    def parse(self, records: NDArray[np.uint32], place: str, offset: int) -> Iterator[Ops]:
        """The ops that these records complete; `offset` is that of the first."""
        while records.shape[0]:
            n = records.shape[0]
            self._reserve(n, place)
            ops = Ops(
                np.empty(n, np.uint64),
                np.empty(n, np.uint32),
                np.empty(n, np.uint64),
                np.empty(n, np.bool_),
            )
            count = _parse(
                records, self.state, self.keys, self.words, ops.pc, ops.word, ops.address, ops.apart
            )
            yield ops.part(0, count)
            read, code = int(self.state[_READ]), int(self.state[_CODE])
            offset += RECORD * read
            if code == _HEADERS:
                self._check_headers(f"{place}:byte {offset}")
            elif code:
                raise TraceError(f"{place}:byte {offset}: {_ERRORS[code]}")
            records = records[read:]

    def pending(self) -> tuple[Ops, int | None]:
        """The last op, now complete, and the pc after it if the trace says that it jumped."""
        state = self.state[:_NEXT_APART]
        live = slice(0, int(state[_LIVE]))
        ops = Ops(
            state[[_PC]][live].view(np.uint64),
            state[[_WORD]][live].astype(np.uint32),
            state[[_ADDRESS]][live].view(np.uint64),
            state[[_APART]][live].astype(np.bool_),
        )
        jumped = bool(state[_LIVE] and state[_JUMPED])
        return ops, int(a64.branch_targets(ops.pc, ops.word)[0]) if jumped else None

    def _reserve(self, count: int, place: str) -> None:
        known = int(self.state[_KNOWN])
        if known > MAX_STATIC_OPS:
            raise TraceError(f"{place}: more than {MAX_STATIC_OPS:,} distinct pcs; give --limit")
        if 2 * (known + count) > self.keys.size:
            size = 1 << (4 * (known + count)).bit_length()
            keys, words = np.zeros(size, np.uint64), np.zeros(size, np.uint32)
            _move(self.keys, self.words, keys, words)
            self.keys, self.words = keys, words

    def _check_headers(self, where: str) -> None:
        """Version and file type must have come before the first instruction."""
        version, bits = int(self.state[_FORMAT]), int(self.state[_TYPE_BITS])
        if version != _UNKNOWN and version not in _VERSIONS:
            raise TraceError(
                f"{where}: drmemtrace, trace version {version}, versions {_VERSIONS[0]} to "
                f"{_VERSIONS[-1]} are read; record with DynamoRIO 10 or 11"
            )
        if _UNKNOWN in (version, bits):
            raise TraceError(f"{where}: no version and file type before the first op; {_NOT_ONE}")
        for bit, name in _ARCHITECTURES:
            if bits & bit:
                raise TraceError(f"{where}: recorded on {name}; only AArch64 traces are read")
        for bit, name, fix in _REFUSED:
            if bits & bit:
                raise TraceError(f"{where}: the trace is {name}; {fix}")
        if not bits & _AARCH64:
            raise TraceError(f"{where}: not said to be of AArch64; only such traces are read")
        if not bits & _ENCODINGS:
            raise TraceError(
                f"{where}: no instruction encodings; record with DynamoRIO 10 or later"
            )
        self.state[_CHECKED] = 1


_ADVICE: Final[Advice] = {
    "bare": "record data accesses, too: without -instr_only_trace and filters",
    "far": "ops are missing: record and post-process it whole, without filters",
    "stray": "ops are missing: record and post-process it whole, without filters",
}


def read(path: Path, threads: Threads) -> None:
    """Read a trace folder, or one thread's file. TraceError says what is wrong and where."""
    with reading(path):
        groups = windowed_files(path) if path.is_dir() else [[path]]
        total = sum(file.stat().st_size for files in groups for file in files)
        sizes = [[file.stat().st_size for file in files] for files in groups]
    before = dropped = 0
    for files, of_files in zip(groups, sizes, strict=True):
        after = None
        for number, (file, size) in enumerate(zip(files, of_files, strict=True)):
            parser = _Parser()
            parser.state[_NEXT_APART] = number > 0
            after = _read_file(file, files[0], threads, parser, (before, total))
            before += size
            dropped += int(parser.state[_DROPPED])
            if threads.done:
                break
        threads.close(files[0], after)
    if dropped:
        threads.remarks.append(f"{dropped:,} ops of the kernel were left out")
    if (windows := max(len(files) for files in groups)) > 1:
        threads.remarks.append(f"{windows:,} trace windows were joined")
    threads.judge(str(path), _ADVICE)


def _read_file(
    path: Path, key: Path, threads: Threads, parser: _Parser, done_of: tuple[int, int]
) -> int | None:
    """Read a file of thread `key`, with so many bytes done of all; returns the pc that the trace
    says followed its last op.
    """
    before, total = done_of

    def tell(done: int, _: int) -> None:
        threads.tell(before + done, total)

    place, end = str(path), 0
    after = None
    with threads.truncation():
        for piece in pieces(path, _PIECE, tell, members="chunk"):
            place, end = piece.place, piece.offset + len(piece.data)
            whole = len(piece.data) // RECORD
            records = np.frombuffer(piece.data, "<u4", 3 * whole).reshape(-1, 3)
            if parser.state[_READ] == 0 and whole and records[0, 0] & 0xFFFF != _HEADER:
                raise TraceError(f"{place}:byte 0: no header record; {_NOT_ONE}")
            for ops in parser.parse(records, place, piece.offset):
                threads.add(key, ops, f"{place}:byte {piece.offset}")
            if threads.done:
                break
            if piece.last and len(piece.data) % RECORD:
                raise TruncatedError(f"{place}:byte {end}: cut short within a record; {_AGAIN}")
        else:
            if not parser.state[_ENDED]:
                raise TruncatedError(f"{place}:byte {end}: cut short: no footer; {_AGAIN}")
            ops, after = parser.pending()
            threads.add(key, ops, f"{place}:byte {end}")
    return after


def windowed_files(folder: Path) -> list[list[Path]]:
    """For each thread of a trace folder the files of its windows, in order; threads in numerical
    order of their names.
    """
    inner = _inner(folder)
    windows = [path for path in inner.iterdir() if re.fullmatch(r"window\.\d+", path.name)]
    if not windows:
        return [[file] for file in thread_files(folder)]
    found: dict[str, list[Path]] = {}
    for window in sorted(windows, key=_numerically):
        files = thread_files(window)
        named = Counter(_thread_of(file) for file in files)
        for file in files:
            thread = _thread_of(file)
            found.setdefault(thread if named[thread] == 1 else file.name, []).append(file)
    return sorted(found.values(), key=lambda files: _numerically(files[0]))


def _thread_of(path: Path) -> str:
    """What the files of a thread are called in every window: the last number makes one unique."""
    name = re.match(r"(.+\.\d+)\.\d+\.trace", path.name)
    return name[1] if name else path.name


def _inner(folder: Path) -> Path:
    inner = folder / "trace"
    return inner if inner.is_dir() else folder


def thread_files(folder: Path) -> list[Path]:
    """The thread files of a trace folder, in numerical order of their names."""
    found = [path for path in _inner(folder).iterdir() if _is_thread(path)]
    if not found and (folder / "raw").is_dir():
        raise TraceError(
            f"{folder}: holds only raw/, which is not read; post-process it first: "
            "drrun -t drmemtrace -indir FOLDER"
        )
    if not found:
        raise TraceError(f"{folder}: no *.trace, *.trace.zip, .gz or .zst in it; {_NOT_ONE}")
    return sorted(found, key=_numerically)


def _is_thread(path: Path) -> bool:
    return re.search(r"\.trace(\.[a-z0-9]+)?$", path.name) is not None and path.is_file()


def _numerically(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
