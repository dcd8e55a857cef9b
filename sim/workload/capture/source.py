"""What a capture is, whatever file it came in: facts, and records in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim.errors import SpeskewError
from sim.workload.capture.events import Event
from sim.workload.capture.packets import Counts
from sim.workload.capture.records import Records

FS_PER_NS = 10**6
NO_TID = -1


class CaptureError(SpeskewError):
    """A capture cannot be read. Reads "FILE: OFFSET: what, why, how to fix"."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Timer ticks → nanoseconds of the perf clock, as PERF_RECORD_TIME_CONV says it."""

    mult: int
    shift: int
    zero: int = 0
    cycles: int = 0
    mask: int = (1 << 64) - 1

    def ns(self, ticks: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Times [n] of timer values [n], modulo 2^64 (`tsc_to_perf_time`)."""
        base, shift, mult = np.uint64(self.cycles), np.uint64(self.shift), np.uint64(self.mult)
        ticks = base + ((ticks - base) & np.uint64(self.mask))
        rest = ticks & np.uint64((1 << self.shift) - 1)
        ns = (ticks >> shift) * mult + (rest * mult >> shift)
        return np.asarray(np.uint64(self.zero) + ns)

    @property
    def fs_per_tick(self) -> int:
        """Femtoseconds of one timer tick."""
        return self.mult * FS_PER_NS >> self.shift

    @classmethod
    def of_frequency(cls, hertz: int) -> Clock:
        """A timer that counts from 0 at `hertz`."""
        shift = 20
        return cls(mult=(10**9 << shift) // hertz, shift=shift)


@dataclass(frozen=True, slots=True)
class AuxFlags:
    """PERF_RECORD_AUX records of a capture: how many, their bytes, how many with each flag.

    `no_room` are TRUNCATED but not PARTIAL: the driver sets both when a record was cut short.
    """

    records: int = 0
    bytes: int = 0
    truncated: int = 0
    no_room: int = 0
    overwrite: int = 0
    partial: int = 0
    collision: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What a container says of its capture; None where it does not say."""

    container: str
    interval: int | None = None
    """Requested period, operations (`attr.sample_period`)."""
    jitter: bool | None = None
    clock: Clock | None = None
    filtered: bool | None = None
    """Whether an event had a filter: shares are then of what passed."""
    exclude_kernel: bool | None = None
    min_interval: int | None = None
    command: str = ""
    midr: int | None = None
    aux: AuxFlags | None = None
    lost_records: int | None = None
    """PERF_RECORD_LOST and LOST_SAMPLES: side-band events that `perf record` could not keep."""
    events: tuple[Event, ...] = ()
    """The SPE events; where they differ, what is above of one event is None."""
    unfinished: bool = False
    """Whether the writer was killed, so that the file ends anywhere and has no features."""
    unread: int = 0
    """Bytes after the last whole record of an unfinished file."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one AUX stream in its order: `queue` numbers the streams, `cpu` is −1 if not
    known, `tid` [n] is NO_TID where nothing tells."""

    queue: int
    cpu: int
    tid: NDArray[np.int64]
    records: Records


@dataclass(slots=True)
class Reading:
    """What reading a capture met, filled while its batches are taken: counts by queue, bytes that
    the stream's offsets say are missing, streams' gaps."""

    counts: dict[int, Counts] = field(default_factory=dict)
    missing_bytes: int = 0
    gaps: int = 0


class Names(Protocol):
    """Symbols of code addresses."""

    def name(self, pid_or_tid: int, address: int) -> str:
        """Symbol that holds `address` in a task; a region's name if there is none."""
        ...


class Capture(Protocol):
    """A capture that can be read any number of times."""

    @property
    def facts(self) -> Facts:
        """What the container says."""
        ...

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """All records; `reading` is filled on the way."""
        ...


def total(reading: Reading) -> Counts:
    """Counts of all queues together; `bad_at` of the first queue that has any."""
    every = list(reading.counts.values())
    places = next((c.bad_at for c in every if c.bad_at), ())
    return Counts(
        records=sum(c.records for c in every),
        bytes=sum(c.bytes for c in every),
        bad=sum(c.bad for c in every),
        bad_at=places,
        pads=sum(c.pads for c in every),
        unknown=sum(c.unknown for c in every),
        repeated=sum(c.repeated for c in every),
        cut=sum(c.cut for c in every),
        damaged=sum(c.damaged for c in every),
    )
