"""What a run returns: frozen results, record layouts, and the sink that records flow into.

`RunResult` is one replication of one arm, integers only. Records are kept only on request; the
profile is always counted, by static op and memory level.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sim.draws import njit_inline
from sim.ledger import Ledgers

FIRST_TID = 1000
"""Thread number of the first vCPU's task."""

RECORD_DT = np.dtype(
    [
        ("vcpu", "<u2"),
        ("tid", "<u4"),
        ("op", "<i8"),
        ("insn", "<u4"),
        ("el", "u1"),
        ("op_payload", "u1"),
        ("events", "<u4"),
        ("issue", "<u2"),
        ("total", "<u2"),
        ("xlat", "<u2"),
        ("va", "<u8"),
        ("pa", "<u8"),
        ("target", "<u8"),
        ("source", "u1"),
        ("level", "u1"),
        ("t_select", "<i8"),
        ("t_write", "<i8"),
    ]
)
"""One SPE record. `insn` is the static op; times are wall ticks; latencies saturated cycles."""

AUX_DT = np.dtype(
    [
        ("vcpu", "<u2"),
        ("tid", "<u4"),
        ("offset", "<i8"),
        ("size", "<i8"),
        ("pad", "<i8"),
        ("flags", "u1"),
        ("t", "<i8"),
        ("records", "<i8"),
    ]
)
"""One AUX transaction (PERF_RECORD_AUX); offset and size in bytes of the endless AUX stream."""


WORDS_IN_MEMORY = 3 << 20
"""What a sink has of records beyond these (24 MiB) goes to a temporary file: memory is flat."""
ROW_FIELDS = 3
"""Of a sink's row, int64: op, t_select and t_write."""
OP_FIELDS = 2
"""Of the row of a sink of ops only: op, and its place (`sim.workload.arrays.PLACE_MASK`)."""

Watch = Callable[[NDArray[np.int64], NDArray[np.int64] | None], None]
"""Told ops of records, at most `OPS_AT_ONCE` each time, in the order of writing, and their places
if those are known; the arrays are others' again when it returns."""
OPS_AT_ONCE = 1 << 15
"""What was read of the stream for so many is in a cache of 32 MiB still; of fewer each costs more.
Measured on a Zen 4: 2^13 to 2^16 differ by a tenth."""


