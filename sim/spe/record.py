"""Stage 4, write the record: from what a sampler emits to full SPE records.

A sampler emits (op, t_select, t_write). Everything else is a function of the op and the stream, so
it is computed here, once, vectorised, for both engines, and only when records are kept.

Fidelity note. Modelled: operation type payload, events by memory level and branch, latency counters
saturating at CountSize, data source per core preset, address packets. A branch's target is where
the stream went next at the same exception level, PC + 4 if it was not taken (as real N1 and Kunpeng
records show). An atomic is recorded as its load half. Not modelled: targets across a signal (the
handler's first op stands for the target), TLB misses. ISSUE, XLAT and misprediction are functions
of (op, key), the physical address one of the page: UNVERIFIED. Layouts: fixed 64-byte slots of
Neoverse-class cores, packed records of Kunpeng (`sim.spe.buffer` has their lengths,
`reports.perf.packets` their bytes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim import draws, laws
from sim.draws import allocates, njit
from sim.results import RECORD_DT
from sim.spe.collect import EV_MISPREDICTED, EV_NOT_TAKEN, EV_RETIRED, MISPREDICT_PER_256, NOISE
from sim.units import TICKS_PER_CYCLE
from sim.workload.a64 import OpClass
from sim.workload.arrays import (
    AXES,
    EL,
    PASS,
    SEG_INFO,
    SLOT,
    Stream,
    StreamArrays,
    seek_op,
)
from sim.workload.following import following

I64 = NDArray[np.int64]
_LOADS = (OpClass.LOAD, OpClass.ATOMIC)  # atomics return a value
_CONDITIONAL = 1
_PAGE_SHIFT = np.uint64(12)
_PAGE_NUMBERS = np.uint64((1 << 36) - 1)
_FRAME_STEP = np.uint64(0x9_E377_9B97)
"""Odd, so that page number × step is a bijection of 36 bits: two pages never share a frame."""


@dataclass(frozen=True, slots=True)
class CoreFacts:
    """What the core preset says about records: event bits and data source by memory level."""

    level_events: I64
    level_source: I64
    counter_max: int


@njit
@allocates
def _locate_sorted(S: StreamArrays, ops: I64, out: I64) -> None:
    """static, level, slot, el of each op; ops ascending."""
    entry = np.int64(-1)
    at = np.empty(AXES, np.int64)
    T = S.tables
    for j in range(ops.size):
        static, level, g, entry = seek_op(S, ops[j], entry, at)
        out[j, 0], out[j, 1], out[j, 2] = static, level, at[SLOT]
        out[j, 3] = T[T[SEG_INFO] + 4 * g + EL]


@njit
@allocates
def _follow_sorted(S: StreamArrays, ops: I64, els: I64, out: I64) -> None:
    """Static op that each op's exception level executes next; -1 at the stream's end."""
    entry = np.int64(-1)
    at = np.empty(AXES, np.int64)
    for j in range(ops.size):
        out[j], entry = following(S, ops[j], els[j], entry, at)


def expand(
    stream: Stream, written: I64, facts: CoreFacts, latency_key: int, vcpu: int, tid: int
) -> NDArray[np.void]:
    """Records [n] of RECORD_DT from rows (op, t_select, t_write) [n, 3]."""
    n = written.shape[0]
    records = np.zeros(n, RECORD_DT)
    if n == 0:
        return records
    ops = np.ascontiguousarray(written[:, 0])
    static, level, slot, el = located(stream, ops).T
    total = _cycles(stream, static, level, draws.mix64_array(latency_key, ops))
    noise = draws.mix64_array(latency_key ^ NOISE, ops)
    records["vcpu"], records["tid"] = vcpu, tid
    records["op"], records["insn"], records["el"], records["level"] = ops, static, el, level
    records["op_payload"] = stream.static_payload[static]
    records["total"] = np.minimum(total, facts.counter_max)
    share = (noise & np.uint64(255)).astype(np.int64)
    records["issue"] = np.minimum(total * share >> 8, facts.counter_max)
    memory = level > 0
    records["xlat"] = np.where(memory, 1 + (share & 3), 0)
    records["va"] = np.where(memory, _addresses(stream, slot, noise), 0)
    records["pa"] = np.where(memory, physical(records["va"]), 0)
    branch = stream.static_class[static] == OpClass.BRANCH
    after = stream.static_pc[static] + np.uint64(4)
    targets = _targets(stream, ops[branch], el[branch], after[branch])
    records["target"][branch] = targets
    events = EV_RETIRED | facts.level_events[level]
    payload = records["op_payload"][branch]
    events[branch] |= _branch_events(payload, targets == after[branch], noise[branch])
    records["events"] = events
    loads = np.isin(stream.static_class[static], _LOADS)
    records["source"] = np.where(loads, facts.level_source[level], 0)
    records["t_select"], records["t_write"] = written[:, 1], written[:, 2]
    return records


def total_cycles(stream: Stream, ops: I64, facts: CoreFacts, latency_key: int) -> I64:
    """The TOTAL counter of each op's record [n], cycles, without the rest of the record."""
    if ops.size == 0:
        return np.empty(0, np.int64)
    places = located(stream, ops)
    noise = draws.mix64_array(latency_key, ops)
    return total_of(stream, places[:, 0], places[:, 1], noise, facts)


