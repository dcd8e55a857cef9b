"""SPE records as bytes: fixed slots of 64 bytes, or packed records of 44 and 32.

Each slot holds one record; a packet that an op does not have leaves PAD (00) bytes in its place,
and the timestamp packet ends it. Header and payload encodings: Arm ARM D17.4 and J1.1.1.78; the
offsets within the slot are those of published Neoverse records. Packed records have the packets and
the order of published Kunpeng ones: no context, data source or physical address.

Fidelity note. Modelled: PC with exception level and NS, CONTEXTIDR_EL1 (the task), operation type,
events, ISSUE, TOTAL and XLAT counters, data VA or branch target, data PA, data source of loads,
timestamp. Not modelled: MTE tags in the VA, PA attributes, CONTEXTIDR_EL2 (a host with VHE has its
task there), previous-branch targets, alternate layouts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.spe.buffer import PACKED

U64 = NDArray[np.uint64]

RECORD_BYTES = 64
SLOT = np.dtype(
    [
        ("pc_h", "u1"),
        ("pc", "<u8"),
        ("context_h", "u1"),
        ("context", "<u4"),
        ("context2_h", "u1"),
        ("context2", "<u4"),
        ("op_h", "u1"),
        ("op", "u1"),
        ("events_h", "u1"),
        ("events", "<u2"),
        ("issue_h", "u1"),
        ("issue", "<u2"),
        ("total_h", "u1"),
        ("total", "<u2"),
        ("va_h", "u1"),
        ("va", "<u8"),
        ("xlat_h", "u1"),
        ("xlat", "<u2"),
        ("pa_h", "u1"),
        ("pa", "<u8"),
        ("source_h", "u1"),
        ("source", "u1"),
        ("pad", "<u2"),
        ("time_h", "u1"),
        ("time", "<u8"),
    ]
)
"""One record. A header of 0 means that the packet is absent: PAD."""

LONG = np.dtype(
    [
        ("pc_h", "u1"),
        ("pc", "<u8"),
        ("issue_h", "u1"),
        ("issue", "<u2"),
        ("total_h", "u1"),
        ("total", "<u2"),
        ("events_h", "u1"),
        ("events", "<u2"),
        ("op_h", "u1"),
        ("op", "u1"),
        ("va_h", "u1"),
        ("va", "<u8"),
        ("xlat_h", "u1"),
        ("xlat", "<u2"),
        ("pad", "u1", 3),
        ("time_h", "u1"),
        ("time", "<u8"),
    ]
)
"""A packed record with an address; a short one lacks VA and XLAT."""
_SHORT_LACKS = slice(20, 32)

_PC, _TARGET, _VA, _PA = 0xB0, 0xB1, 0xB2, 0xB3
_CONTEXT_EL1, _EVENTS, _SOURCE, _TIMESTAMP = 0x64, 0x52, 0x43, 0x71
_TOTAL, _ISSUE, _XLAT = 0x98, 0x99, 0x9A
_OP_TYPE = np.array([0x48, 0x49, 0x49, 0x49, 0x4A], np.uint8)
"""Other, load, store, atomic, branch."""
_HAS_SOURCE = np.array([0, 1, 0, 1, 0], bool)
"""Loads, and atomics, which are recorded as their load half."""
_NS = np.uint64(1 << 63)
_EL_SHIFT = np.uint64(61)
_ADDRESS = np.uint64((1 << 56) - 1)


def encode(
    records: NDArray[np.void], pc: U64, op_class: NDArray[np.uint8], time: U64
) -> NDArray[np.void]:
    """Slots [n] of SLOT from records [n] of RECORD_DT, their `pc`, `op_class` and timer values."""
    slots = np.zeros(records.size, SLOT)
    memory, branch = records["level"] > 0, records["target"] != 0
    code = _NS | records["el"].astype(np.uint64) << _EL_SHIFT  # NS and EL of a code address
    slots["pc_h"], slots["pc"] = _PC, pc & _ADDRESS | code
    slots["context_h"], slots["context"] = _CONTEXT_EL1, records["tid"]
    slots["op_h"], slots["op"] = _OP_TYPE[op_class], records["op_payload"]
    slots["events_h"], slots["events"] = _EVENTS, records["events"]
    slots["issue_h"], slots["issue"] = _ISSUE, records["issue"]
    slots["total_h"], slots["total"] = _TOTAL, records["total"]
    slots["va_h"] = np.where(memory, _VA, np.where(branch, _TARGET, 0))
    slots["va"] = np.where(branch, records["target"] & _ADDRESS | code, records["va"])
    slots["xlat_h"], slots["xlat"] = np.where(memory, _XLAT, 0), records["xlat"]
    slots["pa_h"] = np.where(memory, _PA, 0)
    slots["pa"] = np.where(memory, records["pa"] & _ADDRESS | _NS, 0)
    loads = memory & _HAS_SOURCE[op_class]
    slots["source_h"], slots["source"] = np.where(loads, _SOURCE, 0), records["source"]
    slots["time_h"], slots["time"] = _TIMESTAMP, time
    return slots


def pack(
    records: NDArray[np.void], pc: U64, op_class: NDArray[np.uint8], time: U64
) -> NDArray[np.uint8]:
    """Packed records, one after the other, of the records that `encode` puts into slots."""
    slots = encode(records, pc, op_class, time)
    long = np.zeros(records.size, LONG)
    for name in LONG.names or ():
        if name != "pad":
            long[name] = slots[name]
    rows = long.view(np.uint8).reshape(records.size, LONG.itemsize)
    keep = np.ones(rows.shape, bool)
    short = np.array(PACKED.bytes_of)[op_class] < LONG.itemsize
    keep[short, _SHORT_LACKS] = False
    return np.asarray(rows[keep])
