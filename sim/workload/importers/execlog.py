"""Text of QEMU's execlog plugin: `vcpu, 0xPC, 0xOPCODE, "disassembly"[, load|store, 0xADDRESS]…`.

Fields `REGISTER -> 0xVALUE`, as the plugin of QEMU 9 writes them, and devices are ignored. Lines of
another form, such as output of the traced program, are passed over and counted; one into which an
instruction has run is an error: where it begins cannot be told ("1" and vCPU 0, or vCPU 10?). Each
vCPU is a thread.

Fidelity note. The first access of a line gives the address. Exception levels, signals and
conditions are not in the text; whether a branch jumped follows from the next pc. What filters
(`ifilter`, `afilter`) left out shows as jumps of instructions that are no branch, and logs of other
instruction sets as words that A64 does not have (`sense`). Source: QEMU's manual, TCG plugins, and
contrib/plugins/execlog.c.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from sim.draws import njit, njit_inline, njit_inner
from sim.workload.importers.text import (
    ADDRESS,
    BAD_PC,
    LINES,
    MALFORMED,
    OK,
    TOO_MANY_CPUS,
    Form,
    begin_op,
    cpu_of,
    find,
    hexadecimal,
    line_end,
    new_state,
    pass_over,
    read_lines,
)
from sim.workload.importers.threads import Threads

EXAMPLE: Final = '0, 0x400078, 0xf9400001, "ldr x1, [x0]", load, 0x410000'
_RETURN, _SPACE, _QUOTE, _COMMA, _ZERO, _X = 0x0D, 0x20, 0x22, 0x2C, 0x30, 0x78
_LOAD: Final = np.frombuffer(b"load", np.uint8)
_STORE: Final = np.frombuffer(b"store", np.uint8)
_NO_LEVEL: Final = 0  # qemu-user: all is EL0


@njit_inline
def _comma_hex(buffer, at, end):  # type: ignore[no-untyped-def]
    """(value, where it ends) of ", 0x…" at `at`; ends at `at` if there is none."""
    if end - at < 5 or buffer[at] != _COMMA or buffer[at + 1] != _SPACE:
        return np.uint64(0), at
    if buffer[at + 2] != _ZERO or buffer[at + 3] != _X:
        return np.uint64(0), at
    value, after = hexadecimal(buffer, at + 4, end)
    return value, at if after == at + 4 else after


@njit_inner
def _third_quote(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Whether there are more than two quotes from `at` on."""
    for _ in range(2):
        at = find(buffer, _QUOTE, at, stop) + 1
    return find(buffer, _QUOTE, at, stop) < stop


@njit_inner
def _is(buffer, at, end, word):  # type: ignore[no-untyped-def]
    """Whether the field at `at` is `word`."""
    after = at + word.size
    if after > end or (after < end and buffer[after] not in (_COMMA, _RETURN)):
        return False
    same = True
    for i in range(word.size):
        same = same and buffer[at + i] == word[i]
    return same


@njit_inner
def _first_access(buffer, at, end):  # type: ignore[no-untyped-def]
    """(address, whether the fields are well formed) of the first load or store from `at` on."""
    while at < end:
        if buffer[at] == _COMMA and at + 2 < end and buffer[at + 1] == _SPACE:
            field = at + 2
            size = 0
            if _is(buffer, field, end, _LOAD):
                size = _LOAD.size
            elif _is(buffer, field, end, _STORE):
                size = _STORE.size
            if size:
                value, after = _comma_hex(buffer, field + size, end)
                return value, after > field + size
        at += 1
    return np.uint64(0), True


@njit_inner
def _holds(buffer, at, end):  # type: ignore[no-untyped-def]
    """Whether an instruction begins anywhere from `at` on: a digit, two numbers, a quote."""
    while at < end:
        if buffer[at] == _COMMA and 48 <= buffer[at - 1] <= 57:
            _, pc_end = _comma_hex(buffer, at, end)
            if pc_end > at:
                _, word_end = _comma_hex(buffer, pc_end, end)
                if word_end > pc_end and end - word_end > 2 and buffer[word_end + 2] == _QUOTE:
                    return True
        at += 1
    return False


@njit_inner
def _vcpu(buffer, at, stop):  # type: ignore[no-untyped-def]
    """(number, where it ends) of the decimal number at `at`, of nine digits at most."""
    name = np.uint64(0)
    field = at
    while field < stop and 48 <= buffer[field] <= 57 and field - at < 9:
        name = name * np.uint64(10) + np.uint64(buffer[field] - 48)
        field += 1
    return name, field


@njit_inner
def _after_pc(buffer, at, stop):  # type: ignore[no-untyped-def]
    """(OK or what is wrong, word, address) of `, 0xOPCODE, "disassembly"…` at `at`."""
    zero = np.uint64(0)
    word, field = _comma_hex(buffer, at, stop)
    if field == at or word >> np.uint64(32):
        return MALFORMED, zero, zero
    if stop - field < 4 or buffer[field] != _COMMA or buffer[field + 2] != _QUOTE:
        return MALFORMED, zero, zero
    quote = stop - 1
    while buffer[quote] != _QUOTE:
        quote -= 1
    address, good = _first_access(buffer, quote + 1, stop)
    if quote == field + 2 or not good:
        return MALFORMED, zero, zero
    return OK, word, address


@njit
def _parse(buffer, end, info, names, pending, levels, out):  # type: ignore[no-untyped-def]
    """A `text.LineParser`."""
    count = 0
    at = 0
    info[LINES] = 0
    while at < end:
        stop = line_end(buffer, at, end)
        name, field = _vcpu(buffer, at, stop)
        pc, after = _comma_hex(buffer, field, stop)
        code = OK
        if field == at or after == field:
            if stop > at and buffer[at] != _RETURN:
                code = pass_over(info, at, _holds(buffer, at + 1, stop))
        elif _third_quote(buffer, after, stop) and _holds(buffer, after + 1, stop):
            code = pass_over(info, at, True)
        else:
            code, word, address = _after_pc(buffer, after, stop)
            if code == OK and pc & np.uint64(3):
                code = BAD_PC
            if code == OK:
                cpu = cpu_of(info, names, name)
                if cpu < 0:
                    return count, TOO_MANY_CPUS
                count = begin_op(info, pending, levels, out, count, cpu, pc, word, _NO_LEVEL)
                pending[cpu, ADDRESS] = address
        if code != OK:
            return count, code
        info[LINES] += 1
        at = stop + 1
    return count, OK


_ADVICE: Final = {
    "bare": "log with the plugin of QEMU, which writes loads and stores, too",
    "far": "ops are missing: log without ifilter and afilter",
    "stray": "ops are missing: log without ifilter and afilter",
    "hidden": "log to a file of its own (-d plugin -D FILE) and one thread at a time",
}
_FORM: Final = Form(_parse, "QEMU's execlog", EXAMPLE, _ADVICE)


def read(path: Path, threads: Threads) -> None:
    """Read an execlog text file. TraceError says what is wrong and where."""
    read_lines(path, threads, _FORM, new_state(None))
