"""The files that hold SPE bytes: a `perf.data`, or a bare AUX buffer.

Fidelity note. A record's thread is its CONTEXT packet (the kernel writes it with
CONFIG_PID_IN_CONTEXTIDR), else the task that the SWITCH records say ran on its CPU at its time,
else the thread of the AUX area, else nobody. Pieces of one AUX stream that follow each other are
decoded as one stream; where the offsets jump, bytes are missing and the record that was being read
is marked as damaged. `perf record` pads a piece with zeros to 8 bytes, which the offset of the next
piece tells from data; what overlaps otherwise is read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from sim import inputs
from sim.workload.capture import perfdata
from sim.workload.capture.events import common
from sim.workload.capture.packets import Decoder
from sim.workload.capture.perfdata import PerfFile, Piece
from sim.workload.capture.records import Packet, Records, has
from sim.workload.capture.source import (
    NO_TID,
    AuxFlags,
    Batch,
    Capture,
    CaptureError,
    Clock,
    Facts,
    Reading,
)

READ_BYTES = 4 << 20
PADDING = 8
"""`perf record` pads AUX data to a multiple of so many bytes."""
_MOST_BAD = 16
"""One byte in so many that begins no packet: then a bare file is no SPE data."""


_PACKED = {
    b"\x1f\x8b\x08": ("gzip", "unpack it with gzip -d"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unpack it with zstd -d"),
    b"PK\x03\x04": ("zip", "unpack it with unzip"),
    b"\xfd7zXZ": ("xz", "unpack it with xz -d"),
}
"""First bytes of packed files: no SPE packet begins with them."""


def open_capture(path: Path, *, raw: bool = False) -> Capture:
    """The capture in a file; raises CaptureError. Tables (Parquet) are opened elsewhere."""
    if raw or not is_perf_data(path):
        return RawCapture.open(path)
    return PerfCapture.scan(path)


def is_perf_data(path: Path) -> bool:
    """Whether a file begins like a `perf.data`, of either byte order."""
    start = first_bytes(path)
    return start in (perfdata.MAGIC, perfdata.MAGIC[::-1])


def first_bytes(path: Path, count: int = 8) -> bytes:
    """The first bytes of a regular file; raises CaptureError."""
    try:
        with inputs.regular(path) as file:
            return file.read(count)
    except FileNotFoundError as error:
        raise CaptureError(f"{path}: no such file") from error
    except OSError as error:
        folder = isinstance(error, IsADirectoryError)
        why = "not a regular file but a directory" if folder else error.strerror
        raise CaptureError(
            f"{path}: {why}; give a perf.data, a raw AUX buffer or a table of spe-parser"
        ) from error
    except ValueError as error:
        raise CaptureError(f"{path}: {error}") from error


@dataclass(frozen=True, slots=True)
class RawCapture:
    """A bare AUX stream: one queue, nothing known but its records."""

    path: Path
    facts: Facts = field(default_factory=lambda: Facts("raw buffer"))

    @classmethod
    def open(cls, path: Path) -> RawCapture:
        """A file with at least a byte; raises CaptureError."""
        start = first_bytes(path)
        if not start:
            raise CaptureError(f"{path}: empty; an AUX buffer has at least one record")
        for magic, (name, fix) in _PACKED.items():
            if start.startswith(magic):
                raise CaptureError(f"{path}: packed with {name}, which is not read; {fix}")
        return cls(path)

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """All records. CaptureError if the first megabytes are no SPE data."""
        decoder, sane = Decoder(), 0
        with inputs.regular(self.path) as file:
            while data := file.read(READ_BYTES):
                for records in decoder.feed(data):
                    sane += _sane(records)
                    yield _bare(records)
                self._refuse_noise(decoder, sane)
        for records in decoder.finish():
            yield _bare(records)
        reading.counts[0] = decoder.counts

    def _refuse_noise(self, decoder: Decoder, sane: int) -> None:
        counts = decoder.counts
        if sane == 0 or counts.bad * _MOST_BAD > counts.bytes:
            where = counts.bad_at[0] if counts.bad_at else 0
            raise CaptureError(
                f"{self.path}: {where:#x}: no AUX buffer: {counts.bad:,} of {counts.bytes:,} bytes "
                f"begin no SPE packet, and {sane:,} records are whole; give a perf.data, or the "
                "buffer alone"
            )


def _sane(records: Records) -> int:
    """How many records are whole and have a PC."""
    return int((has(records, Packet.PC) & (records["damage"] == 0)).sum())


def _bare(records: Records) -> Batch:
    return Batch(0, -1, _context(records), records)


def _context(records: Records) -> NDArray[np.int64]:
    """Thread of each record [n] by its CONTEXT packet; NO_TID without one."""
    tid = np.full(records.size, NO_TID, np.int64)
    for packet, name in (
        (Packet.CONTEXT_EL1, "context_el1"),
        (Packet.CONTEXT_EL2, "context_el2"),
    ):
        tid = np.where(has(records, packet), records[name].astype(np.int64), tid)
    return tid


@dataclass(frozen=True, slots=True)
class PerfCapture:
    """A `perf.data`: a queue for each AUX area."""

    file: PerfFile
    facts: Facts

    @classmethod
    def scan(cls, path: Path) -> PerfCapture:
        """Read everything but the SPE data; raises CaptureError."""
        file = perfdata.scan(path)
        return cls(file, _facts(file))

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """All records, piece by piece in file order."""
        decoders: dict[int, Decoder] = {}
        last: dict[int, Piece] = {}
        switches = {cpu: _Switches(rows) for cpu, rows in self.file.switches.items()}
        with inputs.regular(self.file.path) as file:
            for piece in unpadded(self.file.pieces):
                decoder = decoders.setdefault(piece.queue, Decoder())
                last[piece.queue] = piece
                for records in _piece(file, piece, decoder, reading):
                    yield self._batch(piece, records, switches)
        for queue, decoder in decoders.items():
            for records in decoder.finish():
                yield self._batch(last[queue], records, switches)
            reading.counts[queue] = decoder.counts

    def _batch(self, piece: Piece, records: Records, switches: dict[int, _Switches]) -> Batch:
        tid = _context(records)
        on_cpu = switches.get(piece.cpu)
        if on_cpu is not None:
            ran = on_cpu.tid_at(records["ts"], self.facts.clock)
            tid = np.where(tid == NO_TID, ran, tid)
        if piece.tid >= 0:
            tid = np.where(tid == NO_TID, piece.tid, tid)
        return Batch(piece.queue, piece.cpu, tid, records)


def unpadded(pieces: Sequence[Piece]) -> list[Piece]:
    """Pieces without their padding: what is less than 8 bytes beyond the next one's begin."""
    found: list[Piece] = []
    following: dict[int, int] = {}
    for piece in reversed(pieces):
        end = piece.offset + piece.size
        padding = end - following.get(piece.queue, end)
        if 0 < padding < min(PADDING, piece.size + 1):
            piece = replace(piece, size=piece.size - padding)
        following[piece.queue] = piece.offset
        found.append(piece)
    return found[::-1]


