"""Records of perf.data: headers, padding, trailers as the kernel's structures have them."""

from __future__ import annotations

import struct

import pytest

from reports.perf import events
from reports.perf.events import Trailer, Type

AT = Trailer(tid=7, t=1000, cpu=3, event_id=9)
RECORDS = {
    Type.COMM: events.comm("a-name-of-more-than-fifteen", AT),
    Type.MMAP2: events.mmap2(0x1000, 0x2000, 0, events.PROT_TEXT, "/bin/x", AT),
    Type.ITRACE_START: events.itrace_start(AT),
    Type.AUX: events.aux(0, 4096, 1, AT),
    Type.AUXTRACE: events.auxtrace(0, 4096, 3),
    Type.EXIT: events.task_exit(AT),
    Type.TIME_CONV: events.time_conv(),
    Type.ID_INDEX: events.id_index([(9, 3), (10, 4)]),
    Type.AUXTRACE_INFO: events.auxtrace_info_v2(11, 2, 0x410FD0C0, 1024),
    Type.FINISHED_ROUND: events.finished_round(),
}


@pytest.mark.parametrize("kind", list(RECORDS), ids=lambda k: k.name)
def test_a_record_knows_its_kind_and_size(kind: Type) -> None:
    """struct perf_event_header: u32 type, u16 misc, u16 size, and a multiple of eight bytes."""
    record = RECORDS[kind]
    found, _, size = struct.unpack_from("<IHH", record)
    assert (found, size) == (kind, len(record))
    assert len(record) % 8 == 0


def test_the_trailer_is_the_last_of_a_record() -> None:
    """pid, tid, time, cpu, identifier: PERF_SAMPLE_* in the order of sample_id_all."""
    for kind in (Type.COMM, Type.MMAP2, Type.ITRACE_START, Type.AUX, Type.EXIT):
        pid, tid, t, cpu, _, event_id = struct.unpack("<IIQIIQ", RECORDS[kind][-32:])
        assert (pid, tid, t, cpu, event_id) == (7, 7, 1000, 3, 9)


def test_a_switch_is_two_records() -> None:
    """One of the task that leaves, one of the task that comes, at the same time on one CPU."""
    both = events.switch(8, AT)
    out, back = both[: len(both) // 2], both[len(both) // 2 :]
    assert struct.unpack_from("<IHH", out)[:2] == (Type.SWITCH_CPU_WIDE, events.MISC_SWITCH_OUT)
    assert struct.unpack_from("<IHH", back)[:2] == (Type.SWITCH_CPU_WIDE, 0)
    assert struct.unpack_from("<II", out, 8) == (8, 8)
    assert struct.unpack_from("<II", back, 8) == (7, 7)
    assert struct.unpack("<IIQIIQ", back[-32:])[:4] == (8, 8, 1000, 3)


@pytest.mark.parametrize("text", ["", "1234567", "12345678", "é"])
def test_text_ends_with_a_nul(text: str) -> None:
    """And fills eight bytes."""
    raw = events.padded(text)
    assert len(raw) % 8 == 0
    assert raw.rstrip(b"\0") == text.encode()
    assert raw.endswith(b"\0")
