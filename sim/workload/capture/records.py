"""One decoded SPE record, as the hardware wrote it, and what its fields mean.

Payloads are kept raw, so that nothing a capture holds is lost; the functions here read addresses,
exception levels, op classes and memory levels out of them.

Fidelity note. Packets and payloads: Arm ARM DDI 0487 D17.5 and what `perf` decodes
(`arm-spe-pkt-decoder.c`). Memory levels come from the data source packet in the encoding of
Neoverse and Cortex cores, else from the event bits; cores with another encoding (AmpereOne, HIP12)
come out wrong, which `Survey` shows as sources out of range. UNVERIFIED: which cache level the
sources 9 to 13 stand for in cost; they are put at the nearest level that the simulator has.
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from sim.workload.presets import EV_L1D_REFILL, EV_LLC_ACCESS, EV_LLC_MISS
from sim.workload.timing import MemLevel, TimingClass

U64 = NDArray[np.uint64]
U8 = NDArray[np.uint8]
Records = NDArray[np.void]
"""An array of CAPTURE_DT."""

CAPTURE_DT = np.dtype(
    [
        ("offset", "<i8"),
        ("ts", "<u8"),
        ("pc", "<u8"),
        ("target", "<u8"),
        ("va", "<u8"),
        ("pa", "<u8"),
        ("prev_target", "<u8"),
        ("events", "<u8"),
        ("source", "<u4"),
        ("context_el1", "<u4"),
        ("context_el2", "<u4"),
        ("present", "<u4"),
        ("size", "<u4"),
        ("total", "<u2"),
        ("issue", "<u2"),
        ("xlat", "<u2"),
        ("alt_issue", "<u2"),
        ("op_class", "u1"),
        ("op_payload", "u1"),
        ("damage", "u1"),
        ("reserved", "u1"),
    ]
)
"""One record. `offset` [bytes] of its first packet in the AUX stream, `size` [bytes] from there to
its end; `present` of Packet; `op_class` 0 other, 1 load or store, 2 branch; addresses, events and
source as raw payloads; latencies in cycles as counted (saturated); `ts` in timer ticks; `damage` 1
if bytes of it are missing or bad."""


class Packet(IntFlag):
    """Which packets a record had."""

    PC = 1 << 0
    TARGET = 1 << 1
    VA = 1 << 2
    PA = 1 << 3
    PREV_TARGET = 1 << 4
    TOTAL = 1 << 5
    ISSUE = 1 << 6
    XLAT = 1 << 7
    ALT_ISSUE = 1 << 8
    EVENTS = 1 << 9
    OP = 1 << 10
    SOURCE = 1 << 11
    CONTEXT_EL1 = 1 << 12
    CONTEXT_EL2 = 1 << 13
    TIMESTAMP = 1 << 14
    END = 1 << 15


OTHER, LOAD_STORE, BRANCH = 0, 1, 2
"""Values of `op_class`."""

# Packet's values and MAX_RECORD are frozen into the njit code of `packets`; naming njit here puts
# this file into the address of the compiled code (`sim.draws`).
MAX_RECORD = 2048
"""Bytes of the longest record that PMSIDR_EL1.MaxSize can name."""

EV_RETIRED, EV_MISPREDICTED, EV_REMOTE = 1 << 1, 1 << 7, 1 << 10
_TOP_BYTE = np.uint64(0xFF << 56)
_LOW56 = np.uint64((1 << 56) - 1)
_SOURCE_LEVEL = {0: 1, 8: 2, 9: 3, 10: 3, 11: 3, 12: 3, 13: 4, 14: 4}
"""Data source of Neoverse-class cores → MemLevel."""


def has(records: Records, packet: Packet) -> NDArray[np.bool_]:
    """Which records [n] had a packet."""
    return np.asarray((records["present"] & np.uint32(packet.value)) != 0)


def exception_level(raw: U64) -> NDArray[np.uint8]:
    """EL of a PC or branch target payload, bits [62:61]."""
    return np.asarray((raw >> np.uint64(61)) & np.uint64(3), np.uint8)


def code_address(raw: U64) -> U64:
    """Virtual address of a PC or branch target payload; EL1 and EL2 non-secure lie at the top."""
    kernel = (raw >> np.uint64(63) == 1) & np.isin(exception_level(raw), (1, 2))
    return np.asarray(np.where(kernel, raw | _TOP_BYTE, raw & _LOW56))


def timing_class(records: Records) -> NDArray[np.uint8]:
    """TimingClass of each record [n]; scalar floating point cannot be told from other ops."""
    kind, payload = records["op_class"], records["op_payload"]
    memory = kind == LOAD_STORE
    extended = memory & ((payload & 0xE2) == 0x02)
    atomic = extended & ((payload & 0x04) != 0)
    out = np.full(records.size, int(TimingClass.OTHER), np.uint8)
    out[kind == BRANCH] = TimingClass.BRANCH
    out[memory] = np.where(payload[memory] & 1, TimingClass.STORE, TimingClass.LOAD)
    out[atomic] = TimingClass.ATOMIC
    return out


def memory_level(records: Records) -> NDArray[np.uint8]:
    """MemLevel of each record [n]: data source if there is one, else events; 0 without access."""
    events = records["events"]
    level = np.full(records.size, int(MemLevel.L1), np.uint8)
    for bit, found in (
        (EV_L1D_REFILL, MemLevel.L2),
        (EV_LLC_ACCESS, MemLevel.SLC),
        (EV_LLC_MISS | EV_REMOTE, MemLevel.DRAM),
    ):
        level[(events & np.uint64(bit)) != 0] = found
    sourced = has(records, Packet.SOURCE)
    for source, known in _SOURCE_LEVEL.items():
        level[sourced & (records["source"] == source)] = known
    level[records["op_class"] != LOAD_STORE] = MemLevel.NONE
    return level


def known_source(records: Records) -> NDArray[np.bool_]:
    """Which records [n] have no data source packet, or one that `memory_level` knows."""
    return np.asarray(
        ~has(records, Packet.SOURCE) | np.isin(records["source"], tuple(_SOURCE_LEVEL))
    )


def retired(records: Records) -> NDArray[np.bool_]:
    """Which records [n] are of ops that retired."""
    return np.asarray((records["events"] & np.uint64(EV_RETIRED)) != 0)
