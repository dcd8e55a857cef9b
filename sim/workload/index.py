"""The index of a recorded stream: decoded once, memory-mapped, shared by arms and workers.

Building costs O(ops) once per (file, core preset, cache-model version, population); after it, cost
grows with samples and state changes, never with instructions. The index holds block executions,
when each begins, memory levels and addresses by slot, and a cell for every `CELL` ops
(`sim.workload.arrays`). It is keyed by the file's content hash and lies in the cache directory.

Fidelity note. Ticks of an op come from the core preset's (class, level) throughput; levels from
the preset's cache model over the recorded addresses (`sim.workload.timing`). An optional *kernel
overlay* inserts synthetic EL1 code at timer ticks, recorded `svc` and page faults, each entry
beginning with a stretch that has PSTATE.I set; its lengths are UNVERIFIED. qemu-user streams are
EL0 only, so without the overlay nothing is masked. A data page of 4 KiB faults at its first access
in every pass, as in a program that is run again; pages of code never do.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.cache import entries, home
from sim.cache.entries import AbsentError
from sim.cache.sealed import BrokenSealError
from sim.draws import njit
from sim.scenario.models.workloads import KernelOverlay
from sim.units import TICKS_PER_CYCLE, ticks
from sim.workload.a64 import Flag, OpClass
from sim.workload.arrays import (
    AXES,
    CELL,
    LEVEL_STRIDE,
    OP,
    POP,
    SLOT,
    STATICS,
    TICK,
    Stream,
    StreamArrays,
    count_between,
    count_pass,
    read_only,
)
from sim.workload.build import (
    Blocks,
    FlatBody,
    IndexedBody,
    Segment,
    Statics,
    Timing,
    assemble,
    indexed_body,
)
from sim.workload.presets import get_preset
from sim.workload.remarks import bounded
from sim.workload.spestream import Recording, content_hash, read_header, read_spestream
from sim.workload.timing import (
    CACHE_MODEL_VERSION,
    CorePreset,
    TimingClass,
    memory_levels,
)

I64 = NDArray[np.int64]
INDEX_VERSION = 5
MICRO_OPS_PER_PAIR = 2
"""UNVERIFIED: how many SPE micro-ops LDP/STP and atomics make is not published."""

_BIG = ("execs", "levels", "cells", "pops", "addresses", "checkpoints")
_SMALL = (
    "block_first",
    "block_size",
    "weight",
    "slots",
    "op_ticks",
    "row",
    "pc",
    "op_class",
    "payload",
    "symbol",
    "size",
    "check_columns",
    "svc_ops",
    "pass_counts",
)


@dataclass(frozen=True, slots=True)
class Index:
    """The arrays of one recorded stream for one core and population; see `_BIG` and `_SMALL`."""

    arrays: dict[str, NDArray[Any]]
    symbols: tuple[str, ...]
    name: str
    build_seconds: float


def recorded_stream(
    path: Path,
    *,
    repeat: int,
    core: str,
    exclude_kernel: bool,
    micro_ops: bool,
    overlay: KernelOverlay | None,
    clock_hz: int,
) -> Stream:
    """A recorded stream, repeated; builds its index on first use."""
    preset = get_preset(core)
    index = load_index(path, preset, micro_ops)
    stream = stream_of_index(index, preset, repeat=repeat, exclude_kernel=exclude_kernel)
    if overlay is not None:
        stream = _with_kernel(index, stream, preset, overlay, clock_hz, repeat, exclude_kernel)
    return replace(stream, remarks=bounded(read_header(path).remarks))


# --- cache -----------------------------------------------------------------------------------


def index_key(path: Path, preset: CorePreset, micro_ops: bool) -> str:
    """Address of an index in the cache: everything that its arrays depend on."""
    return address_of(content_hash(path), preset, micro_ops)


def address_of(content: object, preset: CorePreset, micro_ops: bool) -> str:
    """Address of the index of some content, by a representation of it."""
    model = (preset.name, CACHE_MODEL_VERSION, preset.caches, preset.throughput_ticks().tolist())
    parts = (content, model, INDEX_VERSION, CELL, micro_ops)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def load_index(path: Path, preset: CorePreset, micro_ops: bool) -> Index:
    """The index of a stream file, from the cache or built now."""
    key = index_key(path, preset, micro_ops)
    found = kept(key)
    return keep(key, _built(path, preset, micro_ops)) if found is None else found


def kept(key: str) -> Index | None:
    """The index of this address, if the cache has it."""
    root = home.root()
    if root is None:
        return None
    folder = root / "index" / key
    try:
        return _kept(folder, key)
    except AbsentError:
        return None
    except BrokenSealError as error:
        home.say("index", f"{folder}: {error}; this index is not used, but built again")
        return None


def keep(key: str, built: Index) -> Index:
    """An index as the cache has it from now on, or as it is if nothing can be kept."""
    root = home.root()
    if root is None:
        return built
    folder = root / "index" / key
    facts = {"symbols": built.symbols, "name": built.name, "build_seconds": built.build_seconds}
    try:
        entries.keep(folder, key, built.arrays, facts)
        return _kept(folder, key)  # memory-mapped: shared with workers
    except AbsentError:
        return built  # cleared in this moment
    except (OSError, BrokenSealError) as error:
        home.say("index", f"{folder}: {error}; this index is not kept for the next run")
        return built


def _kept(folder: Path, key: str) -> Index:
    arrays, facts = entries.load(folder, key, (*_BIG, *_SMALL), _BIG)
    symbols, name, seconds = (facts.get(k) for k in ("symbols", "name", "build_seconds"))
    if not isinstance(symbols, list) or not isinstance(seconds, (int, float)):
        raise BrokenSealError(f"{entries.META} has no symbols or no time")
    return Index(arrays, tuple(map(str, symbols)), str(name), float(seconds))


def _built(path: Path, preset: CorePreset, micro_ops: bool) -> Index:
    began = time.perf_counter()
    arrays, symbols, name = build_index(read_spestream(path), preset, micro_ops)
    return Index(arrays, tuple(symbols), name, round(time.perf_counter() - began, 3))


# --- build -----------------------------------------------------------------------------------


def build_index(
    recording: Recording,
    preset: CorePreset,
    micro_ops: bool,
    levels: NDArray[np.uint8] | None = None,
) -> tuple[dict[str, NDArray[Any]], list[str], str]:
    """(arrays, symbol names, stream name) of a recording; O(ops).

    `levels` of its slots [M], if the core's caches alone do not decide them.
    """
    flags = recording.flags.astype(np.int64)
    op_class = recording.op_class.astype(np.int64)
    slots, row, op_ticks = timings(recording, preset)
    throughput = preset.throughput_ticks()
    weight = _weights(op_class, flags, micro_ops)
    first = recording.block_first.astype(np.int64)
    length = recording.block_len.astype(np.int64)
    size = _block_sizes(first, length, weight, slots)
    if levels is None:
        stores = np.isin(op_class, (OpClass.STORE, OpClass.ATOMIC)).astype(np.uint8)
        slot_stores = np.zeros(recording.addresses.size, np.uint8)
        _slots_of(recording.ids, first, length, slots, stores, slot_stores)
        levels = memory_levels(recording.addresses, slot_stores, preset)
    body = indexed_body(
        recording.ids,
        levels,
        Blocks(first, size),
        Statics(weight, slots, op_ticks, row),
        throughput,
    )
    symbol, names = _symbols(recording)
    arrays: dict[str, NDArray[Any]] = {
        "execs": body.execs,
        "levels": body.levels,
        "cells": body.cells,
        "pops": body.pops,
        "addresses": recording.addresses,
        "block_first": first,
        "block_size": size,
        "weight": weight,
        "slots": slots,
        "op_ticks": op_ticks,
        "row": row,
        "pc": recording.pc,
        "op_class": recording.op_class,
        "payload": recording.op_payload,
        "symbol": symbol,
        "size": body.size,
        "svc_ops": _svc_ops(recording, flags, length),
        "pass_counts": np.zeros(0, np.int64),
        "check_columns": np.zeros(0, np.int64),
        "checkpoints": np.zeros((0, 0), np.int64),
    }
    made = _stream_arrays(arrays, preset, 1, True)
    columns = np.flatnonzero(made.pass_counts)
    arrays["pass_counts"], arrays["check_columns"] = made.pass_counts, columns
    arrays["checkpoints"] = _checkpoints(made.arrays, columns, int(body.size[OP]))
    return arrays, names, recording.program


def timings(recording: Recording, preset: CorePreset) -> tuple[I64, I64, I64]:
    """Of each static op [S]: has it a slot (0/1), its timing row, its ticks if it has none."""
    flags = recording.flags.astype(np.int64)
    slots = ((flags & Flag.SLOT) != 0).astype(np.int64)
    row = _timing_class(recording.op_class.astype(np.int64), flags) * LEVEL_STRIDE
    return slots, row, np.where(slots, 0, preset.throughput_ticks()[row])


def _timing_class(op_class: I64, flags: I64) -> I64:
    simd = ((flags & Flag.FP_SIMD) != 0) & (op_class == OpClass.OTHER)
    return np.where(simd, int(TimingClass.FP_SIMD), op_class)


def _weights(op_class: I64, flags: I64, micro_ops: bool) -> I64:
    if not micro_ops:
        return np.ones(op_class.size, np.int64)
    several = ((flags & Flag.PAIR) != 0) | (op_class == OpClass.ATOMIC)
    return np.where(several, MICRO_OPS_PER_PAIR, 1).astype(np.int64)


def _block_sizes(first: I64, length: I64, weight: I64, slots: I64) -> I64:
    """Extent of each static block [K, 4]."""
    size = np.zeros((first.size, AXES), np.int64)
    pops, counts = np.cumsum(np.r_[0, weight]), np.cumsum(np.r_[0, slots])
    size[:, OP] = length
    size[:, POP] = pops[first + length] - pops[first]
    size[:, SLOT] = counts[first + length] - counts[first]
    return size


@njit
def _slots_of(ids: Any, first: Any, length: Any, slots: Any, kind: Any, out: Any) -> None:
    """`kind` of the static op behind each memory slot, in execution order."""
    m = 0
    for x in range(ids.size):
        block = ids[x]
        for s in range(first[block], first[block] + length[block]):
            if slots[s] != 0:
                out[m] = kind[s]
                m += 1


MIN_CHECK_STEP = 1 << 15
MAX_CHECK_WORDS = 1 << 23


def _check_step(ops: int, columns: int) -> int:
    """Ops between checkpoints: few enough to walk, many enough to stay below 64 MiB."""
    affordable = max(1, MAX_CHECK_WORDS // max(1, columns))
    return max(MIN_CHECK_STEP, -(-ops // affordable))


def _checkpoints(made: StreamArrays, columns: I64, ops: int) -> I64:
    """Population members of each column before every checkpoint."""
    step = _check_step(ops, columns.size)
    table = np.zeros((ops // step + 1, columns.size), np.int64)
    counts = np.zeros(int(made.tables[STATICS]) * LEVEL_STRIDE, np.int64)
    for row in range(1, table.shape[0]):
        count_between(made, (row - 1) * step, row * step, counts)
        table[row] = counts[columns]
    return table


def _symbols(recording: Recording) -> tuple[NDArray[np.int32], list[str]]:
    """Symbol number of each static op, and the names; number 0 is unknown code."""
    names = ["[unknown]"]
    symbol = np.zeros(recording.pc.size, np.int32)
    for entry in recording.symbols:
        inside = (recording.pc >= entry.start) & (recording.pc < entry.start + max(4, entry.size))
        if inside.any():
            symbol[inside] = len(names)
            names.append(entry.name)
    return symbol, names


def _svc_ops(recording: Recording, flags: I64, length: I64) -> I64:
    """Op index after each executed system call."""
    first = recording.block_first.astype(np.int64)
    last = first + length - 1
    calls = (flags[last] & Flag.SVC) != 0
    if not calls.any():
        return np.zeros(0, np.int64)
    out = np.empty(np.count_nonzero(calls[recording.ids]), np.int64)
    _ends_of(recording.ids, length, calls, out)
    return out


@njit
def _ends_of(ids: Any, length: Any, wanted: Any, out: Any) -> None:
    """Op index after each execution of the wanted blocks."""
    op, n = np.int64(0), 0
    for x in range(ids.size):
        op += length[ids[x]]
        if wanted[ids[x]]:
            out[n] = op
            n += 1


# --- stream ----------------------------------------------------------------------------------


def _timing(preset: CorePreset) -> Timing:
    return Timing(preset.throughput_ticks(), preset.latency_laws())


def _statics(arrays: dict[str, NDArray[Any]]) -> Statics:
    return Statics(arrays["weight"], arrays["slots"], arrays["op_ticks"], arrays["row"])


def _indexed(arrays: dict[str, NDArray[Any]]) -> IndexedBody:
    columns = arrays["check_columns"]
    return IndexedBody(
        arrays["execs"],
        arrays["levels"],
        arrays["cells"],
        arrays["pops"],
        arrays["size"],
        arrays["checkpoints"],
        columns,
        _check_step(int(arrays["size"][OP]), columns.size) if columns.size else 0,
    )


@dataclass(frozen=True, slots=True)
class _Arrays:
    arrays: StreamArrays
    pass_counts: I64


def _stream_arrays(
    arrays: dict[str, NDArray[Any]], preset: CorePreset, repeat: int, exclude_kernel: bool
) -> _Arrays:
    blocks = Blocks(arrays["block_first"], arrays["block_size"])
    made = assemble(
        _statics(arrays),
        (),
        _indexed(arrays),
        blocks,
        [Segment(0, 1)],
        _timing(preset),
        repeat=repeat,
        exclude_kernel=exclude_kernel,
    )
    counts = arrays["pass_counts"]
    return _Arrays(made, counts if counts.size else count_pass(made))


def stream_of_index(
    index: Index, preset: CorePreset, *, repeat: int, exclude_kernel: bool
) -> Stream:
    """The stream of an index, as it was recorded."""
    arrays = index.arrays
    made = _stream_arrays(arrays, preset, repeat, exclude_kernel)
    return Stream(
        arrays=made.arrays,
        static_pc=arrays["pc"],
        static_class=arrays["op_class"],
        static_payload=arrays["payload"],
        static_symbol=arrays["symbol"],
        symbols=index.symbols,
        addresses=read_only(arrays["addresses"]),
        pass_counts=made.pass_counts,
        name=index.name,
        build_seconds=index.build_seconds,
    )


# --- kernel overlay --------------------------------------------------------------------------


def _with_kernel(
    index: Index,
    plain: Stream,
    preset: CorePreset,
    overlay: KernelOverlay,
    clock_hz: int,
    repeat: int,
    exclude_kernel: bool,
) -> Stream:
    """Slices of the recorded body with EL1 entries between them."""
    arrays = index.arrays
    bodies, kinds = _kernel_bodies(overlay, int(arrays["pc"].size))
    extra = kinds.size
    statics = _statics(arrays)
    grown = Statics(
        np.r_[statics.weight, np.ones(extra, np.int64)],
        np.r_[statics.slots, np.zeros(extra, np.int64)],
        np.r_[statics.ticks, np.full(extra, _op_ticks(overlay), np.int64)],
        np.r_[statics.row, np.full(extra, int(TimingClass.OTHER) * LEVEL_STRIDE, np.int64)],
    )
    segments = _overlay_segments(arrays, plain, overlay, clock_hz, len(bodies))
    made = assemble(
        grown,
        bodies,
        _indexed(arrays),
        Blocks(arrays["block_first"], arrays["block_size"]),
        segments,
        _timing(preset),
        repeat=repeat,
        exclude_kernel=exclude_kernel,
    )
    symbols = (*index.symbols, *_ENTRIES)
    return Stream(
        arrays=made,
        static_pc=np.r_[arrays["pc"], _KERNEL_TEXT + 4 * np.arange(extra, dtype=np.uint64)],
        static_class=np.r_[arrays["op_class"], np.zeros(extra, np.uint8)],
        static_payload=np.r_[arrays["payload"], np.zeros(extra, np.uint8)],
        static_symbol=np.r_[arrays["symbol"], kinds + np.int32(len(index.symbols))],
        symbols=symbols,
        addresses=plain.addresses,
        pass_counts=count_pass(made),
        name=index.name,
        build_seconds=index.build_seconds,
    )


_KERNEL_TEXT = np.uint64(0xFFFF_8000_1000_0000)
_PAGE_SHIFT = 12  # the recorded program's pages
_TICK, _SVC, _FAULT = range(3)
_ENTRIES = ("[kernel] tick", "[kernel] svc", "[kernel] page fault")


def _op_ticks(overlay: KernelOverlay) -> int:
    return max(1, overlay.cpi_millis * TICKS_PER_CYCLE // 1000)


def _parts(overlay: KernelOverlay) -> list[tuple[int, int]]:
    """Ops of each kind of entry: (with PSTATE.I set, the rest); none is empty."""
    totals = (overlay.tick_ops, overlay.svc_ops, overlay.fault_ops)
    masked = [min(overlay.masked_prefix, ops - 1) for ops in totals]
    return [(max(1, m), max(1, ops - m)) for m, ops in zip(masked, totals, strict=True)]


def _kernel_bodies(overlay: KernelOverlay, first: int) -> tuple[list[FlatBody], NDArray[np.int32]]:
    """Two flat bodies of EL1 ops per kind of entry, numbered from `first`; kind of each op."""
    bodies, kinds, at = [], [], first
    for kind, parts in enumerate(_parts(overlay)):
        for length in parts:
            static = np.arange(at, at + length)
            cost = np.full(length, _op_ticks(overlay), np.int64)
            bodies.append(FlatBody(static, np.zeros(length, np.int64), cost))
            at += length
        kinds += [kind] * sum(parts)
    return bodies, np.array(kinds, np.int32)


def _overlay_segments(
    arrays: dict[str, NDArray[Any]], plain: Stream, overlay: KernelOverlay, clock_hz: int, user: int
) -> list[Segment]:
    """User slices, and the kernel's entries between them."""
    size = int(arrays["size"][OP])
    segments, begin = [], 0
    for op, kind in sorted(_entries(arrays, plain, overlay, clock_hz)):
        if op > begin:
            segments.append(_slice(plain, user, begin, op))
            begin = op
        segments.append(Segment(2 * kind, 1, el=1, masked=True))
        segments.append(Segment(2 * kind + 1, 1, el=1))
    if begin < size:
        segments.append(_slice(plain, user, begin, size))
    return segments


