"""What a capture holds, counted in one pass: quality, kinds, levels, latencies, gaps.

Nothing is judged here; `reports.captures.survey` says what the counts mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.workload.capture.gaps import FIRST, Following, Gaps
from sim.workload.capture.packets import Counts
from sim.workload.capture.records import (
    BRANCH,
    EV_MISPREDICTED,
    LOAD_STORE,
    Packet,
    Records,
    exception_level,
    has,
    known_source,
    memory_level,
    retired,
    timing_class,
)
from sim.workload.capture.source import NO_TID, Batch, Capture, Facts, Reading, total

I64 = NDArray[np.int64]
Progress = Callable[[int], None]
"""progress(records so far)"""
COUNTERS = ("total", "issue", "xlat")
_PACKET_OF = {"total": Packet.TOTAL, "issue": Packet.ISSUE, "xlat": Packet.XLAT}
SATURATED = (0xFFF, 0xFFFF)
"""Values at which 12-bit and 16-bit counters stop."""


@dataclass(slots=True)
class Sanity:
    """Records that something is wrong or missing with, among those that are not damaged."""

    without_pc: int = 0
    without_op: int = 0
    without_events: int = 0
    without_timestamp: int = 0
    without_latency: int = 0
    access_without_address: int = 0
    branch_without_target: int = 0
    not_retired: int = 0
    issue_above_total: int = 0
    saturated: int = 0
    source_not_known: int = 0
    time_backwards: int = 0
    time_equal: int = 0
    time_zero: int = 0


@dataclass(slots=True)
class Survey:
    """Counts of one capture. `by_class` [8] by TimingClass and `by_level` [8] by MemLevel; `by_el`
    [4]; `latency` by counter: how often each value came [65536]; `ts` first and last timestamp."""

    facts: Facts
    records: int = 0
    intact: int = 0
    by_class: I64 = field(default_factory=lambda: np.zeros(8, np.int64))
    by_level: I64 = field(default_factory=lambda: np.zeros(8, np.int64))
    by_el: I64 = field(default_factory=lambda: np.zeros(4, np.int64))
    by_queue: dict[int, int] = field(default_factory=dict)
    cpus: set[int] = field(default_factory=set)
    tids: dict[int, int] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    latency: dict[str, I64] = field(
        default_factory=lambda: {name: np.zeros(1 << 16, np.int64) for name in COUNTERS}
    )
    mispredicted: int = 0
    sanity: Sanity = field(default_factory=Sanity)
    gaps: Gaps = field(default_factory=Gaps)
    ts: tuple[int, int] | None = None
    counts: Counts | None = None
    reading: Reading = field(default_factory=Reading)

    def quantile(self, counter: str, permille: int) -> int | None:
        """A quantile of a latency, cycles; None without any."""
        seen = self.latency[counter]
        n = int(seen.sum())
        if n == 0:
            return None
        rank = (n - 1) * permille // 1000
        return int(np.searchsorted(np.cumsum(seen), rank, side="right"))


def intact_mask(records: Records) -> NDArray[np.bool_]:
    """The records [n] that are whole and say where they are."""
    return np.asarray((records["damage"] == 0) & has(records, Packet.PC))


def survey(capture: Capture, progress: Progress | None = None) -> Survey:
    """Read a capture once; raises CaptureError."""
    out = Survey(capture.facts)
    following = Following()
    for batch in capture.batches(out.reading):
        _add(out, batch, following)
        if progress is not None:
            progress(out.records)
    out.counts = total(out.reading)
    out.sanity.time_backwards = out.gaps.backwards
    return out


def _add(out: Survey, batch: Batch, following: Following) -> None:
    out.records += batch.records.size
    whole = batch.records["damage"] == 0
    records, tid = batch.records[whole], batch.tid[whole]
    out.intact += records.size
    out.by_queue[batch.queue] = out.by_queue.get(batch.queue, 0) + records.size
    if batch.cpu >= 0:
        out.cpus.add(batch.cpu)
    _tally(out.tids, tid[tid != NO_TID])
    _tally(out.sizes, records["size"])
    classes, levels = timing_class(records), memory_level(records)
    out.by_class += np.bincount(classes, minlength=8)
    out.by_level += np.bincount(levels, minlength=8)
    out.by_el += np.bincount(exception_level(records["pc"]), minlength=4)
    for name in COUNTERS:
        values, counts = np.unique(
            records[name][has(records, _PACKET_OF[name])], return_counts=True
        )
        out.latency[name][values] += counts
    out.mispredicted += int(((records["events"] & np.uint64(EV_MISPREDICTED)) != 0).sum())
    _check(out.sanity, records)
    _time(out, batch.queue, records, following)


def _tally(into: dict[int, int], values: NDArray[np.generic]) -> None:
    for value, count in zip(*np.unique(values, return_counts=True), strict=True):
        into[int(value)] = into.get(int(value), 0) + int(count)


def _check(sanity: Sanity, records: Records) -> None:
    kind = records["op_class"]
    op = has(records, Packet.OP)
    timed = has(records, Packet.TOTAL)
    sanity.without_pc += int((~has(records, Packet.PC)).sum())
    sanity.without_op += int((~op).sum())
    sanity.without_events += int((~has(records, Packet.EVENTS)).sum())
    sanity.without_timestamp += int((~has(records, Packet.TIMESTAMP)).sum())
    sanity.without_latency += int((~timed).sum())
    sanity.access_without_address += int(
        (op & (kind == LOAD_STORE) & ~has(records, Packet.VA)).sum()
    )
    sanity.branch_without_target += int(
        (op & (kind == BRANCH) & ~has(records, Packet.TARGET)).sum()
    )
    sanity.not_retired += int((has(records, Packet.EVENTS) & ~retired(records)).sum())
    issued = timed & has(records, Packet.ISSUE)
    sanity.issue_above_total += int((issued & (records["issue"] > records["total"])).sum())
    sanity.saturated += int((timed & np.isin(records["total"], SATURATED)).sum())
    sanity.source_not_known += int((~known_source(records)).sum())


def _time(out: Survey, queue: int, records: Records, following: Following) -> None:
    ts = records["ts"][has(records, Packet.TIMESTAMP)]
    if ts.size == 0:
        return
    gaps = following.gaps(queue, ts)
    out.gaps.add(gaps[gaps != FIRST])
    out.sanity.time_equal += int((gaps == 0).sum())
    out.sanity.time_zero += int((ts == 0).sum())
    low, high = int(ts.min()), int(ts.max())
    out.ts = (low, high) if out.ts is None else (min(out.ts[0], low), max(out.ts[1], high))
