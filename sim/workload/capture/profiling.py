"""From the records of a capture to a workload profile, in two passes and bounded memory.

The first pass (`survey`) finds how many records there are and from when to when; the second counts
them by (operation, level) in up to MAX_PHASES windows of equal time. Neighbouring windows whose
symbols do not differ beyond chance become one phase.

Fidelity note. Time per op is the mean gap between records of one AUX stream, without holes (gaps
above sixteen medians: the task was away, or profiling was off), divided by the operations between
two selections. Collisions lengthen gaps and are in it. Memory grows with the number of different
operations, not with records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from sim.workload.capture.gaps import FIRST, Following, Gaps
from sim.workload.capture.profile import (
    MAX_FS_PER_OP,
    MAX_NAME,
    MAX_PHASES,
    QUANTILES,
    Latencies,
    Phase,
    Profile,
    Static,
    check,
    ops_per_record,
)
from sim.workload.capture.records import (
    Packet,
    Records,
    code_address,
    exception_level,
    has,
    memory_level,
    timing_class,
)
from sim.workload.capture.source import (
    Batch,
    Capture,
    CaptureError,
    Clock,
    Facts,
    Names,
    Reading,
)
from sim.workload.capture.survey import Progress, Survey, intact_mask, survey

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
LEAST_LATENCIES = 16
"""Fewer records of a class and level do not make a distribution; the core preset's is used."""
_COMPACT = 1 << 21
_LOW52 = np.uint64((1 << 52) - 1)
_CHANCE = 5
"""Standard deviations of chi-square above its mean from which two windows differ."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records count: of one CPU, of one thread, or all."""

    cpu: int | None = None
    tid: int | None = None

    def mask(self, batch: Batch) -> NDArray[np.bool_]:
        """The records [n] of a batch that count."""
        mask = np.full(batch.records.size, self.cpu is None or batch.cpu == self.cpu)
        return mask if self.tid is None else np.asarray(mask & (batch.tid == self.tid))