def _entries(
    arrays: dict[str, NDArray[Any]], plain: Stream, overlay: KernelOverlay, clock_hz: int
) -> Iterator[tuple[int, int]]:
    """(op before which the kernel runs, kind): timer ticks of user time, after each svc, before
    the first access to each data page."""
    size = int(arrays["size"][OP])
    period = ticks(overlay.tick_every, clock_hz)
    for at in range(period, int(arrays["size"][TICK]), period):
        yield plain.op_at(at), _TICK
    for op in arrays["svc_ops"]:
        if op < size:
            yield int(op), _SVC
    _, first = np.unique(arrays["addresses"] >> np.uint64(_PAGE_SHIFT), return_index=True)
    for slot in first:
        yield plain.seek(SLOT, int(slot)).op, _FAULT


def _slice(plain: Stream, body: int, begin: int, end: int) -> Segment:
    start = _position(plain, begin)
    stop = _position(plain, end)
    extent = tuple(b - a for a, b in zip(start, stop, strict=True))
    return Segment(body, 1, skip=start, size=extent)  # type: ignore[arg-type]


def _position(plain: Stream, op: int) -> tuple[int, int, int, int]:
    """(OP, POP, TICK, SLOT) of an op of the first pass."""
    size = plain.ops // plain.repeat
    if op >= size:
        return tuple(plain.size(axis) // plain.repeat for axis in range(AXES))  # type: ignore[return-value]
    place = plain.seek(OP, op)
    return place.op, place.pop, place.tick, place.slot
