"""An encoder of SPE packets and records, written from the Arm ARM and used by tests only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.workload.capture.records import CAPTURE_DT, Packet

PAD, END = b"\0", b"\x01"
ADDRESS = {Packet.PC: 0, Packet.TARGET: 1, Packet.VA: 2, Packet.PA: 3, Packet.PREV_TARGET: 4}
COUNTER = {Packet.TOTAL: 0, Packet.ISSUE: 1, Packet.XLAT: 2, Packet.ALT_ISSUE: 4}
FIELD = {
    Packet.PC: "pc",
    Packet.TARGET: "target",
    Packet.VA: "va",
    Packet.PA: "pa",
    Packet.PREV_TARGET: "prev_target",
    Packet.TOTAL: "total",
    Packet.ISSUE: "issue",
    Packet.XLAT: "xlat",
    Packet.ALT_ISSUE: "alt_issue",
    Packet.EVENTS: "events",
    Packet.OP: "op_payload",
    Packet.SOURCE: "source",
    Packet.CONTEXT_EL1: "context_el1",
    Packet.CONTEXT_EL2: "context_el2",
    Packet.TIMESTAMP: "ts",
}
ORDER = (
    Packet.PC,
    Packet.CONTEXT_EL1,
    Packet.CONTEXT_EL2,
    Packet.OP,
    Packet.EVENTS,
    Packet.ISSUE,
    Packet.TOTAL,
    Packet.VA,
    Packet.TARGET,
    Packet.XLAT,
    Packet.PA,
    Packet.SOURCE,
    Packet.ALT_ISSUE,
    Packet.PREV_TARGET,
)
SLOT = (
    (Packet.PC, 9),
    (Packet.CONTEXT_EL1, 5),
    (Packet.CONTEXT_EL2, 5),
    (Packet.OP, 2),
    (Packet.EVENTS, 3),
    (Packet.ISSUE, 3),
    (Packet.TOTAL, 3),
    (Packet.VA, 9),
    (Packet.XLAT, 3),
    (Packet.PA, 9),
    (Packet.SOURCE, 2),
    (None, 2),
)
"""The fixed 64-byte layout of Neoverse-class cores: packet and its bytes."""


def sized(header: int, value: int, width: int) -> bytes:
    """A packet whose header says its payload's size in bits [5:4]."""
    return bytes([header | (width.bit_length() - 1) << 4]) + value.to_bytes(width, "little")


def extended(prefix: int, packet: bytes) -> bytes:
    """The same packet with an extended header, 0x20 to 0x23 first."""
    return bytes([0x20 | prefix]) + packet


@dataclass(frozen=True)
class Made:
    """One record to encode: payload by packet; `op_class` goes with Packet.OP; widths of events
    and source in bytes; END where there is no timestamp."""

    payload: dict[Packet, int]
    op_class: int = 0
    event_bytes: int = 2
    source_bytes: int = 1
    order: tuple[Packet, ...] = field(default=ORDER)

    @property
    def present(self) -> int:
        """Packets that a decoder must find."""
        bits = sum(packet.value for packet in self.payload)
        return bits if Packet.TIMESTAMP in self.payload else bits | Packet.END.value


def packet(made: Made, which: Packet) -> bytes:
    """One packet of a record."""
    value = made.payload[which]
    if which in ADDRESS:
        return sized(0x80 | ADDRESS[which], value, 8)
    if which in COUNTER:
        return sized(0x88 | COUNTER[which], value, 2)
    if which is Packet.EVENTS:
        return sized(0x42, value, made.event_bytes)
    if which is Packet.SOURCE:
        return sized(0x43, value, made.source_bytes)
    if which is Packet.OP:
        return sized(0x48 | made.op_class, value, 1)
    if which is Packet.TIMESTAMP:
        return sized(0x41, value, 8)
    return sized(0x44 | (which is Packet.CONTEXT_EL2), value, 4)


def ending(made: Made) -> bytes:
    """The packet that ends a record."""
    return packet(made, Packet.TIMESTAMP) if Packet.TIMESTAMP in made.payload else END


def variable(made: Made) -> bytes:
    """The record with its packets one after the other."""
    body = b"".join(packet(made, which) for which in made.order if which in made.payload)
    return body + ending(made)


def fixed(made: Made) -> bytes:
    """The record in a 64-byte slot; a branch target takes the place of the data address."""
    out = b""
    for which, width in SLOT:
        place = Packet.TARGET if which is Packet.VA and Packet.TARGET in made.payload else which
        out += packet(made, place) if place in made.payload else PAD * width
    return out + ending(made).rjust(9, PAD)


def expected(records: Iterable[tuple[int, int, Made]]) -> NDArray[np.void]:
    """What a decoder must return for (offset, size, record)."""
    rows = list(records)
    out = np.zeros(len(rows), CAPTURE_DT)
    for row, (offset, size, made) in zip(out, rows, strict=True):
        row["offset"], row["size"], row["present"] = offset, size, made.present
        row["op_class"] = made.op_class if Packet.OP in made.payload else 0
        for which, value in made.payload.items():
            row[FIELD[which]] = value
    return out


def load(pc: int, ts: int, *, total: int = 20, source: int = 0, context: int = 42) -> Made:
    """An ordinary EL0 load."""
    return Made(
        {
            Packet.PC: 0x80 << 56 | pc,
            Packet.CONTEXT_EL1: context,
            Packet.OP: 0,
            Packet.EVENTS: 0x16,
            Packet.ISSUE: 4,
            Packet.TOTAL: total,
            Packet.VA: 0x7000,
            Packet.XLAT: 1,
            Packet.SOURCE: source,
            Packet.TIMESTAMP: ts,
        },
        op_class=1,
    )


def of_simulation(
    rows: NDArray[np.void], pc: NDArray[np.uint64], op_class: NDArray[np.uint8], clock_hz: int
) -> bytes:
    """Records of a simulation (RECORD_DT) as slots, with a timer of 1 GHz; static ops' addresses
    and OpClass given."""
    memory = {1, 2, 3}
    out = []
    for row in rows:
        kind = int(op_class[row["insn"]])
        ns = (0x80 | int(row["el"]) << 5) << 56
        payload = {
            Packet.PC: ns | int(pc[row["insn"]]),
            Packet.CONTEXT_EL1: int(row["tid"]),
            Packet.OP: int(row["op_payload"]),
            Packet.EVENTS: int(row["events"]),
            Packet.ISSUE: int(row["issue"]),
            Packet.TOTAL: int(row["total"]),
            Packet.TIMESTAMP: int(row["t_select"]) * 10**9 // (64 * clock_hz),
        }
        if kind in memory:
            payload |= {Packet.VA: int(row["va"]), Packet.XLAT: int(row["xlat"])}
        if kind in (1, 3):
            payload[Packet.SOURCE] = int(row["source"])
        if kind == 4:
            payload[Packet.TARGET] = ns | int(row["target"])
        out.append(fixed(Made(payload, op_class=2 if kind == 4 else int(kind in memory))))
    return b"".join(out)