class RecordSink:
    """Collects what samplers emit; keeps nothing unless asked to, or of each record its op and
    where that lies."""

    __slots__ = ("__weakref__", "_chunks", "_file", "_held", "_total", "fields", "keep")

    def __init__(self, keep: bool, *, ops_only: bool = False) -> None:
        self.keep = keep
        self.fields = OP_FIELDS if ops_only else ROW_FIELDS
        self._chunks: list[NDArray[np.int64]] = []
        self._held = self._total = 0
        self._file: IO[bytes] | None = None

    def add(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        """Rows of (op, t_select, t_write), or of the op alone where no more is kept, and the place
        of each op; the caller may reuse its buffers."""
        if self.keep and rows.shape[0]:
            self._chunks.append(self._kept(rows, places))
            self._held += rows.shape[0]
            if self._held * self.fields >= WORDS_IN_MEMORY:
                self._spill()

    def _kept(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.fields == ROW_FIELDS:
            return rows.copy()
        kept = np.empty((rows.shape[0], OP_FIELDS), np.int64)
        kept[:, 0], kept[:, 1] = rows[:, 0], places
        return kept

    def drop(self, count: int) -> None:
        """Forget the last `count` rows, if rows are kept."""
        while self.keep and count and self._chunks:
            last = self._chunks.pop()
            gone = min(count, last.shape[0])
            count -= gone
            self._held -= gone
            if gone < last.shape[0]:
                self._chunks.append(last[:-gone])
        if self._file is not None and count:
            self._total -= count
            self._file.seek(self._total * self.fields * 8)
            self._file.truncate()

    def written(self) -> NDArray[np.int64]:
        """All rows in the order of writing, [n, 3], or [n, 2] of ops only; mapped from a file if
        there are many."""
        nothing = np.empty((0, self.fields), np.int64)
        if self._file is None:
            return np.concatenate(self._chunks) if self._chunks else nothing
        self._spill()
        self._file.flush()
        if self._total == 0:
            return nothing
        shape = (self._total, self.fields)
        return np.asarray(np.memmap(self._file, np.int64, "r", shape=shape))

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="speskew-")  # noqa: SIM115
            weakref.finalize(self, self._file.close)
        for chunk in self._chunks:
            self._file.write(np.ascontiguousarray(chunk).data)
        self._chunks.clear()
        self._total += self._held
        self._held = 0


class OpSink(RecordSink):
    """Hands the op of each record and its place on to whoever watches, in the order of writing.

    It does so soon: what the sampler has just read of the stream is still in the caches then. Where
    records may be taken back, none is told before the end.
    """

    __slots__ = ("_final", "_room", "_watch")

    def __init__(self, watch: Watch, *, final: bool) -> None:
        """`final`: no record is ever taken back, so that none has to wait for the end."""
        super().__init__(keep=True, ops_only=True)
        self._watch, self._final = watch, final
        self._room = np.empty((OP_FIELDS, OPS_AT_ONCE if final else 0), np.int64)

    def add(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        """As of any sink."""
        if not self._final:
            super().add(rows, places)
            return
        begin, total = 0, rows.shape[0]
        while begin < total:
            held = self._held
            end = min(total, begin + self._room.shape[1] - held)
            self._held += end - begin
            self._room[0, held : self._held] = rows[begin:end, 0]
            self._room[1, held : self._held] = places[begin:end]
            if self._held == self._room.shape[1]:
                self._tell()
            begin = end

    def _tell(self) -> None:
        ops, places = self._room[:, : self._held]
        self._held = 0
        self._watch(ops, places)

    def written(self) -> NDArray[np.int64]:
        """The run is over: what is left is handed on. Nothing is kept."""
        if not self._final:
            hand_on(super().written(), self._watch)
        elif self._held:
            self._tell()
        return np.empty((0, ROW_FIELDS), np.int64)


def hand_on(rows: NDArray[np.int64], watch: Watch) -> None:
    """Tell a watcher the ops of rows, and their places if those are kept."""
    placed = rows.shape[1] == OP_FIELDS
    for begin in range(0, rows.shape[0], OPS_AT_ONCE):
        ops, *rest = rows[begin : begin + OPS_AT_ONCE].T
        watch(np.ascontiguousarray(ops), np.ascontiguousarray(rest[0]) if placed else None)


HIST_SUB_BITS = 4


@njit_inline
def log_linear_bin(value: Any) -> Any:
    """Bin of an integer histogram with 16 bins per power of two (error below 6.3 %)."""
    if value < 1 << HIST_SUB_BITS:
        return value
    shift = 0
    while value >> shift >= 2 << HIST_SUB_BITS:
        shift += 1
    return ((shift + 1) << HIST_SUB_BITS) + (value >> shift) - (1 << HIST_SUB_BITS)


def log_linear_edge(index: int) -> int:
    """Smallest value of a bin."""
    if index < 1 << HIST_SUB_BITS:
        return index
    shift = (index >> HIST_SUB_BITS) - 1
    return ((index & ((1 << HIST_SUB_BITS) - 1)) + (1 << HIST_SUB_BITS)) << shift


HIST_BINS = 1024
"""More than `log_linear_bin` of any 63-bit value."""


@dataclass(slots=True)
class Blackouts:
    """S=1 (or buffer off) intervals of one cause: how many, and how many ops and ticks they cost.

    `ops_hist` and `ticks_hist` are log-linear integer histograms (`log_linear_bin`).
    """

    count: int = 0
    ops: int = 0
    ticks: int = 0
    ops_max: int = 0
    ticks_max: int = 0
    ops_hist: dict[int, int] = field(default_factory=dict)
    ticks_hist: dict[int, int] = field(default_factory=dict)

    def add(self, ops: int, ticks: int) -> None:
        """One blackout: ops executed unsampled, wall ticks from S=1 to sampling again."""
        self.count += 1
        self.ops += ops
        self.ticks += ticks
        self.ops_max = max(self.ops_max, ops)
        self.ticks_max = max(self.ticks_max, ticks)
        for hist, value in ((self.ops_hist, ops), (self.ticks_hist, ticks)):
            index = log_linear_bin(value)
            hist[index] = hist.get(index, 0) + 1

    def merge(self, more: Blackouts) -> None:
        """Add other blackouts of the same cause."""
        self.count += more.count
        self.ops += more.ops
        self.ticks += more.ticks
        self.ops_max = max(self.ops_max, more.ops_max)
        self.ticks_max = max(self.ticks_max, more.ticks_max)
        for hist, extra in ((self.ops_hist, more.ops_hist), (self.ticks_hist, more.ticks_hist)):
            for index, count in extra.items():
                hist[index] = hist.get(index, 0) + count


@dataclass(slots=True)
class RlimitCounts:
    """Locked-memory account of a VM over a run; sizes in bytes."""

    exits: int = 0
    enables: int = 0
    pinned_pages: int = 0
    """Pages pinned at enable edges, each time they are."""
    config_enomem: int = 0
    oversize_windows: int = 0
    """Enables with a window over the maximum buffer size: a buffer size event each."""
    excess_bytes_max: int = 0
    locked_bytes_peak: int = 0


@dataclass(slots=True)
class AuxCounts:
    """PERF_RECORD_AUX records of a run by their flags, as perf counts them for its warnings.

    Source: tools/perf/util/session.c, total_aux_lost, total_aux_partial, total_aux_collision.
    """

    records: int = 0
    """Of any flags: the M of "AUX data lost N times out of M"."""
    lost: int = 0
    """TRUNCATED: "AUX data lost"."""
    gaps: int = 0
    """PARTIAL: "AUX data had gaps in it"."""
    collisions: int = 0
    """COLLISION: "AUX data detected collision"."""


MAX_POINTS = 4096
"""Changes of a locked-memory account that a run keeps; later ones are counted, not traced."""


@dataclass(frozen=True, slots=True)
class LockedPoint:
    """One change of the locked-memory account."""

    t: int
    locked_bytes: int
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class VcpuResult:
    """One vCPU of one replication of one arm."""

    ledgers: Ledgers
    blackouts: dict[str, Blackouts]
    profile: NDArray[np.int64]
    """Recorded samples by static × LEVEL_STRIDE + level."""
    lost: NDArray[np.int64]
    """Population ops lost to the profile, same index; empty if nobody asked where they are."""
    ended_at_op: int
    stops: int
    traps: int
    ordinary_exits: int
    written: NDArray[np.int64]
    """Raw records [n, 3] if kept: op, t_select, t_write; [n, 1] if only their ops are."""
    aux: NDArray[np.void]
    aux_counts: AuxCounts
    log: tuple[tuple[int, str, int], ...]
    """Every state change (t, what, op or value), if kept."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """One replication of one arm."""

    arm: str
    replication: int
    vcpus: tuple[VcpuResult, ...]
    rlimit: RlimitCounts
    locked: tuple[LockedPoint, ...]
    zaps: int
    """Pages of the AUX buffers that the host unmapped."""
    wall: int
    ended_because: str
    """Empty, or why the arm ended before its stream did."""
    engine_events: int
    kernel_calls: int
    kernel_truncations: int
    fused_rounds: int
    """Stops and ordinary exits that were served inside the kernel (`sim.machine.rounds`)."""
    sightings: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """What its records show, if it was asked for (`sim.runs.seen.sightings`)."""
