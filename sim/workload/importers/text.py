"""What the text formats share: lines in bounded memory, and the parser's state.

A line parser is compiled; it gets a buffer of whole lines and a `State`, and writes the ops that
the lines complete. An op is complete when the next instruction of its CPU begins, since its
accesses are on lines of their own or follow on its line. Every CPU in a trace is one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit, njit_inline
from sim.workload.importers.blocks import Ops, TraceError, TruncatedError
from sim.workload.importers.containers import pieces
from sim.workload.importers.threads import Threads

MAX_CPUS: Final = 64
_PIECE: Final = 1 << 22
_LEAST_LINE: Final = 16  # bytes of the shortest line that holds an instruction

CPUS, LINES, CURRENT = range(3)  # of State.info
LEVELS: Final = 5
"""Exception levels 0 to 3, and unknown."""
OK, MALFORMED, AARCH32, BAD_PC, TOO_MANY_CPUS = range(5)


class State(NamedTuple):
    """The pending op of each CPU, and totals. `info`: CPUs, whole lines of this buffer, CPU of the
    latest instruction. `names` are hashes, `spans` where a CPU's name stands in the buffer in which
    it was first seen. `kept`, `dropped`: ops by exception level.
    """

    info: NDArray[np.int64]
    names: NDArray[np.uint64]
    spans: NDArray[np.int64]
    pc: NDArray[np.uint64]
    word: NDArray[np.uint32]
    address: NDArray[np.uint64]
    apart: NDArray[np.bool_]
    live: NDArray[np.bool_]
    next_apart: NDArray[np.bool_]
    levels: NDArray[np.bool_]
    kept: NDArray[np.int64]
    dropped: NDArray[np.int64]


class Out(NamedTuple):
    """Completed ops and the CPU of each."""

    pc: NDArray[np.uint64]
    word: NDArray[np.uint32]
    address: NDArray[np.uint64]
    apart: NDArray[np.bool_]
    cpu: NDArray[np.int32]


LineParser = Callable[[NDArray[np.uint8], int, State, Out], tuple[int, int]]
"""(buffer, end, state, out) -> (ops completed, OK or what is wrong with the line that it is at)."""


@njit_inline
def digit(byte):  # type: ignore[no-untyped-def]
    """Value of a hexadecimal digit, -1 for any other byte."""
    if 48 <= byte <= 57:
        return np.int64(byte) - 48
    if 97 <= byte <= 102:
        return np.int64(byte) - 87
    if 65 <= byte <= 70:
        return np.int64(byte) - 55
    return np.int64(-1)


@njit
def hexadecimal(buffer, at, end):  # type: ignore[no-untyped-def]
    """(value, where it ends) of the hexadecimal number at `at`; too long a number ends nowhere."""
    value = np.uint64(0)
    begin = at
    while at < end and digit(buffer[at]) >= 0:
        value = (value << np.uint64(4)) | np.uint64(digit(buffer[at]))
        at += 1
    if at - begin > 16:
        return value, begin
    return value, at


@njit
def line_end(buffer, at, end):  # type: ignore[no-untyped-def]
    """Where the line that `at` is in ends: its newline."""
    while at < end and buffer[at] != 10:
        at += 1
    return at


@njit
def begin_op(state, out, count, cpu, pc, word, level):  # type: ignore[no-untyped-def]
    """Complete the pending op of `cpu` and begin the next; returns the new number of ops."""
    if state.live[cpu]:
        out.pc[count] = state.pc[cpu]
        out.word[count] = state.word[cpu]
        out.address[count] = state.address[cpu]
        out.apart[count] = state.apart[cpu]
        out.cpu[count] = cpu
        count += 1
    state.info[CURRENT] = cpu
    state.live[cpu] = state.levels[level]
    if state.levels[level]:
        state.kept[level] += 1
        state.pc[cpu] = pc
        state.word[cpu] = word
        state.address[cpu] = np.uint64(0)
        state.apart[cpu] = state.next_apart[cpu]
        state.next_apart[cpu] = False
    else:
        state.dropped[level] += 1
    return count


@njit
def cpu_of(state, name, begin, end):  # type: ignore[no-untyped-def]
    """The number of the CPU of that name (a hash), a new one if need be; -1 if there are too many.
    Its name stands at `begin` to `end` of the buffer.
    """
    for cpu in range(state.info[CPUS]):
        if state.names[cpu] == name:
            return cpu
    cpu = state.info[CPUS]
    if cpu == MAX_CPUS:
        return -1
    state.info[CPUS] = cpu + 1
    state.names[cpu] = name
    state.spans[cpu, 0] = begin
    state.spans[cpu, 1] = end
    return cpu


@njit
def known_cpu(state, name):  # type: ignore[no-untyped-def]
    """The number of the CPU of that name, -1 if it has executed nothing yet."""
    for cpu in range(state.info[CPUS]):
        if state.names[cpu] == name:
            return cpu
    return -1


def new_state(levels: frozenset[int] | None) -> State:
    """Nothing read yet; `levels` are the exception levels to take, None for all."""
    wanted = np.array([levels is None or level in levels for level in range(LEVELS)])
    return State(
        info=np.zeros(3, np.int64),
        names=np.zeros(MAX_CPUS, np.uint64),
        spans=np.zeros((MAX_CPUS, 2), np.int64),
        pc=np.zeros(MAX_CPUS, np.uint64),
        word=np.zeros(MAX_CPUS, np.uint32),
        address=np.zeros(MAX_CPUS, np.uint64),
        apart=np.zeros(MAX_CPUS, np.bool_),
        live=np.zeros(MAX_CPUS, np.bool_),
        next_apart=np.zeros(MAX_CPUS, np.bool_),
        levels=wanted,
        kept=np.zeros(LEVELS, np.int64),
        dropped=np.zeros(LEVELS, np.int64),
    )


def read_lines(
    path: Path, threads: Threads, parse: LineParser, state: State, what: str, example: str
) -> None:
    """Feed a text file, packed or not, through `parse`. `what` is the format, `example` a line.

    TraceError for a malformed line, a line that is longer than a piece, or no instruction at all;
    TruncatedError if the last line has no end.
    """
    line = 1
    with threads.truncation():
        tail = b""
        for piece in pieces(path, _PIECE, threads.tell):
            data = tail + piece.data
            end = data.rfind(b"\n") + 1
            if end == 0 and len(data) >= _PIECE:
                raise TraceError(f"{path}:{line}: a line of {len(data)} bytes or more; not {what}")
            tail = data[end:]
            line = _feed(path, line, data, end, threads, parse, state, f"{what}, e.g. {example!r}")
            if threads.done:
                return
        if not state.info[CPUS]:
            raise TraceError(f"{path}: no instruction in it; {what} reads e.g. {example!r}")
        if tail:
            raise TruncatedError(
                f"{path}:{line}: the last line has no end; if it is whole, append a newline"
            )
        for cpu in np.flatnonzero(state.live):
            one = slice(cpu, cpu + 1)
            last = Ops(state.pc[one], state.word[one], state.address[one], state.apart[one])
            threads.add(int(cpu), last)


def _feed(
    path: Path, line: int, data: bytes, end: int, threads: Threads, parse: LineParser,
    state: State, hint: str,
) -> int:  # fmt: skip
    """Parse whole lines and hand on their ops; returns the number of the line that comes next."""
    room = end // _LEAST_LINE + 1
    out = Out(
        np.empty(room, np.uint64), np.empty(room, np.uint32), np.empty(room, np.uint64),
        np.empty(room, np.bool_), np.empty(room, np.int32),
    )  # fmt: skip
    count, code = parse(np.frombuffer(data, np.uint8), end, state, out)
    for cpu in range(int(state.info[CPUS])):
        mine: Any = slice(0, count) if state.info[CPUS] == 1 else out.cpu[:count] == cpu
        ops = Ops(out.pc[:count][mine], out.word[:count][mine], out.address[:count][mine],
                  out.apart[:count][mine])  # fmt: skip
        try:
            threads.add(cpu, ops)
        except TraceError as error:
            raise TraceError(f"{path}:{line}: at or after this line: {error}") from error
    line += int(state.info[LINES])
    if code and not threads.done:
        raise TraceError(f"{path}:{line}: {_problem(code, hint)}")
    return line


def _problem(code: int, hint: str) -> str:
    return {
        MALFORMED: f"an instruction or access that cannot be read; this is read as {hint}",
        AARCH32: "an AArch32 instruction; only AArch64 traces are read",
        BAD_PC: "a pc that is not a multiple of 4; only AArch64 traces are read",
        TOO_MANY_CPUS: f"more than {MAX_CPUS} CPUs; split the trace",
    }[code]


def remark_levels(state: State, threads: Threads) -> None:
    """Say which exception levels were left out, and which pass for EL0."""
    names = [f"EL{level}" for level in range(4)] + ["an unknown level"]
    for name, count in zip(names, state.dropped.tolist(), strict=True):
        if count:
            threads.remarks.append(f"{count:,} ops of {name} were left out")
    above = [name for name, n in zip(names[1:4], state.kept[1:4].tolist(), strict=True) if n]
    if above:
        threads.remarks.append(
            f"ops of {', '.join(above)} are taken as if they were of EL0; --el 0 leaves them out"
        )
