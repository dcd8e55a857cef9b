"""Tarmac text: of Fast Models and FVPs, of gem5's TarmacTracer, and the ES dialect.

    195 clk [CPU] IT (195) 00210d4c:00000210d4c_NS f94007e8 O EL3h_s : LDR x8,[sp,#8]
    195 clk [CPU] MR8 000ffb18:0000000ffb18 00000000_000ffba0
    24300 tic ES  (0000000000211028:b85fc3a0) O el3h_s: LDUR w0,[x29,#-4]
                    LD 00000000000ffad0 00000032 ........ ........ ........

IT is executed, IS is executed with a failed condition; the first MR or MW line of an instruction
gives its address. ES is the dialect of Cycle Models and RTL: LD and ST lines show a 16-byte line as
four words, the least significant last, with dots for bytes that were not touched; an access to two
lines shows the higher one first. The second may leave LD or ST out: what stands in the column of
the first one's address is such a continuation. A time with a unit behind it, joined to it ("396ns")
or without one, a CPU name, physical addresses, MR8 X for exclusives and a missing "(n)" are all
accepted. Registers and other events of Tarmac are ignored, lines of no known event are passed over
and counted; one that holds an instruction is an error.

Fidelity note. Each CPU is one thread; the processes that an operating system switches between on it
are not told apart. Exceptions (E lines with an address, EXC) are discontinuities, and so are
instructions that could not be fetched ("--------" for the word) and, if the flow is not sequential,
ops that were left out for their exception level. gem5 writes IT for branches that fall through, so
a last conditional branch counts as not taken, and it writes no exceptions. Exception levels come
from the mode; streams stand for EL0, so the caller chooses which are taken. Sources: the manual of
Fast Models, TarmacTrace plug-in; Arm's tarmac-trace-utilities for the dialects.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit, njit_inline, njit_inner
from sim.workload.importers.text import (
    AARCH32,
    ADDRESS,
    BAD_PC,
    CONTINUES,
    CPUS,
    CURRENT,
    LINES,
    MALFORMED,
    NEXT_APART,
    OK,
    TOO_MANY_CPUS,
    UNFETCHED,
    Form,
    begin_op,
    cpu_of,
    hexadecimal,
    known_cpu,
    line_end,
    new_state,
    pass_over,
    read_lines,
    remark_levels,
)
from sim.workload.importers.threads import Threads

EXAMPLE: Final = "195 clk IT (195) 00210d4c f94007e8 O EL0t_n : LDR x8,[sp,#8]"
_TAB, _RETURN, _SPACE, _OPEN, _CLOSE = 9, 13, 0x20, 0x28, 0x29
_DASH, _DOT, _COLON = 0x2D, 0x2E, 0x3A
_A, _C, _D, _E, _F, _I, _L, _M, _O, _P, _R, _S, _T, _W, _X = (
    0x41,
    0x43,
    0x44,
    0x45,
    0x46,
    0x49,
    0x4C,
    0x4D,
    0x4F,
    0x50,
    0x52,
    0x53,
    0x54,
    0x57,
    0x58,
)
_LOWER: Final = 0x20
_UNKNOWN_LEVEL: Final = 4
_NONE, _INSTRUCTION, _ACCESS, _ES, _LINE_ACCESS, _EVENT, _EXCEPTION, _IGNORED = range(8)
_UNFETCHED: Final = -1  # beside text.OK and its kind


def _packed(words: str) -> NDArray[np.uint64]:
    """Words of up to eight letters as numbers, the first letter lowest."""
    return np.array([int.from_bytes(word.encode(), "little") for word in words.split()], np.uint64)


_EXC: Final = _packed("EXC")
_EVENTS: Final = _packed("CADI CACHE TTW TLB BR SIGNAL Tarmac INFO_EXC")
"""Events that say nothing about the flow; INFO_EXCEPTION_REASON is known by its beginning."""
_UNITS: Final = _packed("clk ps ns us ms s cs fs tic ticks cyc cycles")


@njit_inline
def _blank(byte):  # type: ignore[no-untyped-def]
    return byte in (_SPACE, _TAB, _RETURN)


@njit_inner
def _skip(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Past blanks."""
    while at < stop and _blank(buffer[at]):
        at += 1
    return at


