"""Packets as published records have them."""

from __future__ import annotations

import numpy as np

from reports.perf import packets
from sim.results import RECORD_DT


def test_packets_lie_where_published_records_have_them() -> None:
    """A store at EL1: every byte of its slot, written out by hand."""
    record = np.zeros(1, RECORD_DT)
    for name, value in (
        ("tid", 0x1234),
        ("el", 1),
        ("op_payload", 1),
        ("events", 0x16),
        ("issue", 5),
        ("total", 0x123),
        ("xlat", 2),
        ("va", 0xABCD),
        ("pa", 0x9000),
        ("level", 1),
    ):
        record[name] = value
    pc, time = np.array([0xFFFF_8000_1000_0040], np.uint64), np.array([77], np.uint64)
    slot = packets.encode(record, pc, np.array([2], np.uint8), time).tobytes()
    assert slot.hex(" ") == (
        "b0 40 00 00 10 00 80 ff a0 64 34 12 00 00 00 00 00 00 00 49 01 52 16 00 99 05 00 98 23 01"
        " b2 cd ab 00 00 00 00 00 00 9a 02 00 b3 00 90 00 00 00 00 00 80 00 00 00 00"
        " 71 4d 00 00 00 00 00 00 00"
    )


def test_absent_packets_are_padding() -> None:
    """A branch has a target and no data packets; an op that touches nothing has neither."""
    records = np.zeros(2, RECORD_DT)
    records["target"] = (0x400100, 0)
    pc, time = np.full(2, 0x400000, np.uint64), np.zeros(2, np.uint64)
    branch, other = packets.encode(records, pc, np.array([4, 0], np.uint8), time)
    assert (branch["op_h"], branch["va_h"], branch["va"]) == (0x4A, 0xB1, 0x8000_0000_0040_0100)
    for name in ("pa_h", "xlat_h", "source_h", "context2_h"):
        assert branch[name] == other[name] == 0
    assert (other["op_h"], other["va_h"], other["va"]) == (0x48, 0, 0)
