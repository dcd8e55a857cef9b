"""The perf AUX ring of one event: perf_aux_output_begin/end, and the reader.

Fidelity note. Modelled: head, tail, wake-up and watermark arithmetic of kernel/events/ring_buffer.c
and of the driver's window choice (arm_spe_pmu_next_off); one byte of the ring is always free
(CIRC_SPACE); padding is part of the stream. A window of size 0 disables the event without an AUX
record. The reader keeps up: it has copied every transaction when the next one begins. Not modelled:
snapshot and discard modes, a slow reader, the data ring buffer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.ledger import DeliveryLedger
from sim.results import AUX_DT
from sim.spe.buffer import RECORD_BYTES
from sim.units import round_down, round_up


class AuxFlag(IntFlag):
    """PERF_AUX_FLAG_*."""

    TRUNCATED = 1
    OVERWRITE = 2
    PARTIAL = 4
    COLLISION = 8


class Window(NamedTuple):
    """What the driver programs next, offsets within the AUX area: pad bytes, then [head, limit)."""

    pad: int
    head: int
    limit: int
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes in bytes: the AUX area (a power of two), a page, the watermark, a record."""

    size: int
    page: int
    watermark: int
    record: int = RECORD_BYTES


def free_space(head: int, tail: int, size: int) -> int:
    """CIRC_SPACE: bytes that may be written; one stays free so that full differs from empty."""
    return (tail - head - 1) & (size - 1) if head - tail < size else 0


def next_window(geometry: Geometry, head: int, tail: int, wakeup: int) -> Window:
    """The driver's choice (arm_spe_pmu_next_off, __arm_spe_pmu_next_off).

    `head`, `tail`, `wakeup` are endless byte counts. Never beyond the buffer, never past a page
    that the reader may still hold, never past the page in which a wake-up is due.
    """
    size = free_space(head, tail, geometry.size)
    start = head & (geometry.size - 1)
    if size == 0:
        return Window(0, start, 0, truncated=True)
    pad = min(round_up(start, geometry.record) - start, size)
    window = _limit(geometry, head + pad, size - pad, wakeup)
    if window == 0:
        return Window(size, start, 0, truncated=True)
    begin = (start + pad) & (geometry.size - 1)
    if window - begin < geometry.record:
        more = window - begin
        pad += more
        window = _limit(geometry, head + pad, size - pad, wakeup)
        begin = (start + pad) & (geometry.size - 1)
        if window == 0 or window - begin < geometry.record:
            return Window(size, start, 0, truncated=True)
    return Window(pad, begin, window)


def _limit(geometry: Geometry, head: int, size: int, wakeup: int) -> int:
    """Limit offset for a window that begins at `head` with `size` bytes free; 0 if there is none.

    The driver's tail is head + CIRC_SPACE, one byte below the reader's: an aligned tail costs the
    page before it.
    """
    mask = geometry.size - 1
    start, stop = head & mask, (head + size) & mask
    if size <= 0:
        return 0
    limit = geometry.size
    if start < stop:
        limit = round_down(stop, geometry.page)
    if head <= wakeup < head + size and start <= (wakeup & mask):
        limit = min(limit, round_up(wakeup & mask, geometry.page))
    return limit if limit > start else 0


@dataclass(slots=True)
class AuxRing:
    """head and tail count bytes for ever; offsets are modulo the size."""

    geometry: Geometry
    delivery: DeliveryLedger
    vcpu: int
    keep: bool = False
    head: int = 0
    tail: int = 0
    wakeup: int = 0
    unread: int = 0
    pad: int = 0
    transactions: int = 0
    _rows: list[tuple[int, ...]] = field(default_factory=list)

    def begin(self) -> Window | None:
        """perf_aux_output_begin and the driver's window; None if there is no room."""
        self._read()
        wakeup = self.wakeup + self.geometry.watermark
        if free_space(self.head, self.tail, self.geometry.size) == 0:
            return None
        window = next_window(self.geometry, self.head, self.tail, wakeup)
        self.head += window.pad
        self.pad = window.pad
        return window

    def end(self, size: int, flags: int, tid: int, now: int) -> None:
        """perf_aux_output_end: `size` bytes of records after the padding; `flags` of AuxFlag."""
        offset = self.head - self.pad
        self.head += size
        self.unread += size // self.geometry.record
        if self.head - self.wakeup >= self.geometry.watermark:
            self.wakeup = round_down(self.head, self.geometry.watermark)
        if size or flags:
            self.transactions += 1
            if self.keep:
                row = (self.vcpu, tid, offset, size + self.pad, self.pad, flags, now)
                self._rows.append(row)
        self.pad = 0

    def _read(self) -> None:
        """The reader: everything up to head has been copied."""
        self.delivery.delivered += self.unread
        self.unread = 0
        self.tail = self.head

    def abandon(self, records: int) -> None:
        """The VM was destroyed with a window open: nobody will read its records."""
        self.delivery.unread_at_end += records

    def finish(self) -> None:
        """perf record's last pass over the ring."""
        self._read()

    def rows(self) -> NDArray[np.void]:
        """AUX transactions [n] of AUX_DT, if kept."""
        return np.array(self._rows, AUX_DT)
