"""Records of packets: addresses, classes and levels as perf shows them."""

from __future__ import annotations

import numpy as np

from sim.workload.capture.packets import decode
from sim.workload.capture.records import (
    Packet,
    code_address,
    exception_level,
    memory_level,
    timing_class,
)
from sim.workload.presets import get_preset
from sim.workload.timing import MemLevel, TimingClass
from tests.rigs.spe_bytes import (
    Made,
    variable,
)


def test_addresses_as_perf_shows_them() -> None:
    """Kernel addresses get their top byte back, user addresses lose their level."""
    raw = np.array([0x80 << 56 | 0x400100, 0xA0 << 56 | 0x00FF_8000_1234_5678], np.uint64)
    assert [hex(a) for a in code_address(raw)] == ["0x400100", "0xffff800012345678"]
    assert exception_level(raw).tolist() == [0, 1]


def test_levels_of_the_preset_come_back() -> None:
    """Events and data sources that the simulator writes mean the levels they came from."""
    preset = get_preset("neoverse-n1")
    for level in (MemLevel.L1, MemLevel.L2, MemLevel.SLC, MemLevel.DRAM):
        events = 2 | int(preset.level_events()[level])
        source = int(preset.level_source()[level])
        sourced = Made({Packet.OP: 0, Packet.EVENTS: events, Packet.SOURCE: source}, op_class=1)
        store = Made({Packet.OP: 1, Packet.EVENTS: events}, op_class=1)
        records, _ = decode(variable(sourced) + variable(store))
        assert memory_level(records).tolist() == [level, level]


def test_classes_by_operation_type() -> None:
    """Operation type packets name the class; atomics are not plain loads."""
    cases = [
        (0, 0, TimingClass.OTHER),
        (1, 0, TimingClass.LOAD),
        (1, 1, TimingClass.STORE),
        (1, 4, TimingClass.LOAD),
        (1, 0x06, TimingClass.ATOMIC),
        (1, 0x0A, TimingClass.LOAD),
        (2, 1, TimingClass.BRANCH),
    ]
    data = b"".join(variable(Made({Packet.OP: payload}, kind)) for kind, payload, _ in cases)
    records, _ = decode(data)
    assert timing_class(records).tolist() == [want for _, _, want in cases]


REAL = bytes.fromhex(
    "b0d0c2a1ed66baffc0 0000000000 65805f0000 4900 521600 990400 980c00 b2286b0903370eff00"
    "9a0100 000000000000000000 4300 0000 712e652f6a0a000000"
    "b0e0b0efed66baffc0 0000000000 650e000000 4a01 524200 991000 981100 b1e4b0efed66baffc0"
    "00000000000000000000000000000000 718d652f6a0a000000"
)
"""Two records of real hardware, a load and a branch not taken (published in the test data of
google/perf_data_converter)."""


def test_published_records_decode() -> None:
    """Real records: every field as other decoders read it."""
    records, counts = decode(REAL)
    assert (counts.records, counts.bad, counts.unknown, counts.damaged) == (2, 0, 0, 0)
    assert records["size"].tolist() == [64, 64]
    pc = [0xFFFF_BA66_EDA1_C2D0, 0xFFFF_BA66_EDEF_B0E0]
    assert code_address(records["pc"]).tolist() == pc
    assert exception_level(records["pc"]).tolist() == [2, 2]
    assert code_address(records["target"][1:]).tolist() == [pc[1] + 4]
    assert [hex(va & (1 << 56) - 1) for va in records["va"][:1].tolist()] == ["0xff0e3703096b28"]
    for name, values in (
        ("total", [12, 17]),
        ("issue", [4, 16]),
        ("xlat", [1, 0]),
        ("events", [0x16, 0x42]),
        ("context_el2", [0x5F80, 0xE]),
        ("ts", [44731163950, 44731164045]),
        ("op_class", [1, 2]),
        ("op_payload", [0, 1]),
        ("source", [0, 0]),
    ):
        assert records[name].tolist() == values, name
