"""Tarmac text: of Fast Models and FVPs, of gem5's TarmacTracer, and the ES dialect.

    195 clk [CPU] IT (195) 00210d4c:00000210d4c_NS f94007e8 O EL3h_s : LDR x8,[sp,#8]
    195 clk [CPU] MR8 000ffb18:0000000ffb18 00000000_000ffba0
    24300 tic ES  (0000000000211028:b85fc3a0) O el3h_s: LDUR w0,[x29,#-4]
                    LD 00000000000ffad0 00000032 ........ ........ ........

IT is executed, IS is executed with a failed condition; the first MR or MW line of an instruction
gives its address. ES is the dialect of Cycle Models and RTL: LD and ST lines show a 16-byte line as
four words, the least significant last, with dots for bytes that were not touched; an access to two
lines shows the higher one first. Time stamps in any unit, a CPU name, physical addresses and a
missing "(n)" are all accepted. Registers and all other lines are passed over.

Fidelity note. Each CPU is one thread; the processes that an operating system switches between on it
are not told apart. Exceptions (E lines with an address, ES EXC) are discontinuities. gem5 writes IT
for branches that fall through, so a last conditional branch counts as not taken. Exception levels
come from the mode; streams stand for EL0, so the caller chooses which are taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from sim.draws import njit, njit_inline
from sim.workload.importers.text import (
    AARCH32,
    ADDRESS,
    BAD_PC,
    CPUS,
    CURRENT,
    LINES,
    MALFORMED,
    NEXT_APART,
    OK,
    TOO_MANY_CPUS,
    begin_op,
    cpu_of,
    hexadecimal,
    known_cpu,
    line_end,
    new_state,
    read_lines,
    remark_levels,
)
from sim.workload.importers.threads import Threads

EXAMPLE: Final = "195 clk IT (195) 00210d4c f94007e8 O EL0t_n : LDR x8,[sp,#8]"
_TAB, _RETURN, _SPACE, _OPEN, _CLOSE, _DOT, _COLON = 9, 13, 0x20, 0x28, 0x29, 0x2E, 0x3A
_A, _C, _D, _E, _I, _L, _M, _O, _R, _S, _T, _W, _X = (
    0x41,
    0x43,
    0x44,
    0x45,
    0x49,
    0x4C,
    0x4D,
    0x4F,
    0x52,
    0x53,
    0x54,
    0x57,
    0x58,
)
_LOWER: Final = 0x20
_UNKNOWN_LEVEL: Final = 4
_NONE, _INSTRUCTION, _ACCESS, _ES, _LINE_ACCESS, _EVENT = range(6)


@njit_inline
def _blank(byte):  # type: ignore[no-untyped-def]
    return byte in (_SPACE, _TAB, _RETURN)


@njit
def _skip(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Past blanks."""
    while at < stop and _blank(buffer[at]):
        at += 1
    return at


