"""The records of a perf.data file: bytes of struct perf_event_header and what follows it.

Layouts: Linux tools/lib/perf/include/perf/event.h, include/uapi/linux/perf_event.h and
tools/perf/Documentation/perf.data-file-format.txt. Little endian; every record is a multiple of
eight bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag


class Type(IntEnum):
    """PERF_RECORD_*."""

    COMM = 3
    EXIT = 4
    MMAP2 = 10
    AUX = 11
    ITRACE_START = 12
    SWITCH_CPU_WIDE = 15
    BUILD_ID = 67
    FINISHED_ROUND = 68
    ID_INDEX = 69
    AUXTRACE_INFO = 70
    AUXTRACE = 71
    TIME_CONV = 79


class Sample(IntFlag):
    """PERF_SAMPLE_*: what a sample and the trailer of every record carry."""

    IP = 1 << 0
    TID = 1 << 1
    TIME = 1 << 2
    CPU = 1 << 7
    DATA_SRC = 1 << 15
    IDENTIFIER = 1 << 16
    PHYS_ADDR = 1 << 19


MISC_USER = 2
MISC_SWITCH_OUT = MISC_COMM_EXEC = 1 << 13
MISC_BUILD_ID_SIZE = 1 << 15
PROT_TEXT, PROT_DATA = 5, 3
_MAP_PRIVATE = 2
_ARM_SPE = 4
_TIME_SHIFT = 19
_CPU_MAGIC = 0x1010_1010_1010_1010
_CPU_WORDS = 4
_EVENT_MASK = 0xAA  # event filter bits that every SPE has: retired, L1 refill, TLB walk, mispredict


@dataclass(frozen=True, slots=True)
class Trailer:
    """struct sample_id: where and when; `t` in ns of the perf clock.

    `process` is that of a task that is one of several threads; 0: it is its own.
    """

    tid: int
    t: int
    cpu: int
    event_id: int
    process: int = 0

    @property
    def pid(self) -> int:
        """The task's process; of the idle task 0."""
        return self.process if self.tid and self.process else self.tid

    def pack(self) -> bytes:
        """TID, TIME, CPU, IDENTIFIER, in this order."""
        return struct.pack("<IIQIIQ", self.pid, self.tid, self.t, self.cpu, 0, self.event_id)


def record(kind: Type, misc: int, body: bytes) -> bytes:
    """A record with its header."""
    return struct.pack("<IHH", kind, misc, 8 + len(body)) + body


def padded(text: str, multiple: int = 8) -> bytes:
    """A NUL-terminated string, filled with NULs."""
    raw = text.encode("utf-8", "surrogateescape") + b"\0"
    return raw + bytes(-len(raw) % multiple)


def time_conv() -> bytes:
    """The timer counts nanoseconds: a generic timer of 1 GHz (Armv8.6 and later)."""
    multiplier, zero, cycles, mask = 1 << _TIME_SHIFT, 0, 0, (1 << 56) - 1
    body = struct.pack("<QQQQQBB6x", _TIME_SHIFT, multiplier, zero, cycles, mask, 1, 1)
    return record(Type.TIME_CONV, 0, body)


def id_index(ids: list[tuple[int, int]]) -> bytes:
    """(event id, cpu) of every per-CPU event."""
    rows = b"".join(struct.pack("<QQqq", i, at, cpu, -1) for at, (i, cpu) in enumerate(ids))
    return record(Type.ID_INDEX, 0, struct.pack("<Q", len(ids)) + rows)


def auxtrace_info_v1(pmu: int) -> bytes:
    """SPE metadata as perf 6.1 to 6.12 writes it: PMU type, per-CPU buffers."""
    return record(Type.AUXTRACE_INFO, 0, struct.pack("<IIQQ", _ARM_SPE, 0, pmu, 1))


def auxtrace_info_v2(pmu: int, cpus: int, midr: int, min_interval: int) -> bytes:
    """SPE metadata as perf 7 writes it: a header, then what each CPU's SPE is."""
    words = [2, 4, pmu, cpus]
    for cpu in range(cpus):
        words += [_CPU_MAGIC, cpu, _CPU_WORDS, midr, pmu, min_interval, _EVENT_MASK]
    body = struct.pack(f"<II{len(words)}Q", _ARM_SPE, 0, *words)
    return record(Type.AUXTRACE_INFO, 0, body)


def comm(name: str, at: Trailer) -> bytes:
    """The task executes `name`; a thread of another task's process has its name from there."""
    body = struct.pack("<II", at.pid, at.tid) + padded(name[:15]) + at.pack()
    return record(Type.COMM, MISC_COMM_EXEC if at.pid == at.tid else 0, body)


def mmap2(address: int, length: int, offset: int, prot: int, path: str, at: Trailer) -> bytes:
    """The task maps part of a file; the file is told by its path and build id, not by an inode."""
    body = struct.pack(
        "<IIQQQIIQQII", at.pid, at.tid, address, length, offset, 0, 0, 0, 0, prot, _MAP_PRIVATE
    )
    return record(Type.MMAP2, MISC_USER, body + padded(path) + at.pack())


def itrace_start(at: Trailer) -> bytes:
    """The SPE event of the task starts."""
    return record(Type.ITRACE_START, 0, struct.pack("<II", at.pid, at.tid) + at.pack())


def switch(to: int, at: Trailer) -> bytes:
    """On `at.cpu`, task `at.tid` leaves and task `to` comes (0: idle); two records."""
    arriving = replace(at, tid=to)
    body = struct.pack("<II", arriving.pid, to) + at.pack()
    out = record(Type.SWITCH_CPU_WIDE, MISC_SWITCH_OUT, body)
    body = struct.pack("<II", at.pid, at.tid) + arriving.pack()
    return out + record(Type.SWITCH_CPU_WIDE, 0, body)


def aux(offset: int, size: int, flags: int, at: Trailer) -> bytes:
    """One AUX transaction, with PERF_AUX_FLAG_*."""
    return record(Type.AUX, 0, struct.pack("<QQQ", offset, size, flags) + at.pack())


def auxtrace(offset: int, size: int, cpu: int) -> bytes:
    """The header of `size` bytes of AUX data, which follow it in the file."""
    return record(Type.AUXTRACE, 0, struct.pack("<QQQIiiI", size, offset, 0, cpu, -1, cpu, 0))


def task_exit(at: Trailer) -> bytes:
    """The task ends."""
    body = struct.pack("<IIIIQ", at.pid, 1, at.tid, 1, at.t) + at.pack()
    return record(Type.EXIT, 0, body)


def finished_round() -> bytes:
    """What came before is in order; perf may deliver it."""
    return record(Type.FINISHED_ROUND, 0, b"")
