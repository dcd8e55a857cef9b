"""Text of QEMU's execlog plugin: `vcpu, 0xPC, 0xOPCODE, "disassembly"[, load|store, 0xADDRESS]…`.

Lines of another form, such as output of the traced program, are passed over. Each vCPU is a thread.

Fidelity note. The first access of a line gives the address. Exception levels and conditions are
not in the text; whether a branch jumped follows from the next pc. Source: QEMU's manual, TCG
plugins, and contrib/plugins/execlog.c.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from sim.draws import njit
from sim.workload.importers.text import (
    ADDRESS,
    BAD_PC,
    LINES,
    MALFORMED,
    OK,
    TOO_MANY_CPUS,
    begin_op,
    cpu_of,
    hexadecimal,
    line_end,
    new_state,
    read_lines,
)
from sim.workload.importers.threads import Threads

EXAMPLE: Final = '0, 0x400078, 0xf9400001, "ldr x1, [x0]", load, 0x410000'
_SPACE, _QUOTE, _COMMA, _ZERO, _X = 0x20, 0x22, 0x2C, 0x30, 0x78
_LOAD, _STORE = 0x6C, 0x73  # l, s
_NO_LEVEL: Final = 0  # qemu-user: all is EL0


@njit
def _comma_hex(buffer, at, end):  # type: ignore[no-untyped-def]
    """(value, where it ends) of ", 0x…" at `at`; ends at `at` if there is none."""
    if end - at < 5 or buffer[at] != _COMMA or buffer[at + 1] != _SPACE:
        return np.uint64(0), at
    if buffer[at + 2] != _ZERO or buffer[at + 3] != _X:
        return np.uint64(0), at
    value, after = hexadecimal(buffer, at + 4, end)
    return value, at if after == at + 4 else after


@njit
def _first_access(buffer, at, end):  # type: ignore[no-untyped-def]
    """(address, whether the fields are well formed) of the first load or store from `at` on."""
    while at < end:
        if buffer[at] == _COMMA and at + 2 < end and buffer[at + 1] == _SPACE:
            kind = buffer[at + 2]
            if kind in (_LOAD, _STORE):
                at += 3
                while at < end and buffer[at] != _COMMA:
                    at += 1
                value, after = _comma_hex(buffer, at, end)
                return value, after > at
        at += 1
    return np.uint64(0), True


@njit
def _parse(buffer, end, info, names, pending, levels, out):  # type: ignore[no-untyped-def]
    """A `text.LineParser`."""
    count = 0
    at = 0
    info[LINES] = 0
    while at < end:
        stop = line_end(buffer, at, end)
        name = np.uint64(0)
        field = at
        while field < stop and 48 <= buffer[field] <= 57 and field - at < 9:
            name = name * np.uint64(10) + np.uint64(buffer[field] - 48)
            field += 1
        pc, after = _comma_hex(buffer, field, stop)
        if field > at and after > field:
            word, field = _comma_hex(buffer, after, stop)
            if field == after or word >> np.uint64(32):
                return count, MALFORMED
            if stop - field < 4 or buffer[field] != _COMMA or buffer[field + 2] != _QUOTE:
                return count, MALFORMED
            quote = stop - 1
            while buffer[quote] != _QUOTE:
                quote -= 1
            address, good = _first_access(buffer, quote + 1, stop)
            if quote == field + 2 or not good:
                return count, MALFORMED
            if pc & np.uint64(3):
                return count, BAD_PC
            cpu = cpu_of(info, names, name)
            if cpu < 0:
                return count, TOO_MANY_CPUS
            count = begin_op(info, pending, levels, out, count, cpu, pc, word, _NO_LEVEL)
            pending[cpu, ADDRESS] = address
        info[LINES] += 1
        at = stop + 1
    return count, OK


def read(path: Path, threads: Threads) -> None:
    """Read an execlog text file. TraceError says what is wrong and where."""
    read_lines(path, threads, _parse, new_state(None), "QEMU's execlog", EXAMPLE)
