"""From the bytes of an AUX stream to records, in bounded memory.

Fidelity note. Every packet of the Arm ARM (D17.5) is recognised: short and extended headers,
payloads of 1 to 8 bytes, padding, alignment, fixed and variable layouts (any order of packets up to
END or a timestamp is a record). What is well formed but has no field in CAPTURE_DT (counters and
addresses without an architected meaning) is counted as `unknown`. After a byte that begins no
packet the decoder goes one byte on, as `perf` does (`arm_spe_get_next_packet`). `perf` shows the
record that it was building as a sample of its own; here both of its halves are marked `damage`.
An alignment packet skips to a multiple of its size in the AUX stream, not in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit, njit_inline, njit_inner
from sim.workload.capture.records import CAPTURE_DT, MAX_RECORD, Packet, Records

MAX_CHUNK = 65_536
"""Most records in one array that a decoder yields."""
MAX_PLACES = 16
"""Bad bytes whose offsets are kept."""

# Entries of the counts and of the state that compiled code keeps between calls.
(_RECORDS, _BAD, _PADS, _UNKNOWN, _CUT, _REPEATED, _DAMAGED, _BYTES) = range(8)
_COUNTS = 8
_OPEN, _SICK, _SKIP = range(3)  # record begun; bytes of it are bad; alignment bytes still to pass

_PC, _TARGET, _VA, _PA = (p.value for p in (Packet.PC, Packet.TARGET, Packet.VA, Packet.PA))
_PREV, _TOTAL, _ISSUE = (p.value for p in (Packet.PREV_TARGET, Packet.TOTAL, Packet.ISSUE))
_XLAT, _ALT, _EVENTS = (p.value for p in (Packet.XLAT, Packet.ALT_ISSUE, Packet.EVENTS))
_OP, _SOURCE, _CX1 = (p.value for p in (Packet.OP, Packet.SOURCE, Packet.CONTEXT_EL1))
_CX2, _TS, _END = (p.value for p in (Packet.CONTEXT_EL2, Packet.TIMESTAMP, Packet.END))


@dataclass(frozen=True, slots=True)
class Counts:
    """What a decoder met. `bad` bytes began no packet, at offsets `bad_at` (the first few);
    `pads` bytes of padding; `unknown` packets without a field; `repeated` packets that a record had
    twice; `cut` records that ended before their END; `damaged` records among `records`."""

    records: int
    bytes: int
    bad: int
    bad_at: tuple[int, ...]
    pads: int
    unknown: int
    repeated: int
    cut: int
    damaged: int


_NONE, _ENDING, _ALIGNMENT, _INCOMPLETE = 0, 1, 0x20, -1
"""Kinds of packet beside the lowest header byte of each (0x42, 0x98, …)."""


@njit_inline
def _kind(head: Any, extended: Any) -> Any:
    """Kind of packet that a header byte begins; only addresses and counters may be extended."""
    kind = _NONE
    if head & 0xF8 == 0xB0 or head & 0xF8 == 0x98:
        kind = head & 0xF8
    elif extended:
        kind = _NONE
    elif head == 0x71:
        kind = 0x71
    elif head & 0xCF == 0x42 or head & 0xCF == 0x43:
        kind = head & 0xCF
    elif head & 0xFC == 0x64 or head & 0xFC == 0x48:
        kind = head & 0xFC
    return kind


@njit_inner
def _packet(data: Any, at: Any) -> Any:
    """(kind, index, bytes of header, bytes of payload) of the packet at `at`."""
    byte = np.int64(data[at])
    left = data.size - at
    head, high, header = byte, np.int64(0), np.int64(1)
    if byte == 1:
        return _ENDING, 0, 1, 0
    if byte & 0xFC == 0x20:
        if left == 1:
            return _INCOMPLETE, 0, 1, 0
        head, high, header = np.int64(data[at + 1]), (byte & 3) << 3, np.int64(2)
        if head == 0:
            return _ALIGNMENT, byte & 3, 2, 0
    kind = _kind(head, header == 2)
    if kind == _NONE:
        return _NONE, 0, 1, 0
    width = np.int64(1) << ((head >> 4) & 3)
    if header + width > left:
        return _INCOMPLETE, 0, 1, 0
    index = high | (head & (7 if kind == 0xB0 or kind == 0x98 else 3))
    return kind, index, header, width


@njit_inner
def _store(record: Any, kind: Any, index: Any, value: Any) -> Any:  # noqa: C901 - a table, compiled
    """Put a payload into its field; its Packet bit, or 0 if it has no field."""
    if kind == 0xB0:
        if index == 0:
            record.pc = value
            return _PC
        if index == 1:
            record.target = value
            return _TARGET
        if index == 2:
            record.va = value
            return _VA
        if index == 3:
            record.pa = value
            return _PA
        if index == 4:
            record.prev_target = value
            return _PREV
    elif kind == 0x98:
        if index == 0:
            record.total = np.uint16(value)
            return _TOTAL
        if index == 1:
            record.issue = np.uint16(value)
            return _ISSUE
        if index == 2:
            record.xlat = np.uint16(value)
            return _XLAT
        if index == 4:
            record.alt_issue = np.uint16(value)
            return _ALT
    elif kind == 0x42:
        record.events = value
        return _EVENTS
    elif kind == 0x43:
        record.source = np.uint32(value & np.uint64(0xFFFFFFFF))
        return _SOURCE
    elif kind == 0x48 and index < 3:
        record.op_class = np.uint8(index)
        record.op_payload = np.uint8(value)
        return _OP
    elif kind == 0x64 and index < 2:
        if index == 0:
            record.context_el1 = np.uint32(value)
            return _CX1
        record.context_el2 = np.uint32(value)
        return _CX2
    return 0


@njit_inline
def _payload(data: Any, at: Any, width: Any) -> Any:
    value = np.uint64(0)
    for k in range(width):
        value |= np.uint64(data[at + k]) << np.uint64(8 * k)
    return value


@njit_inner
def _emit(half: Any, end: Any, state: Any, out: Any, n: Any, counts: Any) -> None:
    """The record under construction becomes `out[n]`."""
    length = end - half[0].offset
    half[0].size = np.uint32(min(length, 0xFFFFFFFF))
    if state[_SICK] != 0 or length > MAX_RECORD:
        half[0].damage = 1
        counts[_DAMAGED] += 1
    out[n] = half[0]
    state[_OPEN] = 0


@njit_inner
def _skip_bad(base: Any, at: Any, counts: Any, places: Any) -> None:
    if counts[_BAD] < places.size:
        places[counts[_BAD]] = base + at
    counts[_BAD] += 1


@njit
def _decode(
    data: Any,
    base: Any,
    last: Any,
    half: Any,
    blank: Any,
    state: Any,
    out: Any,
    counts: Any,
    places: Any,
) -> Any:
    """Decode until `data` is used up or `out` is full: (bytes used, records written).

    Without `last`, an incomplete packet at the end is left for the next call.
    """
    at, n, size = 0, 0, data.size
    while at < size and n < out.size:
        if state[_SKIP] > 0 or data[at] == 0:
            step = min(max(state[_SKIP], 1), size - at)
            state[_SKIP] = max(0, state[_SKIP] - step)
            counts[_PADS] += step
            at += step
            continue
        kind, index, header, width = _packet(data, at)
        if kind == _INCOMPLETE and not last:
            break
        if kind == _ALIGNMENT:
            multiple = np.int64(2) << index
            state[_SKIP] = multiple - ((base + at) & (multiple - 1))
            continue
        if kind in (_NONE, _INCOMPLETE):
            _skip_bad(base, at, counts, places)
            state[_SICK] = 1
            if state[_OPEN] != 0:
                _emit(half, base + at, state, out, n, counts)
                n += 1
            at += 1
            continue
        if state[_OPEN] == 0:
            half[0] = blank[0]
            half[0].offset = base + at
            state[_OPEN] = 1
        value = _payload(data, at + header, width)
        at += header + width
        ends = kind == _ENDING or kind == 0x71
        if kind == 0x71:
            half[0].ts = value
            bit = _TS
        elif kind == _ENDING:
            bit = _END
        else:
            bit = _store(half[0], kind, index, value)
        if bit == 0:
            counts[_UNKNOWN] += 1
        if bit & half[0].present:
            counts[_REPEATED] += 1
        half[0].present = half[0].present | np.uint32(bit)
        if ends:
            _emit(half, base + at, state, out, n, counts)
            n += 1
            state[_SICK] = 0
    return at, n


class Decoder:
    """One AUX stream's decoder. Give it the bytes in order; a record may span two pieces."""

    def __init__(self) -> None:
        self._half = np.zeros(1, CAPTURE_DT)
        self._blank = np.zeros(1, CAPTURE_DT)
        self._state = np.zeros(3, np.int64)
        self._counts = np.zeros(_COUNTS, np.int64)
        self._places = np.zeros(MAX_PLACES, np.int64)
        self._left = b""
        self._at = 0

    @property
    def position(self) -> int:
        """Offset in the AUX stream of the byte that comes next."""
        return self._at + len(self._left)

    @property
    def counts(self) -> Counts:
        """What was met so far."""
        c = [int(n) for n in self._counts]
        return Counts(
            records=c[_RECORDS],
            bytes=c[_BYTES],
            bad=c[_BAD],
            bad_at=tuple(int(p) for p in self._places[: min(c[_BAD], MAX_PLACES)]),
            pads=c[_PADS],
            unknown=c[_UNKNOWN],
            repeated=c[_REPEATED],
            cut=c[_CUT],
            damaged=c[_DAMAGED],
        )

    def feed(self, data: bytes) -> Iterator[Records]:
        """Arrays [≤ MAX_CHUNK] of the records that end within `data`."""
        self._counts[_BYTES] += len(data)
        yield from self._run(self._left + data, last=False)

    def finish(self) -> Iterator[Records]:
        """What is left at the end: a record without its END comes marked as damaged."""
        yield from self._run(self._left, last=True)
        self._state[_SKIP] = 0
        if self._state[_OPEN]:
            half = self._half.copy()
            half["damage"], half["size"] = 1, min(self._at - int(half["offset"][0]), 0xFFFFFFFF)
            self._counts[[_RECORDS, _DAMAGED, _CUT]] += 1
            self._state[_OPEN] = 0
            yield half
        self._state[_SICK] = 0

    def restart(self, offset: int) -> Iterator[Records]:
        """End what is there and go on at another offset: bytes of the stream are missing."""
        yield from self.finish()
        self._at = offset

    def _run(self, data: bytes, *, last: bool) -> Iterator[Records]:
        view: NDArray[np.uint8] = np.frombuffer(data, np.uint8)
        used = 0
        self._left = b""
        while used < view.size:
            out = np.empty(min(MAX_CHUNK, view.size - used + 1), CAPTURE_DT)
            step, n = _decode(
                view[used:],
                self._at,
                last,
                self._half,
                self._blank,
                self._state,
                out,
                self._counts,
                self._places,
            )
            used += step
            self._at += step
            self._counts[_RECORDS] += n
            if n:
                yield out[:n]
            if n < out.size:  # all is used but an incomplete packet
                break
        self._left = data[used:]


def decode(data: bytes) -> tuple[Records, Counts]:
    """All records [n] of a whole AUX stream, and what was met; memory grows with the stream."""
    decoder = Decoder()
    parts = [*decoder.feed(data), *decoder.finish()]
    return np.concatenate([np.zeros(0, CAPTURE_DT), *parts]), decoder.counts
