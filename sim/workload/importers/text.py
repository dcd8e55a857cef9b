"""What the text formats share: lines in bounded memory, and the parser's state.

A line parser is compiled; it gets a buffer of whole lines and a `State`, and writes the ops that
the lines complete. An op is complete when the next instruction of its CPU begins, since its
accesses are on lines of their own or follow on its line. Every CPU in a trace is one thread.

Lines of no known form are passed over and counted, and the first is shown. One that holds an
instruction all the same (a program's output without a newline before it, lines of two threads
run into each other) is an error: its op would be missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit_inline, njit_inner
from sim.workload.importers.blocks import Ops, TraceError, TruncatedError
from sim.workload.importers.containers import pieces
from sim.workload.importers.sense import Advice
from sim.workload.importers.threads import Threads

MAX_CPUS: Final = 64
_PIECE: Final = 1 << 22
_LEAST_LINE: Final = 16  # bytes of the shortest line that holds an instruction

# Entries of State.info.
CPUS, LINES, CURRENT, ANYWAY, PASSED, HELD, FIRST, FIRST_LINE, CONTINUES, UNFETCHED = range(10)
ENTRIES: Final = 10
PC, WORD, ADDRESS, APART, CPU = range(5)  # of an op
COLUMNS: Final = 5
LIVE, NEXT_APART, FIELDS = CPU, 5, 6  # of State.pending, which begins as an op does
WANTED, KEPT, DROPPED = range(3)  # of State.levels
LEVELS: Final = 5
"""Exception levels 0 to 3, and unknown."""
OK, MALFORMED, AARCH32, BAD_PC, TOO_MANY_CPUS, HIDDEN = range(6)
_SHOWN: Final = 80  # characters of a line in a message
_NEWLINE: Final = np.uint8(10)
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class State:
    """What a parser knows between calls.

    `info` [ENTRIES]: CPUs so far, whole lines of this buffer, CPU of the latest instruction,
    whether to go on at lines that hold an instruction, lines passed over, those of them with an
    instruction, where the first of them begins in its buffer and its line there, 1 + the column
    that continues an access (0: none), instructions that could not be fetched. `names` [MAX_CPUS]:
    hashes of the CPUs' names. `pending` [MAX_CPUS, FIELDS]: the op of each that is not complete
    yet (if LIVE), and whether the next does not follow from it. `levels` [LEVELS, 3]: whether ops
    of an exception level are wanted, how many were kept and left out. `first`: the first line that
    was passed over, in words.
    """

    info: NDArray[np.int64]
    names: NDArray[np.uint64]
    pending: NDArray[np.uint64]
    levels: NDArray[np.int64]
    first: list[str] = field(default_factory=list)


LineParser = Callable[..., tuple[int, int]]
"""(buffer [n] u8, end, info, names, pending, levels, out [m, COLUMNS] u64) -> (ops completed, OK or
what is wrong with the line that it is at). Arrays are passed one by one: compiled code counts a
reference at every look into a structure.
"""


def _digits() -> NDArray[np.int64]:
    """The value of each byte as a hexadecimal digit, -1 if it is none."""
    values = np.full(256, -1, np.int64)
    for value, digits in enumerate(zip(b"0123456789abcdef", b"0123456789ABCDEF", strict=True)):
        values[list(digits)] = value
    return values


_DIGITS: Final = _digits()


@njit_inline
def hexadecimal(buffer, at, end):  # type: ignore[no-untyped-def]
    """(value, where it ends) of the hexadecimal number at `at`; too long a number ends nowhere."""
    value = np.uint64(0)
    begin = at
    while at < end:
        digit = _DIGITS[buffer[at]]
        if digit < 0:
            break
        value = (value << np.uint64(4)) | np.uint64(digit)
        at += 1
    if at - begin > 16:
        return value, begin
    return value, at


@njit_inner
def find(buffer, byte, at, end):  # type: ignore[no-untyped-def]
    """Where `byte` is first from `at` on, or `end`.

    Nothing else stands in this loop: so it is compiled to look at many bytes at once.
    """
    while at < end and buffer[at] != byte:
        at += 1
    return at


@njit_inline
def line_end(buffer, at, end):  # type: ignore[no-untyped-def]
    """Where the line that `at` is in ends: its newline."""
    return find(buffer, _NEWLINE, at, end)


@njit_inner
def begin_op(info, pending, levels, out, count, cpu, pc, word, level):  # type: ignore[no-untyped-def]
    """Complete the pending op of `cpu` and begin the next; returns the new number of ops."""
    if pending[cpu, LIVE]:
        for column in range(CPU):
            out[count, column] = pending[cpu, column]
        out[count, CPU] = cpu
        count += 1
    info[CURRENT] = cpu
    if levels[level, WANTED]:
        levels[level, KEPT] += 1
        before = pending[cpu, PC]
        if not pending[cpu, LIVE] and before and pc != before + np.uint64(4):
            pending[cpu, NEXT_APART] = 1  # ops between were left out
        pending[cpu, PC] = pc
        pending[cpu, WORD] = word
        pending[cpu, ADDRESS] = 0
        pending[cpu, APART] = pending[cpu, NEXT_APART]
        pending[cpu, NEXT_APART] = 0
    else:
        levels[level, DROPPED] += 1
    pending[cpu, LIVE] = levels[level, WANTED]
    return count


@njit_inner
def pass_over(info, at, held):  # type: ignore[no-untyped-def]
    """Count the line at `at`, `held` if it holds an instruction; returns OK, or HIDDEN to stop."""
    if held:
        if not info[ANYWAY]:
            return HIDDEN
        info[HELD] += 1
    if not info[PASSED]:
        info[FIRST] = at
        info[FIRST_LINE] = info[LINES]
    info[PASSED] += 1
    return OK


@njit_inner
def known_cpu(info, names, name):  # type: ignore[no-untyped-def]
    """The number of the CPU of that name (a hash), -1 if it has executed nothing yet."""
    for cpu in range(info[CPUS]):
        if names[cpu] == name:
            return cpu
    return -1


@njit_inner
def cpu_of(info, names, name):  # type: ignore[no-untyped-def]
    """The number of the CPU of that name, a new one if need be; -1 if there are too many."""
    cpu = known_cpu(info, names, name)
    if cpu < 0 and info[CPUS] < MAX_CPUS:
        cpu = info[CPUS]
        info[CPUS] += 1
        names[cpu] = name
    return cpu


def new_state(wanted: frozenset[int] | None) -> State:
    """Nothing read yet; `wanted` are the exception levels to take, None for all."""
    levels = np.zeros((LEVELS, 3), np.int64)
    levels[:, WANTED] = [wanted is None or level in wanted for level in range(LEVELS)]
    return State(
        np.zeros(ENTRIES, np.int64),
        np.zeros(MAX_CPUS, np.uint64),
        np.zeros((MAX_CPUS, FIELDS), np.uint64),
        levels,
    )


@dataclass(frozen=True, slots=True)
class Form:
    """A format: its parser, what it is called, a line of it, what to do about findings."""

    parse: LineParser
    name: str
    example: str
    advice: Advice


def read_lines(path: Path, threads: Threads, form: Form, state: State) -> None:
    """Feed a text file, packed or not, through a format's parser.

    TraceError for a malformed line, a line that is longer than a piece, one that is passed over
    although it holds an instruction, no instruction at all, or a trace that makes no sense;
    TruncatedError if the last line has no end.
    """
    state.info[ANYWAY] = threads.anyway
    _read_all(path, threads, form, state)
    if state.info[PASSED]:
        threads.remarks.append(f"{state.info[PASSED]:,} lines were passed over, {state.first[0]}")
    if state.info[UNFETCHED]:
        threads.remarks.append(f"{state.info[UNFETCHED]:,} instructions could not be fetched")
    if state.info[HELD]:
        threads.doubts.append(f"{state.info[HELD]:,} lines that hold an instruction were left out")
    threads.judge(str(path), form.advice)


def _read_all(path: Path, threads: Threads, form: Form, state: State) -> None:
    """All lines, and the ops that the end completes."""
    line = 1
    with threads.truncation():
        tail = b""
        for piece in pieces(path, _PIECE, threads.tell):
            data = tail + piece.data
            if piece.offset == 0:
                data = _without_mark(path, data)
            end = data.rfind(b"\n") + 1
            if end == 0 and len(data) >= _PIECE:
                what = f"a line of {len(data)} bytes or more; not {form.name}"
                raise TraceError(f"{path}:{line}: {what}")
            tail = data[end:]
            line = _feed(path, line, data, end, threads, form, state)
            if threads.done:
                return
        if not state.info[CPUS]:
            hint = f"{form.name} reads e.g. {form.example!r}"
            raise TraceError(f"{path}: no instruction in it; {hint}")
        if tail:
            raise TruncatedError(
                f"{path}:{line}: the last line has no end; if it is whole, append a newline"
            )
        for cpu in np.flatnonzero(state.pending[:, LIVE]):
            threads.add(int(cpu), _ops(state.pending[cpu : cpu + 1]), f"{path}:{line}")


def _without_mark(path: Path, data: bytes) -> bytes:
    """The beginning of a text without its byte order mark; TraceError if it is not UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TraceError(f"{path}: text in UTF-16; convert it: iconv -f UTF-16 -t UTF-8")
    return data.removeprefix(_BOM)


