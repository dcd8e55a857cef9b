"""Read Arm SPE data out of a `perf.data` file.

Fidelity note. Read: file header, attributes with their ids, the features that matter here, and of
the records COMM, MMAP, MMAP2, FORK, ITRACE_START, AUX, LOST, LOST_SAMPLES, SWITCH,
SWITCH_CPU_WIDE, TIME_CONV, AUXTRACE_INFO (v1, v2, and v2 with the PMU type as its version) and
AUXTRACE with its payload. All else is passed over. Little endian only. A file whose writer was
killed (its data size is 0) is read as perf does: up to its last whole record, without features,
which are written last. A machine of two kinds of cores has an SPE PMU for each: an event is SPE's
if AUXTRACE_INFO names its PMU, it is called arm_spe_N, or it has written AUX data. Layouts: Linux
`tools/perf/Documentation/perf.data-file-format.txt` and `include/uapi/linux/perf_event.h`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final

from sim import inputs
from sim.workload.capture.events import STATIC_TYPES, Attr, Event, event
from sim.workload.capture.source import CaptureError, Clock

MAGIC: Final = b"PERFILE2"
_SWAPPED: Final = MAGIC[::-1]
ARM_SPE: Final = 4
_TRACERS = {1: "Intel PT", 2: "Intel BTS", 3: "CoreSight ETM", 5: "S390 CPUMSF", 6: "HiSilicon PTT"}
MAX_ATTRS: Final = 4096
MAX_SECTION: Final = 1 << 28
_MOST: Final = 1 << 62
"""Offsets and times above are nonsense, and do not fit what counts them."""

(MMAP, LOST, COMM, EXIT, FORK) = (1, 2, 3, 4, 7)
(MMAP2, AUX, ITRACE_START, LOST_SAMPLES, SWITCH, SWITCH_CPU_WIDE) = (10, 11, 12, 13, 14, 15)
(AUXTRACE_INFO, AUXTRACE, TIME_CONV, COMPRESSED, COMPRESSED2) = (70, 71, 79, 81, 83)
MISC_SWITCH_OUT, MISC_BUILD_ID = 1 << 13, 1 << 14
_MISC_BUILD_ID_SIZE = 1 << 15
_MISC_CPUMODE = 7
KERNEL_MODE: Final = 1

_SAMPLE_TID, _SAMPLE_TIME, _SAMPLE_ID = 1 << 1, 1 << 2, 1 << 6
_SAMPLE_CPU, _SAMPLE_STREAM, _SAMPLE_IDENTIFIER = 1 << 7, 1 << 9, 1 << 16
_TRAILER = (_SAMPLE_TID, _SAMPLE_TIME, _SAMPLE_ID, _SAMPLE_STREAM, _SAMPLE_CPU, _SAMPLE_IDENTIFIER)
_FEATURE_BUILD_ID, _FEATURE_CPUID, _FEATURE_CMDLINE, _FEATURE_PMUS = 2, 9, 11, 16
_FEATURES_READ = (_FEATURE_BUILD_ID, _FEATURE_CPUID, _FEATURE_CMDLINE, _FEATURE_PMUS)
_SPE_NAME: Final = "arm_spe"
_HEADER = struct.Struct("<IHH")


@dataclass(frozen=True, slots=True)
class Trailer:
    """What a record says of where and when it was made; −1 where it does not."""

    pid: int = -1
    tid: int = -1
    time: int = -1
    cpu: int = -1


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping of a file into a process: `pid` −1 is the kernel."""

    pid: int
    start: int
    size: int
    offset: int
    path: str
    build_id: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of one AUX stream: where it lies in the file and in the stream [bytes]."""

    at: int
    size: int
    offset: int
    queue: int
    tid: int
    cpu: int


@dataclass(slots=True)
class PerfFile:
    """A scanned file: everything but the SPE data itself."""

    path: Path
    attrs: list[Attr] = field(default_factory=list)
    pmu_types: set[int] = field(default_factory=set)
    pmu_names: dict[int, str] = field(default_factory=dict)
    unfinished: bool = False
    """Whether the writer was killed: the header gives no size of the data."""
    unread: int = 0
    """Bytes after the last whole record of an unfinished file."""
    midr: int | None = None
    min_interval: int | None = None
    clock: Clock | None = None
    command: str = ""
    build_ids: dict[str, str] = field(default_factory=dict)
    mappings: list[Mapping] = field(default_factory=list)
    pid_of: dict[int, int] = field(default_factory=dict)
    comms: dict[int, str] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    switches: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """By CPU: (time, tid that runs from then on)."""
    aux: list[tuple[int, int]] = field(default_factory=list)
    """(size, flags) of each AUX record of the SPE event."""
    lost: int = 0

    @property
    def events(self) -> tuple[Event, ...]:
        """The SPE events."""
        pmus = (a for a in self.attrs if a.type >= STATIC_TYPES)
        spe = (a for a in pmus if a.type in self.pmu_types or self.names_spe(a.type))
        return tuple(event(a, self.pmu_names.get(a.type, f"PMU type {a.type}")) for a in spe)

    def names_spe(self, kind: int) -> bool | None:
        """Whether a PMU's name is one of SPE; None if the file does not name it."""
        name = self.pmu_names.get(kind)
        return None if name is None else name.startswith(_SPE_NAME)