@dataclass(frozen=True, slots=True)
class Selected:
    """A capture with only the records of a selection."""

    capture: Capture
    selection: Selection

    @property
    def facts(self) -> Facts:
        """What the container says."""
        return self.capture.facts

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """Batches with what was selected, empty ones left out."""
        for batch in self.capture.batches(reading):
            mask = self.selection.mask(batch)
            if mask.any():
                yield Batch(batch.queue, batch.cpu, batch.tid[mask], batch.records[mask])


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the capture was taken, as far as its container does not say it."""

    interval: int | None = None
    jitter: bool = False
    clock: Clock | None = None


def profile(
    capture: Capture,
    names: Names,
    sampling: Sampling,
    source: str,
    selection: Selection | None = None,
    pid_of: Mapping[int, int] | None = None,
    progress: Progress | None = None,
) -> tuple[Profile, Survey]:
    """The profile of a capture, and what its records are like; raises CaptureError."""
    if selection is not None:
        capture = Selected(capture, selection)
    facts = capture.facts
    interval = facts.interval or sampling.interval
    if not interval:
        periods = sorted({event.period for event in facts.events})
        said = (
            f"its SPE events have periods of {', '.join(f'{n:,}' for n in periods)} ops; choose "
            "one's CPU with --cpu and give its period"
            if len(periods) > 1
            else "says nothing of the sampling period; give it"
        )
        raise CaptureError(f"{source}: {said} with --interval, e.g. --interval 1024ops")
    seen = survey(capture, progress)
    windows = _Windows(seen)
    tally = _Tally(pid_of or {})
    for batch in capture.batches(Reading()):
        tally.add(batch, windows)
        if progress is not None:
            progress(seen.records + tally.records)
    if tally.records == 0:
        raise CaptureError(
            f"{source}: no whole record with a PC in the selection; see `speskew report spe`"
        )
    jitter = sampling.jitter if facts.jitter is None else facts.jitter
    per_record = ops_per_record(interval, jitter=jitter)
    clock = facts.clock or sampling.clock
    symbols, statics = tally.statics(names)
    phases = _phases(tally, statics, len(symbols), clock, per_record)
    made = Profile(
        source, interval, per_record, tuple(symbols), tuple(statics), tally.latencies(), phases
    )
    check(made)
    return made, seen


class _Windows:
    """Window of each record: by time where all have one, else by place in their stream."""

    def __init__(self, seen: Survey) -> None:
        self._timed = seen.ts is not None and seen.sanity.without_timestamp == 0
        self._first, last = seen.ts or (0, 0)
        self._span = last - self._first + 1
        self._all, self._met = dict(seen.by_queue), dict.fromkeys(seen.by_queue, 0)

    def of(self, batch: Batch, mask: NDArray[np.bool_]) -> I64:
        """Windows 0 to MAX_PHASES − 1 of the masked records."""
        if self._timed:
            since = (batch.records["ts"][mask] - np.uint64(self._first)).astype(np.uint64)
            step = np.uint64(-(-self._span // MAX_PHASES))
            return np.asarray(np.minimum(since // step, np.uint64(MAX_PHASES - 1)), np.int64)
        place = self._met[batch.queue] + np.cumsum(batch.records["damage"] == 0) - 1
        self._met[batch.queue] = int(place[-1]) + 1 if place.size else self._met[batch.queue]
        step_by = -(-self._all[batch.queue] // MAX_PHASES)
        return np.asarray(np.minimum(place[mask] // step_by, MAX_PHASES - 1))


class _Tally:
    """Counts of the second pass."""

    def __init__(self, pid_of: Mapping[int, int]) -> None:
        self.records = 0
        self.gaps = [Gaps() for _ in range(MAX_PHASES)]
        self._pid_of = pid_of
        self._number: dict[tuple[int, int], int] = {}
        self._parts: list[tuple[I64, I64]] = []
        self._waiting = 0
        self._latency = np.zeros(64 << 16, np.int64)
        self._following = Following()

    def add(self, batch: Batch, windows: _Windows) -> None:
        """The whole records of a batch."""
        mask = intact_mask(batch.records)
        window = windows.of(batch, mask)
        records = batch.records[mask]
        if records.size == 0:
            return
        self.records += records.size
        level = memory_level(records).astype(np.int64)
        static = self._statics_of(records, batch.tid[mask])
        self._keep((static * MAX_PHASES + window) * 8 + level)
        self._add_latency(records, level)
        gaps = self._following.gaps(batch.queue, records["ts"])
        timed = (gaps != FIRST) & has(records, Packet.TIMESTAMP)
        for k in np.unique(window):
            self.gaps[k].add(gaps[timed & (window == k)])

    def _statics_of(self, records: Records, tid: I64) -> I64:
        """Number of the operation of each record [n]: task, address, level, operation type."""
        address, el = code_address(records["pc"]), exception_level(records["pc"])
        key = (address & _LOW52) << np.uint64(12) | el.astype(np.uint64) << np.uint64(10)
        key |= records["op_class"].astype(np.uint64) << np.uint64(8)
        key |= records["op_payload"].astype(np.uint64)
        pid = np.where(el == 0, _mapped(tid, self._pid_of), -1)
        out = np.empty(records.size, np.int64)
        for task in np.unique(pid):
            mine = pid == task
            values, inverse = np.unique(key[mine], return_inverse=True)
            numbers = [
                self._number.setdefault((int(task), int(value)), len(self._number))
                for value in values
            ]
            out[mine] = np.array(numbers, np.int64)[inverse]
        return out

    def _add_latency(self, records: Records, level: I64) -> None:
        timed = has(records, Packet.TOTAL)
        cell = timing_class(records).astype(np.int64) * 8 + level
        values, counts = np.unique(
            cell[timed] << 16 | records["total"][timed].astype(np.int64), return_counts=True
        )
        self._latency[values] += counts

    def _keep(self, cells: I64) -> None:
        self._parts.append(np.unique(cells, return_counts=True))
        self._waiting += self._parts[-1][0].size
        if self._waiting > _COMPACT:
            self._parts = [self.cells()]
            self._waiting = 0

    def cells(self) -> tuple[I64, I64]:
        """((static × MAX_PHASES + window) × 8 + level, count), ascending, each once."""
        keys = np.concatenate([part[0] for part in self._parts])
        counts = np.concatenate([part[1] for part in self._parts])
        values, inverse = np.unique(keys, return_inverse=True)
        sums = np.zeros(values.size, np.int64)
        np.add.at(sums, inverse, counts)
        return values, sums

    def statics(self, names: Names) -> tuple[list[str], list[Static]]:
        """Symbols, and the operations in the order of their numbers."""
        symbols: dict[str, int] = {}
        statics = []
        for pid, key in self._number:
            el, address = key >> 10 & 3, key >> 12
            if el in (1, 2) and address >> 51:
                address |= 0xFFF << 52
            name = names.name(pid, address)[:MAX_NAME]
            symbol = symbols.setdefault(name, len(symbols))
            statics.append(Static(address, el, key >> 8 & 3, key & 255, symbol))
        return list(symbols), statics

    def latencies(self) -> tuple[Latencies, ...]:
        """Quantiles of every class and level that has enough records."""
        found = []
        for cell, counts in enumerate(self._latency.reshape(64, -1)):
            n = int(counts.sum())
            if n >= LEAST_LATENCIES:
                ranks = (2 * np.arange(QUANTILES) + 1) * n // (2 * QUANTILES)
                cycles = np.searchsorted(np.cumsum(counts), ranks, side="right")
                found.append(Latencies(cell // 8, cell % 8, n, tuple(map(int, cycles))))
        return tuple(found)


def _mapped(tids: I64, pid_of: Mapping[int, int]) -> I64:
    values, inverse = np.unique(tids, return_inverse=True)
    pids = np.array([pid_of.get(int(tid), int(tid)) for tid in values], np.int64)
    return np.asarray(pids[inverse])


# --- phases ----------------------------------------------------------------------------------


def _phases(
    tally: _Tally, statics: list[Static], symbols: int, clock: Clock | None, per_record: int
) -> tuple[Phase, ...]:
    keys, counts = tally.cells()
    static, window, level = keys // (8 * MAX_PHASES), keys // 8 % MAX_PHASES, keys % 8
    symbol_of = np.array([s.symbol for s in statics], np.int64)
    by_symbol = np.zeros((MAX_PHASES, symbols), np.int64)
    np.add.at(by_symbol, (window, symbol_of[static]), counts)
    phases = []
    for group in merge(by_symbol):
        mine = np.isin(window, group)
        cells, inverse = np.unique(static[mine] * 8 + level[mine], return_inverse=True)
        sums = np.zeros(cells.size, np.int64)
        np.add.at(sums, inverse, counts[mine])
        rows = [(int(c) // 8, int(c) % 8, int(n)) for c, n in zip(cells, sums, strict=True)]
        gaps = [tally.gaps[k] for k in group]
        phases.append(Phase(_fs_per_op(gaps, clock, per_record), tuple(rows)))
    return tuple(phases)


def merge(counts: I64) -> list[list[int]]:
    """Groups of neighbouring windows whose symbol counts [windows, symbols] are alike."""
    groups: list[list[int]] = []
    total = np.zeros(counts.shape[1], np.int64)
    for window, row in enumerate(counts):
        if not row.any():
            continue
        if groups and alike(total, row):
            groups[-1].append(window)
            total = total + row
        else:
            groups.append([window])
            total = row.copy()
    return groups


def alike(a: I64, b: I64) -> bool:
    """Whether two count vectors [symbols] could come from one distribution: chi-square of
    homogeneity below its mean plus five standard deviations, in integers."""
    n_a, n_b = int(a.sum()), int(b.sum())
    both = a + b
    pooled = both < 10  # too few for the approximation: judged together
    a = np.append(a[~pooled], a[pooled].sum())
    b = np.append(b[~pooled], b[pooled].sum())
    chi_square = 0
    cells = 0
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        if x + y:
            chi_square += (x * n_b - y * n_a) ** 2 * 1000 // ((x + y) * n_a * n_b)
            cells += 1
    freedom = cells - 1
    if freedom < 1:
        return True
    return chi_square <= 1000 * freedom + _CHANCE * isqrt(2 * freedom * 10**6)


def _fs_per_op(gaps: list[Gaps], clock: Clock | None, per_record: int) -> int | None:
    count, ticks = map(sum, zip(*(g.ordinary() for g in gaps), strict=True))
    if clock is None or count == 0 or ticks <= 0:
        return None
    return min(MAX_FS_PER_OP, max(1, ticks * clock.fs_per_tick // (count * per_record)))