def _piece(file: IO[bytes], piece: Piece, decoder: Decoder, reading: Reading) -> Iterator[Records]:
    """The records of one piece, read in parts."""
    skip = 0
    here = decoder.position
    if here == 0 or piece.offset > here or here - piece.offset >= max(PADDING, piece.size):
        if here and piece.offset > here:
            reading.gaps += 1
            reading.missing_bytes += piece.offset - here
        elif here:
            reading.gaps += 1
        yield from decoder.restart(piece.offset)
    else:
        skip = here - piece.offset
    file.seek(piece.at + skip)
    left = piece.size - skip
    while left > 0:
        data = file.read(min(READ_BYTES, left))
        if not data:
            raise CaptureError("the file became shorter while it was read")
        left -= len(data)
        yield from decoder.feed(data)


class _Switches:
    """Which task ran on one CPU, by perf time."""

    def __init__(self, rows: list[tuple[int, int]]) -> None:
        ordered = np.array(sorted(rows, key=lambda row: row[0]), np.int64).reshape(-1, 2)
        self._time, self._tid = ordered[:, 0].astype(np.uint64), ordered[:, 1]

    def tid_at(self, ticks: NDArray[np.uint64], clock: Clock | None) -> NDArray[np.int64]:
        """The task at each timer value [n]; NO_TID before the first switch or without a clock."""
        if clock is None:
            return np.full(ticks.size, NO_TID, np.int64)
        at = np.searchsorted(self._time, clock.ns(ticks), side="right") - 1
        return np.where(at >= 0, self._tid[np.maximum(at, 0)], NO_TID)


def _facts(file: PerfFile) -> Facts:
    events = file.events
    aux = AuxFlags(
        records=len(file.aux),
        bytes=sum(size for size, _ in file.aux),
        truncated=_flagged(file, 1),
        no_room=sum(1 for _, flags in file.aux if flags & 1 and not flags & 4),
        overwrite=_flagged(file, 2),
        partial=_flagged(file, 4),
        collision=_flagged(file, 8),
    )
    return Facts(
        container="perf.data",
        interval=common(e.period for e in events),
        jitter=common(e.jitter for e in events),
        clock=file.clock,
        filtered=any(e.filters for e in events) if events else None,
        exclude_kernel=common(e.exclude_kernel for e in events),
        min_interval=file.min_interval,
        command=file.command,
        midr=file.midr,
        aux=aux,
        lost_records=file.lost,
        events=events,
        unfinished=file.unfinished,
        unread=file.unread,
    )


def _flagged(file: PerfFile, flag: int) -> int:
    return sum(1 for _, flags in file.aux if flags & flag)
