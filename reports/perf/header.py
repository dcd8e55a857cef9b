"""The header of a perf.data file: events, and what perf tells about the machine.

Nothing here pretends that a machine was there: host name, kernel and processor say that the file
was simulated. Layouts: tools/perf/Documentation/perf.data-file-format.txt.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from reports.perf.events import MISC_BUILD_ID_SIZE, MISC_USER, Sample, Type, padded, record

HEADER_BYTES = 104
ATTR_BYTES = 128
"""perf 6.1 takes no larger one."""
PMU_TYPE = 11
"""Type of arm_spe_0; 0 to 5 belong to the kernel."""
SOFTWARE, DUMMY = 1, 9
_READ_ID = 4
_STRING = 64
_MEMORY_KIB = 16 << 20


class Feature(IntEnum):
    """HEADER_*: bits of the optional sections."""

    BUILD_ID = 2
    HOSTNAME = 3
    OSRELEASE = 4
    VERSION = 5
    ARCH = 6
    NRCPUS = 7
    CPUDESC = 8
    CPUID = 9
    TOTAL_MEM = 10
    CMDLINE = 11
    EVENT_DESC = 12
    NUMA_TOPOLOGY = 14
    PMU_MAPPINGS = 16
    AUXTRACE = 18
    SAMPLE_TIME = 21


class Flag(IntEnum):
    """Bits of perf_event_attr's flags."""

    DISABLED = 0
    INHERIT = 1
    EXCLUDE_KERNEL = 5
    EXCLUDE_HV = 6
    MMAP = 8
    COMM = 9
    ENABLE_ON_EXEC = 12
    TASK = 13
    SAMPLE_ID_ALL = 18
    EXCLUDE_GUEST = 20
    MMAP2 = 23
    COMM_EXEC = 24
    CONTEXT_SWITCH = 26


_USER_ONLY = (Flag.EXCLUDE_KERNEL, Flag.EXCLUDE_HV)
_COMMON = (Flag.DISABLED, Flag.INHERIT, Flag.ENABLE_ON_EXEC, Flag.SAMPLE_ID_ALL)
_TRACKING = (
    *_USER_ONLY,
    Flag.MMAP,
    Flag.COMM,
    Flag.TASK,
    Flag.MMAP2,
    Flag.COMM_EXEC,
    Flag.CONTEXT_SWITCH,
)


@dataclass(frozen=True, slots=True)
class Event:
    """One perf event: its name, attributes and an id per CPU."""

    name: str
    kind: int
    config: int
    period: int
    sample: Sample
    flags: tuple[Flag, ...]
    ids: tuple[int, ...]
    config1: int = 0
    config2: int = 0

    def attr(self) -> bytes:
        """struct perf_event_attr."""
        flags = sum(1 << flag for flag in self.flags)
        packed = struct.pack(
            "<IIQQQQQIIQQ",
            self.kind,
            ATTR_BYTES,
            self.config,
            self.period,
            self.sample,
            _READ_ID,
            flags,
            0,
            0,
            self.config1,
            self.config2,
        )
        return packed + bytes(ATTR_BYTES - len(packed))


PA_ENABLE = 1 << 1
"""Bit of attr.config of arm_spe_pmu."""


@dataclass(frozen=True, slots=True)
class SpeConfig:
    """What the SPE event asks for, in the driver's own config words."""

    name: str
    period: int
    config: int
    event_filter: int
    min_latency: int
    user_only: bool


@dataclass(frozen=True, slots=True)
class MachineText:
    """What the header says of the machine."""

    perf_version: str
    program_version: str
    core: str
    midr: int
    command: tuple[str, ...]


def events(spe: SpeConfig, cpus: int) -> tuple[Event, Event]:
    """The SPE event and the event that tracks tasks and mappings."""
    base = Sample.IP | Sample.TID | Sample.TIME | Sample.CPU | Sample.IDENTIFIER
    physical = Sample.PHYS_ADDR if spe.config & PA_ENABLE else 0
    user = _USER_ONLY if spe.user_only else ()
    return (
        Event(
            spe.name,
            PMU_TYPE,
            spe.config,
            spe.period,
            base | Sample.DATA_SRC | physical,
            (*_COMMON, Flag.EXCLUDE_GUEST, *user),
            tuple(range(1, cpus + 1)),
            config1=spe.event_filter,
            config2=spe.min_latency,
        ),
        Event(
            "dummy:u",
            SOFTWARE,
            DUMMY,
            1,
            base,
            (*_COMMON, *_TRACKING),
            tuple(range(cpus + 1, 2 * cpus + 1)),
        ),
    )


