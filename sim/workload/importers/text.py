"""What the text formats share: lines in bounded memory, and the parser's state.

A line parser is compiled; it gets a buffer of whole lines and a `State`, and writes the ops that
the lines complete. An op is complete when the next instruction of its CPU begins, since its
accesses are on lines of their own or follow on its line. Every CPU in a trace is one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit
from sim.workload.importers.blocks import Ops, TraceError, TruncatedError
from sim.workload.importers.containers import pieces
from sim.workload.importers.threads import Threads

MAX_CPUS: Final = 64
_PIECE: Final = 1 << 22
_LEAST_LINE: Final = 16  # bytes of the shortest line that holds an instruction

CPUS, LINES, CURRENT = range(3)  # of State.info
PC, WORD, ADDRESS, APART, CPU = range(5)  # of an op
COLUMNS: Final = 5
LIVE, NEXT_APART, FIELDS = CPU, 5, 6  # of State.pending, which begins as an op does
WANTED, KEPT, DROPPED = range(3)  # of State.levels
LEVELS: Final = 5
"""Exception levels 0 to 3, and unknown."""
OK, MALFORMED, AARCH32, BAD_PC, TOO_MANY_CPUS = range(5)


@dataclass(frozen=True, slots=True)
class State:
    """What a parser knows between calls.

    `info` [3]: CPUs so far, whole lines of this buffer, CPU of the latest instruction. `names`
    [MAX_CPUS]: hashes of their names. `pending` [MAX_CPUS, FIELDS]: the op of each that is not
    complete yet (if LIVE), and whether the next does not follow from it. `levels` [LEVELS, 3]:
    whether ops of an exception level are wanted, how many were kept and left out.
    """

    info: NDArray[np.int64]
    names: NDArray[np.uint64]
    pending: NDArray[np.uint64]
    levels: NDArray[np.int64]


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


@njit
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


@njit
def line_end(buffer, at, end):  # type: ignore[no-untyped-def]
    """Where the line that `at` is in ends: its newline."""
    while at < end and buffer[at] != 10:
        at += 1
    return at


@njit
def begin_op(info, pending, levels, out, count, cpu, pc, word, level):  # type: ignore[no-untyped-def]
    """Complete the pending op of `cpu` and begin the next; returns the new number of ops."""
    if pending[cpu, LIVE]:
        for column in range(CPU):
            out[count, column] = pending[cpu, column]
        out[count, CPU] = cpu
        count += 1
    info[CURRENT] = cpu
    pending[cpu, LIVE] = levels[level, WANTED]
    if levels[level, WANTED]:
        levels[level, KEPT] += 1
        pending[cpu, PC] = pc
        pending[cpu, WORD] = word
        pending[cpu, ADDRESS] = 0
        pending[cpu, APART] = pending[cpu, NEXT_APART]
        pending[cpu, NEXT_APART] = 0
    else:
        levels[level, DROPPED] += 1
    return count


@njit
def known_cpu(info, names, name):  # type: ignore[no-untyped-def]
    """The number of the CPU of that name (a hash), -1 if it has executed nothing yet."""
    for cpu in range(info[CPUS]):
        if names[cpu] == name:
            return cpu
    return -1


@njit
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
        np.zeros(3, np.int64),
        np.zeros(MAX_CPUS, np.uint64),
        np.zeros((MAX_CPUS, FIELDS), np.uint64),
        levels,
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
        for cpu in np.flatnonzero(state.pending[:, LIVE]):
            threads.add(int(cpu), _ops(state.pending[cpu : cpu + 1]), f"{path}:{line}")


def _feed(
    path: Path,
    line: int,
    data: bytes,
    end: int,
    threads: Threads,
    parse: LineParser,
    state: State,
    hint: str,
) -> int:
    """Parse whole lines and hand on their ops; returns the number of the line that comes next."""
    out = np.empty((end // _LEAST_LINE + 1, COLUMNS), np.uint64)
    count, code = parse(
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
    line += int(state.info[LINES])
    if code and not threads.done:
        raise TraceError(f"{path}:{line}: {_problem(code, hint)}")
    return line


def _ops(rows: NDArray[np.uint64]) -> Ops:
    return Ops(
        rows[:, PC].copy(),
        rows[:, WORD].astype(np.uint32),
        rows[:, ADDRESS].copy(),
        rows[:, APART].astype(np.bool_),
    )


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
