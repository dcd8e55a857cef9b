"""Streams made from a workload profile: each phase a loop of its operations, well mixed.

Fidelity note. Modelled: shares of every (operation, memory level) to within one in the length of a
loop, phases in their order with their lengths and time per operation, latencies by class and level
as captured. Not modelled: what a profile cannot carry (`capture.profile.LIMITS`). Where a class and
level had too few records the core preset's latencies stand in, and its throughputs where the
capture has no times. The length of a loop is a prime, so that no sampling interval resonates with
it: a loop is a device here, not the program's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from math import isqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim import draws, laws
from sim.units import TICKS_PER_CYCLE
from sim.workload.arrays import LEVEL_STRIDE, Stream, count_pass
from sim.workload.build import FlatBody, Segment, Statics, Timing, assemble
from sim.workload.capture import profile as profiles
from sim.workload.capture.profile import Phase, Profile
from sim.workload.capture.records import CAPTURE_DT, timing_class
from sim.workload.presets import get_preset
from sim.workload.remarks import bounded
from sim.workload.synthetic import MICRO_OPS_PER_ATOMIC
from sim.workload.timing import CorePreset, TimingClass

I64 = NDArray[np.int64]
MAX_BODY = 131_071
"""Longest loop, operations: rounding moves a share by less than 1e-5."""
MAX_ROWS = 1 << 22
"""Operations of all loops together: what the arrays of a stream may take."""
_FS_PER_S = 10**15
_MEMORY = (TimingClass.LOAD, TimingClass.STORE, TimingClass.ATOMIC)


class _Columns(NamedTuple):
    """Static operations as arrays [S]; `rank` is their order by symbol, then address."""

    pc: NDArray[np.uint64]
    el: I64
    timing_class: I64
    payload: NDArray[np.uint8]
    symbol: NDArray[np.int32]
    rank: I64


def profiled_stream(
    path: Path, *, repeat: int, core: str, exclude_kernel: bool, micro_ops: bool, clock_hz: int
) -> Stream:
    """The stream of a profile; raises ProfileError if the file is none."""
    began = time.monotonic()
    made = stream_of_profile(
        profiles.load(path),
        name=path.name,
        repeat=repeat,
        core=core,
        exclude_kernel=exclude_kernel,
        micro_ops=micro_ops,
        clock_hz=clock_hz,
    )
    return replace(made, build_seconds=time.monotonic() - began)


def stream_of_profile(
    profile: Profile,
    *,
    name: str,
    repeat: int,
    core: str,
    exclude_kernel: bool,
    micro_ops: bool,
    clock_hz: int,
) -> Stream:
    """The stream of a profile for one core preset, clock and sample population."""
    columns, preset = _columns(profile), get_preset(core)
    flats, segments = [], []
    parts = [(phase, list(_by_el(phase, columns))) for phase in profile.phases]
    longest = min(MAX_BODY, MAX_ROWS // sum(len(levels) for _, levels in parts))
    for index, (phase, levels) in enumerate(parts):
        for el, cells in levels:
            ops = int(cells[:, 2].sum()) * profile.ops_per_record
            turns = max(1, ops // longest)
            key = draws.key(0, el, index, "profile")
            flats.append(
                _body(cells, next_prime(ops // turns), key, phase, columns, preset, clock_hz)
            )
            segments.append(Segment(len(flats) - 1, turns, el))
    atomic = columns.timing_class == TimingClass.ATOMIC
    memory = np.isin(columns.timing_class, _MEMORY)
    statics = Statics(
        weight=np.where(micro_ops & atomic, MICRO_OPS_PER_ATOMIC, 1).astype(np.int64),
        slots=memory.astype(np.int64),
        ticks=np.ones(columns.pc.size, np.int64),
        row=columns.timing_class * LEVEL_STRIDE,
    )
    arrays = assemble(
        statics,
        flats,
        None,
        None,
        segments,
        _timing(profile, preset),
        repeat=repeat,
        exclude_kernel=exclude_kernel,
    )
    return Stream(
        arrays=arrays,
        static_pc=columns.pc,
        static_class=columns.timing_class.astype(np.uint8),
        static_payload=columns.payload,
        static_symbol=columns.symbol,
        symbols=profile.symbols,
        addresses=np.zeros(0, np.uint64),
        pass_counts=count_pass(arrays),
        name=name,
        remarks=bounded(profile.remarks),
    )


def next_prime(n: int) -> int:
    """The smallest prime that is at least `n`."""
    n = max(2, n)
    while any(n % d == 0 for d in range(2, isqrt(n) + 1)):
        n += 1
    return n


def _columns(profile: Profile) -> _Columns:
    records = np.zeros(len(profile.statics), CAPTURE_DT)
    records["op_class"] = [s.op_class for s in profile.statics]
    records["op_payload"] = [s.op_payload for s in profile.statics]
    pc = np.array([s.pc for s in profile.statics], np.uint64)
    symbol = np.array([s.symbol for s in profile.statics], np.int32)
    rank = np.empty(pc.size, np.int64)
    rank[np.lexsort((pc, symbol))] = np.arange(pc.size)
    el = np.array([s.el for s in profile.statics], np.int64)
    classes = timing_class(records).astype(np.int64)
    return _Columns(pc, el, classes, records["op_payload"].copy(), symbol, rank)


def _by_el(phase: Phase, columns: _Columns) -> Iterator[tuple[int, I64]]:
    """Cells [n, 3] of (static, level, count) of each exception level, by symbol and address."""
    cells = np.array(phase.cells, np.int64).reshape(-1, 3)
    cells = cells[np.lexsort((cells[:, 1], columns.rank[cells[:, 0]]))]
    el = columns.el[cells[:, 0]]
    for level in np.unique(el):
        yield int(level), cells[el == level]


def _body(
    cells: I64,
    length: int,
    key: int,
    phase: Phase,
    columns: _Columns,
    preset: CorePreset,
    clock_hz: int,
) -> FlatBody:
    """A loop of `length` operations in the proportions of `cells`, in an order made by hashing.

    Counts are differences of rounded cumulative counts, so the error of a symbol, whose cells lie
    side by side, is below one operation however many addresses it has.
    """
    ends = np.concatenate([[0], np.cumsum(cells[:, 2])])
    at = ends * length // ends[-1]
    entries = np.repeat(np.arange(len(cells)), np.diff(at))
    entries = entries[np.argsort(draws.mix64_array(key, np.arange(length)), kind="stable")]
    static, level = cells[entries, 0], cells[entries, 1]
    return FlatBody(static, level, _ticks(static, level, phase, columns, preset, clock_hz))


def _ticks(
    static: I64, level: I64, phase: Phase, columns: _Columns, preset: CorePreset, clock_hz: int
) -> I64:
    """Ticks of each operation of a loop: the phase's time per op, else the core's throughput."""
    if phase.fs_per_op is None:
        rows = columns.timing_class[static] * LEVEL_STRIDE + level
        return np.asarray(preset.throughput_ticks()[rows])
    n = static.size
    total = max(n, phase.fs_per_op * clock_hz * TICKS_PER_CYCLE * n // _FS_PER_S)
    k = np.arange(n + 1)
    return np.diff(k * (total // n) + k * (total % n) // n)


def _timing(profile: Profile, preset: CorePreset) -> Timing:
    """The core's tables, with the captured latencies in place of its own where there are any."""
    latency = preset.latency_laws().reshape(-1, laws.STRIDE)
    for row in profile.latencies:
        cycles = np.maximum(1, np.array(row.cycles, np.int64))
        law = laws.measured(cycles * TICKS_PER_CYCLE)
        latency[row.timing_class * LEVEL_STRIDE + row.level] = law
    return Timing(preset.throughput_ticks(), latency.reshape(-1))