def head(events: Sequence[Event], data_bytes: int, features: dict[Feature, bytes]) -> bytes:
    """The fixed header, ids and attributes; everything before the data section."""
    entry = ATTR_BYTES + 16
    ids = b"".join(struct.pack(f"<{len(e.ids)}Q", *e.ids) for e in events)
    attrs, at = b"", HEADER_BYTES
    for event in events:
        attrs += event.attr() + struct.pack("<QQ", at, 8 * len(event.ids))
        at += 8 * len(event.ids)
    bits = sum(1 << feature for feature in features)
    words = [bits >> shift & (1 << 64) - 1 for shift in (0, 64, 128, 192)]
    fixed = b"PERFILE2" + struct.pack(
        "<12Q", HEADER_BYTES, entry, at, len(attrs), at + len(attrs), data_bytes, 0, 0, *words
    )
    return fixed + ids + attrs


def head_bytes(events: Sequence[Event]) -> int:
    """Where the data section begins."""
    return len(head(events, 0, {}))


def tail(features: dict[Feature, bytes], at: int) -> bytes:
    """The table of feature sections and the sections; `at` is where the table begins."""
    table, body = b"", b""
    at += 16 * len(features)
    for feature in sorted(features):
        section = features[feature] + bytes(-len(features[feature]) % 8)
        table += struct.pack("<QQ", at + len(body), len(section))
        body += section
    return table + body


def string(text: str) -> bytes:
    """A header string: length, then NUL-padded bytes."""
    raw = padded(text, _STRING)
    return struct.pack("<I", len(raw)) + raw


def features(
    machine: MachineText,
    events: Sequence[Event],
    cpus: int,
    span: tuple[int, int],
    chunks: Sequence[int],
    build_ids: Sequence[tuple[bytes, str]],
) -> dict[Feature, bytes]:
    """Every section; `span` first and last ns, `chunks` file offsets of AUXTRACE records."""
    node = struct.pack("<IIQQ", 1, 0, _MEMORY_KIB, _MEMORY_KIB // 2)
    return {
        Feature.BUILD_ID: b"".join(_build_id(*entry) for entry in build_ids),
        Feature.HOSTNAME: string("speskew-simulation"),
        Feature.OSRELEASE: string("simulated"),
        Feature.VERSION: string(f"{machine.perf_version} (speskew {machine.program_version})"),
        Feature.ARCH: string("aarch64"),
        Feature.NRCPUS: struct.pack("<II", cpus, cpus),
        Feature.CPUDESC: string(f"{machine.core} (simulated)"),
        Feature.CPUID: string(f"0x{machine.midr:016x}"),
        Feature.TOTAL_MEM: struct.pack("<Q", _MEMORY_KIB),
        Feature.CMDLINE: struct.pack("<I", len(machine.command))
        + b"".join(string(word) for word in machine.command),
        Feature.EVENT_DESC: struct.pack("<II", len(events), ATTR_BYTES)
        + b"".join(_description(event) for event in events),
        Feature.NUMA_TOPOLOGY: node + string(f"0-{cpus - 1}" if cpus > 1 else "0"),
        Feature.PMU_MAPPINGS: struct.pack("<I", 2)
        + struct.pack("<I", SOFTWARE)
        + string("software")
        + struct.pack("<I", PMU_TYPE)
        + string("arm_spe_0"),
        Feature.AUXTRACE: struct.pack("<Q", len(chunks))
        + b"".join(struct.pack("<QQ", at, 48) for at in chunks),
        Feature.SAMPLE_TIME: struct.pack("<QQ", *span),
    }


def _description(event: Event) -> bytes:
    ids = struct.pack(f"<{len(event.ids)}Q", *event.ids)
    return event.attr() + struct.pack("<I", len(event.ids)) + string(event.name) + ids


def _build_id(build_id: bytes, path: str) -> bytes:
    fixed = struct.pack("<i20sB3x", -1, build_id, len(build_id))
    return record(Type.BUILD_ID, MISC_USER | MISC_BUILD_ID_SIZE, fixed + padded(path, _STRING))