@njit_inner
def _token_end(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Where the token at `at` ends."""
    while at < stop and not _blank(buffer[at]):
        at += 1
    return at


@njit_inner
def _among(buffer, at, end, words):  # type: ignore[no-untyped-def]
    """Whether the token, or its first eight letters, is one of the packed `words`."""
    value = np.uint64(0)
    for i in range(min(end - at, 8)):
        value |= np.uint64(buffer[at + i]) << np.uint64(8 * i)
    i = 0
    while i < words.size and words[i] != value:
        i += 1
    return i < words.size


@njit_inline
def _kind(buffer, at, end):  # type: ignore[no-untyped-def]
    """What a line with the token `at` to `end` in the place of the event says."""
    if end == at or buffer[at] < _A or buffer[at] > _X:  # most tokens that are no event
        return _NONE
    return _kind_of_word(buffer, at, end)


@njit_inner
def _kind_of_word(buffer, at, end):  # type: ignore[no-untyped-def]
    """As `_kind`, of a token that begins with a capital letter."""
    size = end - at
    first = buffer[at]
    if size == 1:
        return _EVENT if first == _E else _IGNORED if first in (_R, _P) else _NONE
    second = buffer[at + 1]
    if size == 2:
        if first == _I and second in (_T, _S, _F):
            return _INSTRUCTION
        if first == _E and second == _S:
            return _ES
        if (first == _L and second == _D) or (first == _S and second == _T):
            return _LINE_ACCESS
    if size > 2 and first == _M and second in (_R, _W) and 48 <= buffer[at + 2] <= 57:
        return _ACCESS
    if _among(buffer, at, end, _EXC):
        return _EXCEPTION
    return _IGNORED if _among(buffer, at, end, _EVENTS) else _NONE


@njit_inner
def _time_end(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Where the time stamp at `at` ends: digits, perhaps with their unit; `at` if it is none."""
    end = at
    while end < stop and (48 <= buffer[end] <= 57 or (buffer[end] == _DOT and end > at)):
        end += 1
    last = _token_end(buffer, end, stop)
    if end == at or (last > end and not _among(buffer, end, last, _UNITS)):
        return at
    return last


@njit_inner
def _name(buffer, at, end):  # type: ignore[no-untyped-def]
    """Hash of a CPU's name (FNV-1a); 0 for none."""
    if at == end:
        return np.uint64(0)
    value = np.uint64(14695981039346656037)
    for i in range(at, end):
        value = (value ^ np.uint64(buffer[i])) * np.uint64(1099511628211)
    return value


@njit_inner
def _event(buffer, at, stop):  # type: ignore[no-untyped-def]
    """(kind, where the event token ends, begin and end of the CPU's name) of a line.

    Before the event may stand a time, its unit and a CPU's name. A token between a time and the
    event is a unit if it is a known one, else a name; of two, the first is a unit whatever it says.
    """
    begin = _skip(buffer, at, stop)
    first = _time_end(buffer, begin, stop)
    timed = first > begin
    if timed:
        begin = _skip(buffer, first, stop)
    end = _token_end(buffer, begin, stop)
    kind = _kind(buffer, begin, end)
    if kind != _NONE:
        return kind, end, end, end
    after = _skip(buffer, end, stop)
    last = _token_end(buffer, after, stop)
    kind = _kind(buffer, after, last)
    if kind != _NONE:
        if kind == _IGNORED or (timed and _among(buffer, begin, end, _UNITS)):
            begin = end
        return kind, last, begin, end
    if not timed:
        return _NONE, begin, begin, begin
    third = _skip(buffer, last, stop)
    end = _token_end(buffer, third, stop)
    return _kind(buffer, third, end), end, after, last


@njit_inner
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


@njit_inner
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


@njit_inner
def _dashes(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Where the dashes at `at` end that stand for a word which could not be fetched."""
    while at < stop and buffer[at] == _DASH:
        at += 1
    return at


@njit_inner
def _instruction(buffer, at, stop):  # type: ignore[no-untyped-def]
    """(OK or what is wrong, pc, word, level) of what follows IT, IS or IF."""
    zero = np.uint64(0)
    at = _skip(buffer, at, stop)
    if at < stop and buffer[at] == _OPEN:
        at = _skip(buffer, _token_end(buffer, at, stop), stop)
    pc, end = hexadecimal(buffer, at, stop)
    if end == at:
        return MALFORMED, zero, zero, 0
    at = _skip(buffer, _token_end(buffer, end, stop), stop)
    if _dashes(buffer, at, stop) > at:
        return _UNFETCHED, pc, zero, 0
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


@njit_inner
def _es_instruction(buffer, at, stop):  # type: ignore[no-untyped-def]
    """(OK or what is wrong, pc, word, level) of "(pc:word) O mode"."""
    zero = np.uint64(0)
    pc, end = hexadecimal(buffer, at + 1, stop)
    if end == at + 1 or end == stop or buffer[end] != _COLON:
        return MALFORMED, zero, zero, 0
    at = end + 1
    if _dashes(buffer, at, stop) > at:
        return _UNFETCHED, pc, zero, 0
    word, end = hexadecimal(buffer, at, stop)
    digits = end - at
    if digits < 4 or digits > 8 or end == stop or buffer[end] != _CLOSE:
        return MALFORMED, zero, zero, 0
    code, level = _state_and_level(buffer, end + 1, stop)
    if code == OK and digits != 8:
        code = MALFORMED
    return code, pc, word, level


@njit_inner
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


@njit_inner
def _holds(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Whether an instruction begins at any token of a line."""
    while at < stop:
        at = _skip(buffer, at, stop)
        end = _token_end(buffer, at, stop)
        kind = _kind(buffer, at, end)
        code = MALFORMED
        if kind == _INSTRUCTION:
            code, _, _, _ = _instruction(buffer, end, stop)
        elif kind == _ES:
            after = _skip(buffer, end, stop)
            if after < stop and buffer[after] == _OPEN:
                code, _, _, _ = _es_instruction(buffer, after, stop)
        if code != MALFORMED:
            return True
        at = end
    return False


@njit_inline
def _execute(buffer, at, stop, kind, name, count, info, names, pending, levels, out):  # type: ignore[no-untyped-def]
    """(OK or what is wrong, number of ops) after the instruction, or ES EXC, at `at`."""
    if kind == _ES and at < stop and buffer[at] in (_E, _R):  # ES EXC, ES Reset
        if info[CPUS]:
            pending[info[CURRENT], NEXT_APART] = 1
        return OK, count
    if kind == _ES and not (at < stop and buffer[at] == _OPEN):
        return MALFORMED, count
    if kind == _ES:
        code, pc, word, level = _es_instruction(buffer, at, stop)
    else:
        code, pc, word, level = _instruction(buffer, at, stop)
    if code == _UNFETCHED:
        info[UNFETCHED] += 1
        cpu = known_cpu(info, names, name)
        if cpu >= 0:
            pending[cpu, NEXT_APART] = 1
        return OK, count
    if code == OK and pc & np.uint64(3):
        code = BAD_PC
    if code != OK:
        return code, count
    cpu = cpu_of(info, names, name)
    if cpu < 0:
        return TOO_MANY_CPUS, count
    return OK, begin_op(info, pending, levels, out, count, cpu, pc, word, level)


@njit_inline
def _touch_line(buffer, at, stop, info, pending):  # type: ignore[no-untyped-def]
    """Whether a line of 16 bytes at `at` is well formed; if so, the current op touches it."""
    good, address = _line_address(buffer, at, stop)
    if good and info[CPUS]:
        cpu = info[CURRENT]
        if pending[cpu, ADDRESS] == 0 or address < pending[cpu, ADDRESS]:
            pending[cpu, ADDRESS] = address
    return good


@njit_inline
def _access(buffer, at, stop, cpu, pending):  # type: ignore[no-untyped-def]
    """OK, or MALFORMED if there is no address at `at`; `cpu` touches it if that is none yet."""
    end = _token_end(buffer, at, stop)
    if end == at + 1 and buffer[at] == _X:  # exclusive
        at = _skip(buffer, end, stop)
    address, last = hexadecimal(buffer, at, stop)
    if last == at:
        return MALFORMED
    if cpu >= 0 and pending[cpu, ADDRESS] == 0:
        pending[cpu, ADDRESS] = address
    return OK


@njit_inline
def _interrupts(buffer, at, stop, kind):  # type: ignore[no-untyped-def]
    """Whether an exception breaks the flow: EXC, or E with an address at `at`."""
    end = _token_end(buffer, at, stop)
    _, last = hexadecimal(buffer, at, stop)
    return kind == _EXCEPTION or (end - at >= 8 and last == end)


@njit
def _parse(buffer, end, info, names, pending, levels, out):  # type: ignore[no-untyped-def]
    """A `text.LineParser`."""
    count = 0
    at = 0
    info[LINES] = 0
    while at < end:
        stop = line_end(buffer, at, end)
        column = _skip(buffer, at, stop)
        continues = info[CONTINUES] == column - at + 1 and column < stop
        code = OK
        if not (continues and _touch_line(buffer, column, stop, info, pending)):
            info[CONTINUES] = 0
            kind, after, begin, name_end = _event(buffer, column, stop)
            after = _skip(buffer, after, stop)
            if kind in (_INSTRUCTION, _ES):
                name = _name(buffer, begin, name_end)
                code, count = _execute(
                    buffer, after, stop, kind, name, count, info, names, pending, levels, out
                )
            elif kind == _ACCESS:
                cpu = known_cpu(info, names, _name(buffer, begin, name_end))
                code = _access(buffer, after, stop, cpu, pending)
            elif kind == _LINE_ACCESS:
                if not _touch_line(buffer, after, stop, info, pending):
                    code = MALFORMED
                info[CONTINUES] = after - at + 1
            elif kind in (_EVENT, _EXCEPTION):
                cpu = known_cpu(info, names, _name(buffer, begin, name_end))
                if cpu >= 0 and _interrupts(buffer, after, stop, kind):
                    pending[cpu, NEXT_APART] = 1
            elif kind == _NONE and column < stop:
                code = pass_over(info, at, _holds(buffer, column, stop))
        if code != OK:
            return count, code
        info[LINES] += 1
        at = stop + 1
    return count, OK


_ADVICE: Final = {
    "bare": "trace loads and stores, too (Fast Models: TarmacTrace's trace_loads_stores=1)",
    "hidden": "write the trace to a file of its own",
}
_FORM: Final = Form(_parse, "Tarmac", EXAMPLE, _ADVICE)


def read(path: Path, threads: Threads, levels: frozenset[int] | None = None) -> None:
    """Read a Tarmac file, taking ops of the exception `levels` only, None for all.

    TraceError says what is wrong and where.
    """
    state = new_state(levels)
    read_lines(path, threads, _FORM, state)
    remark_levels(state, threads)
