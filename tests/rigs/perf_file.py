"""A writer of perf.data files with SPE data, used by tests only."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tests.rigs.spe_bytes import load, variable

PMU, SPE_ID, DUMMY_ID = 11, 100, 200
SAMPLE_TYPE = 1 | 1 << 1 | 1 << 2 | 1 << 7 | 1 << 16
SID_ALL = 1 << 18


def event(kind: int, misc: int, body: bytes) -> bytes:
    """One record."""
    assert len(body) % 8 == 0
    return struct.pack("<IHH", kind, misc, 8 + len(body)) + body


def padded(text: bytes) -> bytes:
    """A NUL-terminated name, padded to 8 bytes."""
    text += b"\0"
    return text + bytes(-len(text) % 8)


def sid(time: int, cpu: int, *, identifier: int = DUMMY_ID, pid: int = 42, tid: int = 42) -> bytes:
    """The trailer of ids that goes with SAMPLE_TYPE."""
    return struct.pack("<iiQIIQ", pid, tid, time, cpu, 0, identifier)


def time_conv(mult: int = 1, shift: int = 0, zero: int = 0) -> bytes:
    """PERF_RECORD_TIME_CONV in its later form."""
    words = struct.pack("<QQQQQBB6x", shift, mult, zero, 0, (1 << 56) - 1, 1, 1)
    return event(79, 0, words)


def info(*words: int, kind: int = 4) -> bytes:
    """AUXTRACE_INFO."""
    return event(70, 0, struct.pack(f"<II{len(words)}Q", kind, 0, *words))


INFO_V1 = info(PMU, 1)
INFO_V2 = info(2, 4, PMU, 1, 0x1010101010101010, 0, 4, 0x410FD0C0, PMU, 1024, 0xAA)
INFO_HYBRID = info(PMU, 4, PMU, 1, 0x1010101010101010, 0, 4, 0x410FD0C0, PMU, 1024, 0xAA)


def comm(pid: int, name: bytes) -> bytes:
    """A task's name."""
    return event(3, 0, struct.pack("<ii", pid, pid) + padded(name) + sid(1, 0))


def mmap2(pid: int, start: int, size: int, offset: int, path: bytes, build_id: str = "") -> bytes:
    """A mapping of a file."""
    head = struct.pack("<iiQQQ", pid, pid, start, size, offset)
    raw = bytes.fromhex(build_id)
    which = struct.pack("<B3x20s", len(raw), raw) if raw else struct.pack("<IIQQ", 8, 1, 7, 1)
    misc = 2 | (1 << 14 if raw else 0)
    return event(10, misc, head + which + struct.pack("<II", 5, 2) + padded(path) + sid(2, 0))


def switch_out(time: int, cpu: int, next_tid: int) -> bytes:
    """SWITCH_CPU_WIDE: another task comes."""
    return event(15, 1 << 13, struct.pack("<ii", next_tid, next_tid) + sid(time, cpu, tid=0))


def aux(
    offset: int, size: int, flags: int, cpu: int = 0, time: int = 10, identifier: int = SPE_ID
) -> bytes:
    """PERF_RECORD_AUX of the SPE event, or of another one."""
    return event(
        11, 0, struct.pack("<QQQ", offset, size, flags) + sid(time, cpu, identifier=identifier)
    )


def killed(data: bytes, missing: int = 0) -> bytes:
    """The file as a killed `perf record` leaves it: no data size, no features, cut anywhere."""
    at, size = struct.unpack_from("<QQ", data, 40)
    return data[:48] + bytes(8) + data[56 : at + size - missing]


def auxtrace(payload: bytes, offset: int, *, cpu: int = 0, tid: int = -1) -> bytes:
    """PERF_RECORD_AUXTRACE with its payload, padded as `perf record` does."""
    payload += bytes(-len(payload) % 8)
    head = struct.pack("<QQQIiiI", len(payload), offset, 1, max(cpu, 0), tid, cpu, 0)
    return event(71, 0, head) + payload


def attr(
    kind: int, config: int, period: int, *, config2: int = 0, later: Sequence[int] = ()
) -> bytes:
    """128 bytes of `perf_event_attr`, and the words that later versions have after them."""
    size = 128 + 8 * len(later)
    head = struct.pack(
        "<IIQQQQQIIQQ", kind, size, config, period, SAMPLE_TYPE, 4, SID_ALL, 0, 0, 0, config2
    )
    return head.ljust(128, b"\0") + struct.pack(f"<{len(later)}Q", *later)


def perf_data(
    records: Sequence[bytes],
    *,
    config: int = 1,
    period: int = 1024,
    config2: int = 0,
    command: Sequence[bytes] = (b"perf", b"record"),
    midr: int = 0x410FD0C0,
    more: Sequence[bytes] = (),
    later: Sequence[int] = (),
) -> bytes:
    """A whole file: SPE event, tracking event, features CPUID and CMDLINE.

    `more` are attributes of further events, with the identifiers after DUMMY_ID; `later` are the
    SPE event's words from config3 on.
    """
    events = [attr(PMU, config, period, config2=config2, later=later), attr(1, 9, 1), *more]
    numbers = [SPE_ID, *(DUMMY_ID + k for k in range(len(events) - 1))]
    ids = struct.pack(f"<{len(numbers)}Q", *numbers)
    width = max(map(len, events))
    attrs = b"".join(
        a.ljust(width, b"\0") + struct.pack("<QQ", 104 + 8 * k, 8) for k, a in enumerate(events)
    )
    data = b"".join(records)
    attrs_at, data_at = 104 + len(ids), 104 + len(ids) + len(attrs)
    features = (
        _string(b"0x%016x" % midr),
        struct.pack("<I", len(command)) + b"".join(map(_string, command)),
    )
    table_at = data_at + len(data)
    at = table_at + 16 * len(features)
    table = b""
    for feature in features:
        table += struct.pack("<QQ", at, len(feature))
        at += len(feature)
    bits = 1 << 9 | 1 << 11
    head = (
        b"PERFILE2"
        + struct.pack("<QQQQ", 104, width + 16, attrs_at, len(attrs))
        + struct.pack("<QQQQQQQQ", data_at, len(data), 0, 0, bits, 0, 0, 0)
    )
    return head + ids + attrs + data + table + b"".join(features)


def _string(text: bytes) -> bytes:
    body = text + bytes(64 - len(text) % 64)
    return struct.pack("<I", len(body)) + body


def three_loads(count: int = 400) -> bytes:
    """Loads of three addresses, interval 4,096 with jitter, as `perf record` leaves them."""
    each = (variable(load(0x400100 + 4 * (k % 3), 1000 + 300 * k)) for k in range(count))
    records = b"".join(each)
    events = [
        time_conv(),
        INFO_V2,
        comm(42, b"prog"),
        aux(0, len(records), 0),
        auxtrace(records, 0),
    ]
    return perf_data(events, config=1 | 1 << 16, period=4096, command=[b"perf"])
