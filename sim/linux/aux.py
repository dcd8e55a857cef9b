"""The perf AUX ring of one event: perf_aux_output_begin/end, and the driver's window arithmetic.

Fidelity note. Modelled: head, tail, wake-up and watermark arithmetic of kernel/events/ring_buffer.c
(perf_aux_output_begin, _skip, _end) and of the driver's window choice (arm_spe_pmu_next_off,
arm_spe_pmu_next_snapshot_off); one byte of the ring is always free (CIRC_SPACE); padding is part of
the stream and may cross a wake-up. The tail is looked at in `begin` only. A window of size 0
disables the event without an AUX record; neither does a transaction have one whose only flag is
OVERWRITE and that has no data. Snapshot mode overwrites the oldest records, never wakes the reader,
and is read once, at the end (perf record -Se). Readers: `keeps_up` has copied
everything when the next transaction begins, an ideal: the handler ends one transaction and begins
the next in one go, so a real reader's tail is a transaction behind; see `sim.linux.reader`. Not
modelled: the profile of what a snapshot still holds (profiles count records written); the data
ring buffer and its wake-ups; AUX offsets that restart at 0 in snapshot mode (here they count on).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit, njit_inline, njit_inner, quick
from sim.ledger import DeliveryLedger
from sim.results import AUX_DT, AuxCounts
from sim.spe.buffer import RECORD_BYTES


class AuxFlag(IntFlag):
    """PERF_AUX_FLAG_*."""

    TRUNCATED = 1
    OVERWRITE = 2
    PARTIAL = 4
    COLLISION = 8


TRUNCATED = int(AuxFlag.TRUNCATED)
"""As an int: `&` of an IntFlag is Python code, and every stop of the SPU looks at this bit."""
_OVERWRITE, _PARTIAL, _COLLISION = map(int, (AuxFlag.OVERWRITE, AuxFlag.PARTIAL, AuxFlag.COLLISION))


class Window(NamedTuple):
    """What the driver programs next, offsets within the AUX area: pad bytes, then [head, limit)."""

    pad: int
    head: int
    limit: int
    truncated: bool = False


class Transaction(NamedTuple):
    """Where the transaction that is open begins: head with its padding, the padding, aux_wakeup."""

    head: int
    pad: int
    wakeup: int


class Geometry(NamedTuple):
    """Sizes in bytes: the AUX area (a power of two), a page, the watermark, the largest record, and
    what records are aligned to."""

    size: int
    page: int
    watermark: int
    record: int = RECORD_BYTES
    align: int = RECORD_BYTES


@njit_inline
def _down(value: Any, unit: Any) -> Any:
    return value - value % unit


@njit_inline
def _up(value: Any, unit: Any) -> Any:
    return value + -value % unit


@njit_inline
def free_space(head: Any, tail: Any, size: Any) -> Any:
    """CIRC_SPACE: bytes that may be written; one stays free so that full differs from empty."""
    return (tail - head - 1) & (size - 1) if head - tail < size else 0


@njit_inline
def wakeup_after(head: Any, wakeup: Any, watermark: Any) -> Any:
    """aux_wakeup once the ring is filled to `head` (rb_need_aux_wakeup); a change is a wake-up."""
    return _down(head, watermark) if head - wakeup >= watermark else wakeup


@njit_inner
def _limit(geometry: Any, head: Any, size: Any, wakeup: Any) -> Any:
    """Limit offset for a window that begins at `head` with `size` bytes free; 0 if there is none.

    The driver's tail is head + CIRC_SPACE, one byte below the reader's: an aligned tail costs the
    page before it. Padding up to `head` may have passed a wake-up: the next one counts.
    """
    mask = geometry.size - 1
    start, stop = head & mask, (head + size) & mask
    if size <= 0:
        return 0
    limit = geometry.size
    if start < stop:
        limit = _down(stop, geometry.page)
    if head >= wakeup:
        wakeup = _down(head, geometry.watermark) + geometry.watermark
    if head <= wakeup < head + size and start <= (wakeup & mask):
        limit = min(limit, _up(wakeup & mask, geometry.page))
    return limit if limit > start else 0


@njit
def next_window(geometry: Any, head: Any, tail: Any, wakeup: Any) -> Any:
    """The driver's choice (arm_spe_pmu_next_off, __arm_spe_pmu_next_off): a `Window`.

    `head`, `tail`, `wakeup` are endless byte counts. Never beyond the buffer, never past a page
    that the reader may still hold, never past the page in which a wake-up is due. Compiled, because
    `sim.machine.compiled` needs it where many stops are served in one call. If there is no room for
    a record what is left becomes padding, and the event is truncated.
    """
    size = free_space(head, tail, geometry.size)
    start = head & (geometry.size - 1)
    no_room = Window(size, (head + size) & (geometry.size - 1), 0, True)
    if size == 0:
        return no_room
    pad = min(_up(start, geometry.align) - start, size)
    window = _limit(geometry, head + pad, size - pad, wakeup)
    if window == 0:
        return no_room
    begin = (start + pad) & (geometry.size - 1)
    if window - begin < geometry.record:
        pad += window - begin
        window = _limit(geometry, head + pad, size - pad, wakeup)
        begin = (start + pad) & (geometry.size - 1)
        if window == 0 or window - begin < geometry.record:
            return no_room
    return Window(pad, begin, window, False)


def next_snapshot_window(geometry: Geometry, head: int) -> Window:
    """arm_spe_pmu_next_snapshot_off: to the end of the half that `head` lies in."""
    mask, half = geometry.size - 1, geometry.size >> 1
    start = head & mask
    limit = half if start < half else geometry.size
    if limit - start >= geometry.record:
        return Window(0, start, limit)
    begin = limit & mask
    return Window(limit - start, begin, begin + half)


@dataclass(slots=True)
class AuxRing:
    """head and tail count bytes for ever; offsets are modulo the size.

    `wake_due` asks the driver's irq_work to wake the reader: perf_output_wakeup.
    """

    geometry: Geometry
    delivery: DeliveryLedger
    vcpu: int
    keep: bool = False
    keeps_up: bool = True
    overwrite: bool = False
    head: int = 0
    tail: int = 0
    wakeup: int = 0
    unread: int = 0
    pad: int = 0
    counts: AuxCounts = field(default_factory=AuxCounts)
    wake_due: bool = False
    _copied_to: int = 0
    _copying: int = 0
    _rows: list[tuple[int, ...]] = field(default_factory=list)

    # --- the kernel's side ---------------------------------------------------------------

    def begin(self) -> Window | None:
        """perf_aux_output_begin and the driver's window; None if there is no room."""
        if self.overwrite:
            return self._opened(next_snapshot_window(self.geometry, self.head))
        if self.keeps_up:
            self.take()
            self.moved()
        if free_space(self.head, self.tail, self.geometry.size) == 0:
            self.wake_due = True
            return None
        due = self.wakeup + self.geometry.watermark
        return self._opened(quick(next_window)(self.geometry, self.head, self.tail, due))

    def _opened(self, window: Window) -> Window:
        """perf_aux_output_skip: padding moves head, and may cross a wake-up."""
        if window.pad:
            self.head += window.pad
            self._note_wakeup()
        self.pad = window.pad
        return window

    def end(self, size: int, flags: int, tid: int, now: int, records: int | None = None) -> None:
        """perf_aux_output_end: `size` bytes after the padding with `records` whole records (as many
        as fit, if they are of one length); `flags` of AuxFlag.

        A row's offset and size include the padding before the records; PERF_RECORD_AUX has
        offset + pad and size - pad.
        """
        offset = self.head - self.pad
        self.head += size
        if flags & TRUNCATED:
            self.wake_due = True
        if self.overwrite:
            flags |= AuxFlag.OVERWRITE
        held = size // self.geometry.record if records is None else records
        self._hold(held)
        self._note_wakeup()
        if size or flags & ~_OVERWRITE:  # what is only overwritten tells perf nothing new
            self._count(flags)
            if self.keep:
                self.keep_row(tid, offset, size + self.pad, self.pad, flags, now, held)
        self.pad = 0

    # --- a kernel's own ring beside this one (`sim.linux.tree`) ----------------------------

    def follow_begin(self) -> int:
        """perf_aux_output_begin is about to look at aux_tail: where it stands."""
        if self.keeps_up and not self.overwrite:
            self.take()
            self.moved()
        self.pad = 0
        return self.tail

    def follow_skip(self, size: int) -> None:
        """perf_aux_output_skip has moved aux_head by `size` bytes of padding."""
        self.head += size
        self.pad += size

    def follow_window(self, offset: int) -> None:
        """PMBPTR is about to be written; a ring that is overwritten is padded without a skip."""
        if self.overwrite:
            self.follow_skip((offset - self.head) & (self.geometry.size - 1))

    def follow_end(self, size: int, records: int, flags: int | None, tid: int, now: int) -> None:
        """perf_aux_output_end has moved aux_head by `size` bytes with `records` whole records;
        `flags` are those of its PERF_RECORD_AUX, None without one. Waking is the kernel's."""
        offset = self.head - self.pad
        self.head += size
        self._hold(records)
        if flags is not None:
            self._count(flags)
            if self.keep:
                self.keep_row(tid, offset, size + self.pad, self.pad, flags, now, records)
        self.pad = 0

    def _count(self, flags: int) -> None:
        """One PERF_RECORD_AUX."""
        self.counts.records += 1
        self.counts.lost += bool(flags & TRUNCATED)
        self.counts.gaps += bool(flags & _PARTIAL)
        self.counts.collisions += bool(flags & _COLLISION)

    def keep_row(
        self, tid: int, offset: int, size: int, pad: int, flags: int, now: int, records: int
    ) -> None:
        """One row of AUX_DT."""
        self._rows.append((self.vcpu, tid, offset, size, pad, flags, now, records))

    def for_rounds(self) -> Transaction:
        """What is open when rounds begin (`sim.machine.rounds`)."""
        return Transaction(self.head, self.pad, self.wakeup)

    def after_rounds(
        self,
        opened: Transaction,
        size: int,
        transactions: int,
        collisions: int,
        rows: Iterable[tuple[int, ...]],
    ) -> None:
        """Rounds have ended `transactions` of `size` bytes of records, `collisions` of them with
        that flag, all of them read by a reader that keeps up, and begun the next one; `rows` as
        for `keep_row`.
        """
        self._hold(size // self.geometry.record)
        self.head = opened.head - opened.pad
        self.take()
        self.moved()
        self.head, self.pad, self.wakeup = opened
        self.counts.records += transactions
        self.counts.collisions += collisions
        if self.keep:
            for tid, offset, length, pad, flags, now, records in rows:
                self.keep_row(tid, offset, length, pad, flags, now, records)

    def _note_wakeup(self) -> None:
        """rb_need_aux_wakeup; a ring that is overwritten wakes nobody."""
        if self.overwrite:
            return
        wakeup = wakeup_after(self.head, self.wakeup, self.geometry.watermark)
        if wakeup != self.wakeup:
            self.wakeup = wakeup
            self.wake_due = True

    def _hold(self, records: int) -> None:
        """Records are in the ring; in snapshot mode they take the oldest ones' place."""
        self.unread += records
        beyond = self.unread - self.geometry.size // self.geometry.record
        if self.overwrite and beyond > 0:
            self.delivery.overwritten += beyond
            self.unread -= beyond

    # --- the reader's side ---------------------------------------------------------------

    def take(self) -> int:
        """The reader looks at aux_head; returns the bytes that it is about to copy."""
        self._copied_to = self.head
        self._copying += self.unread
        self.unread = 0
        return self.head - self.tail

    def moved(self) -> None:
        """The copy is done: aux_tail moves; it counts at the next `begin`."""
        self.delivery.delivered += self._copying
        self._copying = 0
        self.tail = self._copied_to

    def abandon(self, records: int) -> None:
        """The VM was destroyed with a window open: nobody will read its records."""
        self._hold(records)
        self._lose(records)

    def finish(self, *, killed: bool = False) -> None:
        """perf record's last pass over the ring; none if the VM was destroyed before."""
        if killed and (self.overwrite or not self.keeps_up):
            self._lose(self.unread)
            self.delivery.unread_at_end += self._copying
            self._copying = 0
        self.take()
        self.moved()

    def _lose(self, records: int) -> None:
        self.delivery.unread_at_end += records
        self.unread -= records

    def rows(self) -> NDArray[np.void]:
        """AUX transactions [n] of AUX_DT, if kept."""
        return np.array(self._rows, AUX_DT)
