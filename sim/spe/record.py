"""Stage 4, write the record: from what a sampler emits to full SPE records.

A sampler emits (op, t_select, t_write). Everything else is a function of the op and the stream, so
it is computed here, once, vectorised, for both engines, and only when records are kept.

Fidelity note. Modelled: operation type payload, events by memory level and branch, latency
counters saturating at CountSize, data source per core preset, address packets. ISSUE, XLAT,
misprediction and PA are functions of (op, key): UNVERIFIED. Layout: fixed 64-byte slots of
Neoverse-class cores (`spe-architecture` §4.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim import draws
from sim.draws import njit
from sim.results import RECORD_DT
from sim.spe.filter import EV_RETIRED
from sim.units import TICKS_PER_CYCLE
from sim.workload.arrays import (
    AXES,
    EL,
    OP,
    PASS,
    SEG_INFO,
    SLOT,
    Stream,
    StreamArrays,
    seek_from,
)

I64 = NDArray[np.int64]
_BRANCH = 4
_LOADS = (1, 3)  # atomics return a value
_EV_MISPREDICTED = 1 << 7
MISPREDICT_PER_256 = 5
"""Share of branches marked mispredicted, of 256; UNVERIFIED."""


@dataclass(frozen=True, slots=True)
class CoreFacts:
    """What the core preset says about records: event bits and data source by memory level."""

    level_events: I64
    level_source: I64
    counter_max: int


@njit
def _locate_sorted(S: StreamArrays, ops: I64, out: I64) -> None:
    """static, level, slot, el of each op; ops ascending."""
    entry = np.int64(-1)
    at = np.empty(AXES, np.int64)
    T = S.tables
    for j in range(ops.size):
        static, level, g, entry = seek_from(S, OP, ops[j], entry, at)
        out[j, 0], out[j, 1], out[j, 2] = static, level, at[SLOT]
        out[j, 3] = T[T[SEG_INFO] + 4 * g + EL]


def expand(
    stream: Stream, written: I64, facts: CoreFacts, latency_key: int, vcpu: int, tid: int
) -> NDArray[np.void]:
    """Records [n] of RECORD_DT from rows (op, t_select, t_write) [n, 3]."""
    n = written.shape[0]
    records = np.zeros(n, RECORD_DT)
    if n == 0:
        return records
    ops = np.ascontiguousarray(written[:, 0])
    static, level, slot, el = _located(stream, ops).T
    total = _cycles(stream, ops, static, level, latency_key)
    noise = draws.mix64_array(latency_key ^ 0x5350_4500, ops)
    records["vcpu"], records["tid"] = vcpu, tid
    records["op"], records["insn"], records["el"], records["level"] = ops, static, el, level
    records["op_payload"] = stream.static_payload[static]
    records["total"] = np.minimum(total, facts.counter_max)
    share = (noise & np.uint64(255)).astype(np.int64)
    records["issue"] = np.minimum(total * share >> 8, facts.counter_max)
    memory = level > 0
    records["xlat"] = np.where(memory, 1 + (share & 3), 0)
    records["events"] = _events(stream, static, level, noise, facts)
    records["va"] = np.where(memory, _addresses(stream, slot, noise), 0)
    records["pa"] = np.where(memory, records["va"] & np.uint64(0xFFFF_FFFF_FFFF), 0)
    branch = stream.static_class[static] == _BRANCH
    records["target"] = np.where(branch, stream.static_pc[static] + np.uint64(4), 0)
    loads = np.isin(stream.static_class[static], _LOADS)
    records["source"] = np.where(loads, facts.level_source[level], 0)
    records["t_select"], records["t_write"] = written[:, 1], written[:, 2]
    return records


def total_cycles(stream: Stream, ops: I64, facts: CoreFacts, latency_key: int) -> I64:
    """The TOTAL counter of each op's record [n], cycles, without the rest of the record."""
    if ops.size == 0:
        return np.empty(0, np.int64)
    located = _located(stream, ops)
    total = _cycles(stream, ops, located[:, 0], located[:, 1], latency_key)
    return np.minimum(total, facts.counter_max)


def _located(stream: Stream, ops: I64) -> I64:
    """static, level, slot, el of each op [n, 4], in the order of `ops`."""
    order = np.argsort(ops, kind="stable")
    located, in_order = np.empty((ops.size, 4), np.int64), np.empty((ops.size, 4), np.int64)
    _locate_sorted(stream.arrays, ops[order], in_order)
    located[order] = in_order
    return located


def _cycles(stream: Stream, ops: I64, static: I64, level: I64, latency_key: int) -> I64:
    """Unsaturated cycles in flight [n]: the quantile that the op's hash picks."""
    row = stream.rows()[static] + level
    byte = (draws.mix64_array(latency_key, ops) & np.uint64(255)).astype(np.int64)
    return np.asarray(stream.latency()[(row << 8) + byte] // TICKS_PER_CYCLE)


def _addresses(stream: Stream, slot: I64, noise: NDArray[np.uint64]) -> NDArray[np.uint64]:
    if stream.addresses.size == 0:
        return (noise >> np.uint64(24)) & np.uint64(0x7FFF_FFFF_FFC0)
    return stream.addresses[slot % int(stream.arrays.tables[PASS + SLOT])]


def _events(
    stream: Stream, static: I64, level: I64, noise: NDArray[np.uint64], facts: CoreFacts
) -> I64:
    events = EV_RETIRED | facts.level_events[level]
    branch = stream.static_class[static] == _BRANCH
    missed = (noise >> np.uint64(8) & np.uint64(255)).astype(np.int64) < MISPREDICT_PER_256
    return np.where(branch & missed, events | _EV_MISPREDICTED, events)