def total_of(
    stream: Stream, static: I64, level: I64, noise: NDArray[np.uint64], facts: CoreFacts
) -> I64:
    """The TOTAL counter of ops whose place is known [n], from the hashes of their numbers."""
    return np.minimum(_cycles(stream, static, level, noise), facts.counter_max)


def located(stream: Stream, ops: I64) -> I64:
    """static, level, slot, el of each op [n, 4], in the order of `ops`."""
    order = np.argsort(ops, kind="stable")
    found, in_order = np.empty((ops.size, 4), np.int64), np.empty((ops.size, 4), np.int64)
    _locate_sorted(stream.arrays, ops[order], in_order)
    found[order] = in_order
    return found


def _cycles(stream: Stream, static: I64, level: I64, noise: NDArray[np.uint64]) -> I64:
    """Unsaturated cycles in flight [n], by the hash of the op."""
    law = (stream.rows()[static] + level) * laws.STRIDE
    return laws.drawn_array(stream.latency(), law, noise) // TICKS_PER_CYCLE


def _addresses(stream: Stream, slot: I64, noise: NDArray[np.uint64]) -> NDArray[np.uint64]:
    if stream.addresses.size == 0:
        return (noise >> np.uint64(24)) & np.uint64(0x7FFF_FFFF_FFC0)
    return stream.addresses[slot % int(stream.arrays.tables[PASS + SLOT])]


def physical(va: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Where the page tables put 48-bit addresses: every 4 KiB page in a frame of its own."""
    frame = (va >> _PAGE_SHIFT) * _FRAME_STEP & _PAGE_NUMBERS
    return frame << _PAGE_SHIFT | va & np.uint64(0xFFF)


def next_statics(stream: Stream, ops: I64, el: I64) -> I64:
    """Static op that the exception level of each op executes next [n]; -1 at the stream's end."""
    order = np.argsort(ops, kind="stable")
    found, in_order = np.empty(ops.size, np.int64), np.empty(ops.size, np.int64)
    _follow_sorted(stream.arrays, ops[order], el[order], in_order)
    found[order] = in_order
    return found


def _targets(stream: Stream, ops: I64, el: I64, after: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Where branches went; `after` is PC + 4."""
    came = next_statics(stream, ops, el)
    return np.where(came < 0, after, stream.static_pc[came])


def branch_events(stream: Stream, op: int, static: int, latency_key: int) -> int:
    """Bits of PMSEVFR that the branch `op` sets besides those of every op."""
    ops, which = np.array([op], np.int64), np.array([static], np.int64)
    after = stream.static_pc[which] + np.uint64(4)
    fell = _targets(stream, ops, located(stream, ops)[:, 3], after) == after
    noise = draws.mix64_array(latency_key ^ NOISE, ops)
    return int(_branch_events(stream.static_payload[which], fell, noise)[0])


def _branch_events(
    payload: NDArray[np.uint8], fell: NDArray[np.bool_], noise: NDArray[np.uint64]
) -> I64:
    """Events of branches [n]; `fell` tells which went on at PC + 4."""
    not_taken = ((payload & _CONDITIONAL) != 0) & fell
    missed = (noise >> np.uint64(8) & np.uint64(255)).astype(np.int64) < MISPREDICT_PER_256
    events = np.where(not_taken, EV_NOT_TAKEN, 0) | np.where(missed, EV_MISPREDICTED, 0)
    return np.asarray(events, np.int64)