def _feed(
    path: Path, line: int, data: bytes, end: int, threads: Threads, form: Form, state: State
) -> int:
    """Parse whole lines and hand on their ops; returns the number of the line that comes next."""
    out = np.empty((end // _LEAST_LINE + 1, COLUMNS), np.uint64)
    count, code = form.parse(
        np.frombuffer(data, np.uint8),
        end,
        state.info,
        state.names,
        state.pending,
        state.levels,
        out,
    )
    done = out[:count]
    cpus = int(state.info[CPUS])
    for cpu in range(cpus):
        threads.add(cpu, _ops(done if cpus == 1 else done[done[:, CPU] == cpu]), f"{path}:{line}")
    if state.info[PASSED] and not state.first:
        text = _shown(data, int(state.info[FIRST]))
        state.first.append(f"the first is line {line + int(state.info[FIRST_LINE])}: {text}")
    read = int(state.info[LINES])
    if code and not threads.done:
        place = f"{path}:{line + read}"
        raise TraceError(f"{place}: {_problem(code, form, _shown(data, _begin(data, read)))}")
    return line + read


def _begin(data: bytes, lines: int) -> int:
    """Where the line after the first `lines` begins."""
    at = 0
    for _ in range(lines):
        at = data.index(b"\n", at) + 1
    return at


def _shown(data: bytes, at: int) -> str:
    """The line at `at`, or its beginning, in quotes."""
    text = data[at : at + 4 * _SHOWN].partition(b"\n")[0].decode(errors="replace").rstrip("\r")
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _ops(rows: NDArray[np.uint64]) -> Ops:
    return Ops(
        rows[:, PC].copy(),
        rows[:, WORD].astype(np.uint32),
        rows[:, ADDRESS].copy(),
        rows[:, APART].astype(np.bool_),
    )


def _problem(code: int, form: Form, line: str) -> str:
    hint = f"this is read as {form.name}, e.g. {form.example!r}"
    return {
        MALFORMED: f"an instruction or access that cannot be read: {line}; {hint}",
        AARCH32: "an AArch32 instruction; only AArch64 traces are read",
        BAD_PC: "a pc that is not a multiple of 4, as in Thumb, x86 and compressed RISC-V code; "
        "only AArch64 traces are read",
        TOO_MANY_CPUS: f"more than {MAX_CPUS} CPUs; split the trace",
        HIDDEN: f"an instruction within a line of something else: {line}; {form.advice['hidden']}, "
        "or give --anyway to leave such lines out",
    }[code]


def remark_levels(state: State, threads: Threads) -> None:
    """Say which exception levels were left out, and which pass for EL0."""
    names = [f"EL{level}" for level in range(4)] + ["an unknown level"]
    for name, count in zip(names, state.levels[:, DROPPED].tolist(), strict=True):
        if count:
            threads.remarks.append(f"{count:,} ops of {name} were left out")
    above = [
        name for name, n in zip(names[1:4], state.levels[1:4, KEPT].tolist(), strict=True) if n
    ]
    if above:
        threads.remarks.append(
            f"ops of {', '.join(above)} are taken as if they were of EL0; --el 0 leaves them out"
        )