def scan(path: Path) -> PerfFile:
    """Everything but the payloads; raises CaptureError."""
    try:
        with inputs.regular(path) as file:
            return _Scanner(path, file).scan()
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror or error}") from error


class _BrokenError(Exception):
    """What is at a place is no whole record; becomes a CaptureError, or the end of the data."""


class _Scanner:
    """One pass over a file, at most a record and a section in memory."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._file = file
        self._out = PerfFile(path)
        self._size = os.fstat(file.fileno()).st_size
        self._attr_of: dict[int, Attr] = {}
        self._features: dict[int, bytes] = {}

    def scan(self) -> PerfFile:
        """The whole file."""
        data_at, data_size, features = self._header()
        if data_size:
            self._read_features(data_at + data_size, features)
            self._records(data_at, data_at + data_size)
        else:
            self._out.unfinished = True
            self._records(data_at, max(self._size, data_at))
        if not self._out.pmu_types:
            raise self._error(
                data_at,
                "no AUXTRACE_INFO record, so no SPE data; record with `perf record -e arm_spe//`",
            )
        if not self._out.pieces:
            why = (
                "`perf record` was killed before it copied any; stop it with SIGINT, not SIGKILL"
                if self._out.unfinished
                else "the event gave no data; was the program shorter than the period, or did no "
                "operation pass a filter?"
            )
            raise self._error(data_at, f"no AUXTRACE record: {why}")
        return self._out

    def _error(self, at: int, what: str) -> CaptureError:
        return CaptureError(f"{self._out.path}: {at:#x}: {what}")

    def _read(self, at: int, size: int, what: str) -> bytes:
        if size > MAX_SECTION:
            raise self._error(at, f"{what} of {size:,} bytes; the file is damaged, copy it again")
        if at + size > self._size:
            raise self._error(
                at,
                f"{what} of {size:,} bytes lies beyond the file's end at {self._size:#x}; "
                "copy the file again",
            )
        self._file.seek(at)
        return self._file.read(size)

    # --- header, attributes, features ------------------------------------------------------

    def _header(self) -> tuple[int, int, list[int]]:
        """(offset and size of the data section, feature bits)."""
        magic, size = struct.unpack("<8sQ", self._read(0, 16, "the header"))
        if magic == _SWAPPED:
            raise self._error(0, "big endian; SPE needs a little endian kernel's file")
        if magic != MAGIC:
            raise self._error(0, "no perf.data file (magic PERFILE2 is missing)")
        if size == 16:
            raise self._error(
                8, "a pipe's file (`perf record -o -`); record into a file, with `-o NAME`"
            )
        words = struct.unpack("<11Q", self._read(16, 88, "the header"))
        entry, attrs_at, attrs_size, data_at, data_size = words[:5]
        if data_at + data_size > self._size:
            raise self._error(
                40,
                f"the data section ends at {data_at + data_size:#x}, the file at "
                f"{self._size:#x}; copy the file again",
            )
        self._read_attrs(entry, attrs_at, attrs_size)
        bits = [bit for bit in range(256) if words[7 + bit // 64] >> bit % 64 & 1]
        return data_at, data_size, bits

    def _read_attrs(self, entry: int, at: int, size: int) -> None:
        if entry < 64 + 16 or size % entry or size // entry > MAX_ATTRS:
            raise self._error(
                at, f"{size} bytes of attributes of {entry} each; the file is damaged"
            )
        table = self._read(at, size, "the attribute section")
        for k in range(0, size, entry):
            attr = self._attr(table[k : k + entry], at + k)
            self._out.attrs.append(attr)
            self._attr_of.update(dict.fromkeys(attr.ids, attr))

    def _attr(self, data: bytes, at: int) -> Attr:
        ids_at, ids_size = struct.unpack_from("<QQ", data, len(data) - 16)
        ids = self._read(ids_at, ids_size, "the ids of an event") if ids_size else b""
        if len(ids) % 8:
            raise self._error(at, f"{len(ids)} bytes of ids, not a multiple of 8")
        numbers = struct.unpack(f"<{len(ids) // 8}Q", ids)
        return Attr.of(data[:-16], numbers)

    def _read_features(self, at: int, bits: list[int]) -> None:
        table = self._read(at, 16 * len(bits), "the feature table") if bits else b""
        for k, bit in enumerate(bits):
            if bit in _FEATURES_READ:
                where, size = struct.unpack_from("<QQ", table, 16 * k)
                self._features[bit] = self._read(where, size, f"feature {bit}")
        self._out.command = " ".join(_strings(self._features.get(_FEATURE_CMDLINE, b"")))
        cpuid = _string(self._features.get(_FEATURE_CPUID, b""), 0)[0]
        if cpuid.startswith("0x"):
            self._out.midr = _hexadecimal(cpuid)
        self._out.build_ids.update(_build_ids(self._features.get(_FEATURE_BUILD_ID, b"")))
        self._out.pmu_names.update(_pmu_names(self._features.get(_FEATURE_PMUS, b"")))

    # --- records -----------------------------------------------------------------------------

    def _records(self, at: int, end: int) -> None:
        """All records up to `end`; of an unfinished file those before the first that is none."""
        self._file.seek(at)
        while at < end:
            try:
                at = self._record(at, end)
            except _BrokenError as error:
                if not self._out.unfinished:
                    raise self._error(at, str(error)) from None
                self._out.unread = end - at
                return

    def _record(self, at: int, end: int) -> int:
        """One record with its payload; returns where the next one begins."""
        kind, misc, size = map(int, _HEADER.unpack(self._exactly(at, 8, end)))
        if size < 8:
            raise _BrokenError(
                f"record of type {kind} and size {size}; a record has at "
                "least 8 bytes: the file is damaged"
            )
        body = self._exactly(at + 8, size - 8, end)
        if kind in (COMPRESSED, COMPRESSED2):
            raise self._error(at, "compressed records; record without -z")
        try:
            payload: int = self._take(at, kind, misc, body)
        except struct.error:
            raise _BrokenError(
                f"record of type {kind} has {size} bytes, too few for its "
                "fields; the file is damaged"
            ) from None
        there = end - at - size
        if payload > there and self._out.unfinished:
            self._out.pieces[-1] = replace(self._out.pieces[-1], size=there)
            payload = there
        elif payload > there:
            raise _BrokenError(
                f"AUX data of {payload:,} bytes runs beyond the data section's end at "
                f"{end:#x}; copy the file again"
            )
        if payload:
            self._file.seek(at + size + payload)
        return at + size + payload

    def _exactly(self, at: int, size: int, end: int) -> bytes:
        if at + size > end:
            raise _BrokenError(
                f"a record runs beyond the data section's end at {end:#x}; copy the file again"
            )
        return self._file.read(size)

    def _take(self, at: int, kind: int, misc: int, body: bytes) -> int:
        """One record; returns the bytes of payload that follow it."""
        out = self._out
        if kind == AUXTRACE:
            size, offset, _, queue, tid, cpu = struct.unpack_from("<QQQIii", body)
            where = at + 8 + len(body)
            if offset >= _MOST:
                raise self._error(at, f"AUX data at offset {offset:#x}; the file is damaged")
            out.pieces.append(Piece(where, size, offset, queue, tid, cpu))
            return int(size)
        if kind in (MMAP, MMAP2):
            self._mapping(kind, misc, body)
        elif kind == COMM:
            pid, tid = struct.unpack_from("<Ii", body)
            out.pid_of[tid] = pid
            out.comms[tid] = _text(body[8:].split(b"\0", 1)[0])
        elif kind == FORK:
            pid, _, tid = struct.unpack_from("<III", body)
            out.pid_of[tid] = pid
        elif kind == AUX:
            _, size, flags = struct.unpack_from("<QQQ", body)
            if self._is_spe(body):
                out.aux.append((size, flags))
        elif kind == LOST:
            out.lost += struct.unpack_from("<QQ", body)[1]
        elif kind == LOST_SAMPLES:
            out.lost += struct.unpack_from("<Q", body)[0]
        elif kind in (SWITCH, SWITCH_CPU_WIDE, ITRACE_START):
            self._switch(kind, misc, body)
        elif kind == TIME_CONV:
            out.clock = self._clock(at, body)
        elif kind == AUXTRACE_INFO:
            self._info(at, body)
        return 0

    def _mapping(self, kind: int, misc: int, body: bytes) -> None:
        pid, _, start, size, offset = struct.unpack_from("<iIQQQ", body)
        build_id, name = "", body[32:]
        if kind == MMAP2:
            if len(body) < 64:
                raise struct.error
            if misc & MISC_BUILD_ID:
                build_id = body[36 : 36 + min(20, body[32])].hex()
            name = body[64:]
        path = _text(name.split(b"\0", 1)[0])
        kernel = misc & _MISC_CPUMODE == KERNEL_MODE
        self._out.mappings.append(
            Mapping(-1 if kernel else pid, start, size, offset, path, build_id)
        )

    def _switch(self, kind: int, misc: int, body: bytes) -> None:
        """Who runs on a CPU from now on: the next task of an OUT, else the record's own."""
        trailer = self._trailer(body)
        if kind == SWITCH:
            pid, tid = (0, 0) if misc & MISC_SWITCH_OUT else (trailer.pid, trailer.tid)
        elif kind == ITRACE_START or misc & MISC_SWITCH_OUT:
            pid, tid = struct.unpack_from("<ii", body)
        else:
            pid, tid = trailer.pid, trailer.tid
        if not 0 <= trailer.time < _MOST or trailer.cpu < 0 or tid < 0:
            return
        if tid:
            self._out.pid_of[tid] = pid
        self._out.switches.setdefault(trailer.cpu, []).append((trailer.time, tid))

    def _attr_for(self, body: bytes) -> Attr | None:
        """The event of a record: by the identifier at its end, else the first one."""
        attrs = self._out.attrs
        if not attrs or not attrs[0].sample_id_all:
            return None
        return self._identified(body) or attrs[0]

    def _identified(self, body: bytes) -> Attr | None:
        """The event that the identifier at a record's end names."""
        attrs = self._out.attrs
        if not attrs or not attrs[0].sample_id_all or len(body) < 8:
            return None
        if not attrs[0].sample_type & _SAMPLE_IDENTIFIER:
            return None
        return self._attr_of.get(struct.unpack_from("<Q", body, len(body) - 8)[0])

    def _is_spe(self, body: bytes) -> bool:
        """Whether an AUX record is of an SPE event: unless it says that it is of another's.

        AUXTRACE_INFO of version 1 names one PMU only. What else writes AUX data in a file that
        has SPE's is the SPE of other cores, since perf records one kind of tracer at a time.
        """
        attr = self._identified(body)
        if attr is None:
            return True
        if attr.type < STATIC_TYPES or self._out.names_spe(attr.type) is False:
            return False
        self._out.pmu_types.add(attr.type)
        return True

    def _trailer(self, body: bytes) -> Trailer:
        attr = self._attr_for(body)
        if attr is None:
            return Trailer()
        at = len(body) - 8 * sum(1 for bit in _TRAILER if attr.sample_type & bit)
        if at < 0:
            return Trailer()
        pid = tid = time = cpu = -1
        for bit in _TRAILER:
            if not attr.sample_type & bit:
                continue
            if bit == _SAMPLE_TID:
                pid, tid = struct.unpack_from("<ii", body, at)
            elif bit == _SAMPLE_TIME:
                time = struct.unpack_from("<Q", body, at)[0]
            elif bit == _SAMPLE_CPU:
                cpu = struct.unpack_from("<I", body, at)[0]
            at += 8
        return Trailer(pid, tid, time, cpu)

    def _clock(self, at: int, body: bytes) -> Clock:
        """TIME_CONV; its later form says which bits of the timer count."""
        shift, mult, zero = struct.unpack_from("<QQQ", body)
        cycles, mask = 0, (1 << 64) - 1
        if len(body) >= 42 and body[41]:
            cycles, mask = struct.unpack_from("<QQ", body, 24)
        if shift > 40 or not 0 < mult < 1 << 40:
            raise self._error(
                at, f"TIME_CONV with shift {shift} and multiplier {mult}; the file is damaged"
            )
        return Clock(mult, shift, zero, cycles, mask)

    def _info(self, at: int, body: bytes) -> None:
        """AUXTRACE_INFO: v1 is [PMU type, per CPU]; later [version, words, PMU type, CPUs, …]."""
        kind = struct.unpack_from("<I", body)[0]
        if kind != ARM_SPE:
            name = _TRACERS.get(kind, f"type {kind}")
            raise self._error(at, f"AUX data of {name}, not Arm SPE; record with -e arm_spe//")
        words = struct.unpack_from(f"<{(len(body) - 8) // 8}Q", body, 8)
        if len(words) < 2:
            raise self._error(at, "AUXTRACE_INFO without a PMU type; the file is damaged")
        if len(words) == 2:
            self._out.pmu_types.add(words[0])
            return
        if len(words) < 4:
            raise self._error(at, f"AUXTRACE_INFO of {len(words)} words; v1 has 2, v2 at least 4")
        self._out.pmu_types.add(words[2])
        if words[1] >= 4:
            self._cpus(words[words[1] :])

    def _cpus(self, words: tuple[int, ...]) -> None:
        """Per CPU: [magic, CPU, how many words follow, MIDR, PMU type, least interval, …]."""
        least, midrs = 0, []
        while len(words) >= 6 and words[2] >= 3:
            midrs.append(words[3])
            self._out.pmu_types.add(words[4])
            least = max(least, words[5])
            words = words[3 + words[2] :]
        if midrs:
            self._out.midr = midrs[0]
            self._out.min_interval = least or None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _string(data: bytes, at: int) -> tuple[str, int]:
    """A feature string (u32 padded length, bytes) and where the next one begins."""
    if at + 4 > len(data):
        return "", len(data)
    size = struct.unpack_from("<I", data, at)[0]
    return _text(data[at + 4 : at + 4 + size].split(b"\0", 1)[0]), at + 4 + size


def _strings(data: bytes) -> Iterator[str]:
    at = 4
    while at < len(data):
        text, at = _string(data, at)
        yield text


def _hexadecimal(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None


def _build_ids(data: bytes) -> Iterator[tuple[str, str]]:
    """(path, build id) of the BUILD_ID feature."""
    at = 0
    while at + 36 <= len(data):
        _, misc, size = _HEADER.unpack_from(data, at)
        if size < 36:
            return
        length = min(20, data[at + 32]) if misc & _MISC_BUILD_ID_SIZE else 20
        path = _text(data[at + 36 : at + size].split(b"\0", 1)[0])
        yield path, data[at + 12 : at + 12 + length].hex()
        at += size


def _pmu_names(data: bytes) -> Iterator[tuple[int, str]]:
    """(type, name) of the PMU_MAPPINGS feature."""
    at = 4
    while at + 4 <= len(data):
        kind = struct.unpack_from("<I", data, at)[0]
        name, at = _string(data, at + 4)
        yield kind, name