@njit
def _token_end(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Where the token at `at` ends."""
    while at < stop and not _blank(buffer[at]):
        at += 1
    return at


@njit
def _kind(buffer, at, end):  # type: ignore[no-untyped-def]
    """What a line with the token `at` to `end` in the place of the event says."""
    size = end - at
    if size < 1:
        return _NONE
    first = buffer[at]
    if size == 1:
        return _EVENT if first == _E else _NONE
    second = buffer[at + 1]
    if size == 2:
        if first == _I and second in (_T, _S):
            return _INSTRUCTION
        if first == _E and second == _S:
            return _ES
        if (first == _L and second == _D) or (first == _S and second == _T):
            return _LINE_ACCESS
        return _NONE
    if first == _M and second in (_R, _W) and 48 <= buffer[at + 2] <= 57:
        return _ACCESS
    return _NONE


@njit
def _name(buffer, at, end):  # type: ignore[no-untyped-def]
    """Hash of a CPU's name (FNV-1a); 0 for none."""
    if at == end:
        return np.uint64(0)
    value = np.uint64(14695981039346656037)
    for i in range(at, end):
        value = (value ^ np.uint64(buffer[i])) * np.uint64(1099511628211)
    return value


@njit
def _event(buffer, at, stop):  # type: ignore[no-untyped-def]
    """(kind, where the event token ends, begin and end of the CPU's name) of a line.

    The event is the first token, or the third or fourth after a time and its unit; a CPU's name may
    stand between.
    """
    begin = _skip(buffer, at, stop)
    end = _token_end(buffer, begin, stop)
    kind = _kind(buffer, begin, end)
    if kind != _NONE:
        return kind, end, end, end
    begin = _skip(buffer, end, stop)
    begin = _skip(buffer, _token_end(buffer, begin, stop), stop)
    end = _token_end(buffer, begin, stop)
    kind = _kind(buffer, begin, end)
    if kind != _NONE or (end == begin + 1 and buffer[begin] == _R):
        return kind, end, end, end
    after = _skip(buffer, end, stop)
    last = _token_end(buffer, after, stop)
    return _kind(buffer, after, last), last, begin, end


@njit
def _level(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Exception level of a mode such as EL1h_n or el3h_s:."""
    if (
        stop - at > 2
        and buffer[at] | _LOWER == _E | _LOWER
        and buffer[at + 1] | _LOWER == _L | _LOWER
        and 48 <= buffer[at + 2] <= 51
    ):
        return np.int64(buffer[at + 2]) - 48
    return np.int64(_UNKNOWN_LEVEL)


@njit
def _state_and_level(buffer, at, stop):  # type: ignore[no-untyped-def]
    """(OK or what is wrong, exception level) of "O EL0t_n" at `at`."""
    at = _skip(buffer, at, stop)
    end = _token_end(buffer, at, stop)
    if end != at + 1:
        return MALFORMED, 0
    state = buffer[at]
    if state in (_A, _T, _X):
        return AARCH32, 0
    if state != _O:
        return MALFORMED, 0
    return OK, _level(buffer, _skip(buffer, end, stop), stop)


@njit
def _instruction(buffer, at, stop):  # type: ignore[no-untyped-def]
    """(OK or what is wrong, pc, word, level) of what follows IT or IS."""
    zero = np.uint64(0)
    at = _skip(buffer, at, stop)
    if at < stop and buffer[at] == _OPEN:
        at = _skip(buffer, _token_end(buffer, at, stop), stop)
    pc, end = hexadecimal(buffer, at, stop)
    if end == at:
        return MALFORMED, zero, zero, 0
    at = _skip(buffer, _token_end(buffer, end, stop), stop)
    word, end = hexadecimal(buffer, at, stop)
    digits = end - at
    code, level = _state_and_level(buffer, end, stop)
    if (
        digits < 4
        or digits > 8
        or end == stop
        or not _blank(buffer[end])
        or (code == OK and digits != 8)
    ):
        code = MALFORMED
    return code, pc, word, level


@njit
def _es_instruction(buffer, at, stop):  # type: ignore[no-untyped-def]
    """(OK or what is wrong, pc, word, level) of "(pc:word) O mode"."""
    zero = np.uint64(0)
    pc, end = hexadecimal(buffer, at + 1, stop)
    if end == at + 1 or end == stop or buffer[end] != _COLON:
        return MALFORMED, zero, zero, 0
    at = end + 1
    word, end = hexadecimal(buffer, at, stop)
    digits = end - at
    if digits < 4 or digits > 8 or end == stop or buffer[end] != _CLOSE:
        return MALFORMED, zero, zero, 0
    code, level = _state_and_level(buffer, end + 1, stop)
    if code == OK and digits != 8:
        code = MALFORMED
    return code, pc, word, level


@njit
def _line_address(buffer, at, stop):  # type: ignore[no-untyped-def]
    """(whether well formed, address) of an LD or ST line: its first byte that was touched."""
    at = _skip(buffer, at, stop)
    line, end = hexadecimal(buffer, at, stop)
    if end == at:
        return False, line
    untouched = 0
    for _ in range(4):
        at = _skip(buffer, end, stop)
        end = _token_end(buffer, at, stop)
        if end - at != 8:
            return False, line
        for pair in range(4):  # the lowest byte stands last of all
            if buffer[at + 2 * pair] == _DOT and buffer[at + 2 * pair + 1] == _DOT:
                untouched += 1
            else:
                untouched = 0
    if untouched == 16 or line & np.uint64(15):
        return True, line
    return True, line + np.uint64(untouched)


@njit
def _parse(buffer, end, info, names, pending, levels, out):  # type: ignore[no-untyped-def]
    """A `text.LineParser`."""
    count = 0
    at = 0
    info[LINES] = 0
    while at < end:
        stop = line_end(buffer, at, end)
        kind, after, begin, name_end = _event(buffer, at, stop)
        if kind in (_INSTRUCTION, _ES):
            after = _skip(buffer, after, stop)
            if kind == _ES and after < stop and buffer[after] == _E:  # ES EXC
                if info[CPUS]:
                    pending[info[CURRENT], NEXT_APART] = 1
                info[LINES] += 1
                at = stop + 1
                continue
            if kind == _ES and not (after < stop and buffer[after] == _OPEN):
                return count, MALFORMED
            if kind == _ES:
                code, pc, word, level = _es_instruction(buffer, after, stop)
            else:
                code, pc, word, level = _instruction(buffer, after, stop)
            if code == OK and pc & np.uint64(3):
                code = BAD_PC
            if code != OK:
                return count, code
            cpu = cpu_of(info, names, _name(buffer, begin, name_end))
            if cpu < 0:
                return count, TOO_MANY_CPUS
            count = begin_op(info, pending, levels, out, count, cpu, pc, word, level)
        elif kind == _ACCESS:
            after = _skip(buffer, after, stop)
            address, last = hexadecimal(buffer, after, stop)
            if last == after:
                return count, MALFORMED
            cpu = known_cpu(info, names, _name(buffer, begin, name_end))
            if cpu >= 0 and pending[cpu, ADDRESS] == 0:
                pending[cpu, ADDRESS] = address
        elif kind == _LINE_ACCESS:
            good, address = _line_address(buffer, after, stop)
            if not good:
                return count, MALFORMED
            if info[CPUS]:
                cpu = info[CURRENT]
                if pending[cpu, ADDRESS] == 0 or address < pending[cpu, ADDRESS]:
                    pending[cpu, ADDRESS] = address
        elif kind == _EVENT:
            after = _skip(buffer, after, stop)
            cpu = known_cpu(info, names, _name(buffer, begin, name_end))
            if cpu >= 0 and _token_end(buffer, after, stop) - after >= 8:
                _, last = hexadecimal(buffer, after, stop)
                if last == _token_end(buffer, after, stop):
                    pending[cpu, NEXT_APART] = 1
        info[LINES] += 1
        at = stop + 1
    return count, OK


def read(path: Path, threads: Threads, levels: frozenset[int] | None = None) -> None:
    """Read a Tarmac file, taking ops of the exception `levels` only, None for all.

    TraceError says what is wrong and where.
    """
    state = new_state(levels)
    read_lines(path, threads, _parse, state, "Tarmac", EXAMPLE)
    remark_levels(state, threads)
