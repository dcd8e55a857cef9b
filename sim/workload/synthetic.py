"""Synthetic streams: phases of loops.

Fidelity note. A phase is one loop body of `length` static ops, run `iterations` times; op classes
and memory levels are dealt out in the phase's proportions and shuffled once by a keyed hash, so a
phase is the same in every arm and replication. Every op of a phase takes the phase's CPI. Not
modelled: data dependence between ops, caches (levels are given), branches that vary. Synthetic
streams have no addresses; records carry addresses made from the op and the key.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim import draws, laws
from sim.scenario.models.quantities import ConstantLatency, ExponentialLatency
from sim.scenario.models.workloads import Phase, Synthetic
from sim.units import TICKS_PER_CYCLE
from sim.workload.a64 import OpClass
from sim.workload.arrays import LEVEL_STRIDE, Stream, count_pass
from sim.workload.build import FlatBody, Segment, Statics, Timing, assemble
from sim.workload.presets import get_preset
from sim.workload.timing import TimingClass

I64 = NDArray[np.int64]

_TIMING = {
    "other": TimingClass.OTHER,
    "load": TimingClass.LOAD,
    "store": TimingClass.STORE,
    "branch": TimingClass.BRANCH,
    "atomic": TimingClass.ATOMIC,
    "fp_simd": TimingClass.FP_SIMD,
}
_OP_CLASS = {
    "other": OpClass.OTHER,
    "load": OpClass.LOAD,
    "store": OpClass.STORE,
    "atomic": OpClass.ATOMIC,
    "branch": OpClass.BRANCH,
    "fp_simd": OpClass.OTHER,
}
_PAYLOAD = {"other": 0, "load": 0, "store": 1, "atomic": 0x06, "branch": 1, "fp_simd": 0}
_MEMORY = (OpClass.LOAD, OpClass.STORE, OpClass.ATOMIC)
MICRO_OPS_PER_ATOMIC = 2
"""UNVERIFIED: no source gives how many SPE micro-ops an atomic makes."""


def synthetic_stream(
    spec: Synthetic, *, core: str, exclude_kernel: bool, micro_ops: bool, name: str = "synthetic"
) -> Stream:
    """The stream of a synthetic workload for one core preset and sample population."""
    loops = [_loop(phase, index) for index, phase in enumerate(spec.phases)]
    classes = np.concatenate([loop[0] for loop in loops])
    op_class = np.array([_OP_CLASS[name] for name in _NAMES], np.int64)[classes]
    payload = np.array([_PAYLOAD[name] for name in _NAMES], np.uint8)[classes]
    timing_class = np.array([_TIMING[name] for name in _NAMES], np.int64)[classes]
    lengths = [phase.length for phase in spec.phases]
    phase_of = np.repeat(np.arange(len(lengths)), lengths)
    timing, rows = _timing(spec, core)
    row = np.where(rows[phase_of] >= 0, rows[phase_of], timing_class)
    slots = np.isin(op_class, _MEMORY).astype(np.int64)
    several = micro_ops & (op_class == OpClass.ATOMIC)
    weight = np.where(several, MICRO_OPS_PER_ATOMIC, 1).astype(np.int64)
    ticks = np.concatenate([_ticks(phase) for phase in spec.phases])
    statics = Statics(weight, slots, ticks, row * LEVEL_STRIDE)
    first = np.cumsum([0, *lengths])
    flats = [
        FlatBody(np.arange(first[k], first[k + 1]), loop[1], _ticks(spec.phases[k]))
        for k, loop in enumerate(loops)
    ]
    segments = [
        Segment(k, phase.iterations, phase.el, phase.irq_masked)
        for k, phase in enumerate(spec.phases)
    ]
    arrays = assemble(
        statics,
        flats,
        None,
        None,
        segments,
        timing,
        repeat=spec.passes(spec.pass_ops),
        exclude_kernel=exclude_kernel,
    )
    return Stream(
        arrays=arrays,
        static_pc=0x400000 + 4 * np.arange(classes.size, dtype=np.uint64),
        static_class=op_class.astype(np.uint8),
        static_payload=payload,
        static_symbol=phase_of.astype(np.int32),
        symbols=tuple(phase.name for phase in spec.phases),
        addresses=np.zeros(0, np.uint64),
        pass_counts=count_pass(arrays),
        name=name,
    )


_NAMES = tuple(_TIMING)


def _dealt(weights: list[int], n: int, stream: int) -> I64:
    """`n` cards of the given proportions (largest remainders), shuffled by hash order."""
    total = sum(weights) or 1
    counts = [n * w // total for w in weights]
    order = sorted(range(len(weights)), key=lambda k: (-(n * weights[k] % total), k))
    for k in order[: n - sum(counts)]:
        counts[k] += 1
    cards = np.repeat(np.arange(len(weights)), counts)
    cards = np.resize(cards, n) if cards.size else np.zeros(n, np.int64)
    return np.asarray(cards[np.argsort(draws.mix64_array(stream, np.arange(n)), kind="stable")])


def _loop(phase: Phase, index: int) -> tuple[I64, I64]:
    """(class index into _NAMES, memory level) of each op of a phase's body."""
    mix = phase.mix
    weights = [getattr(mix, name) for name in _NAMES]
    n = phase.length
    classes = _dealt(weights, n, draws.key(0, 0, index, f"class/{phase.name}"))
    memory = np.isin(np.array([_OP_CLASS[name] for name in _NAMES])[classes], _MEMORY)
    levels = np.zeros(n, np.int64)
    mixed = [phase.levels.l1, phase.levels.l2, phase.levels.slc, phase.levels.dram]
    stream = draws.key(0, 0, index, f"level/{phase.name}")
    levels[memory] = 1 + _dealt(mixed, int(memory.sum()), stream)
    return classes, levels


def _ticks(phase: Phase) -> I64:
    """Ticks of each op of a body: the phase's CPI spread evenly, at least one."""
    n = phase.length
    total = max(n, phase.cpi_millis * TICKS_PER_CYCLE * n // 1000)
    ends = np.arange(1, n + 1) * total // n
    return np.diff(ends, prepend=0)


def _timing(spec: Synthetic, core: str) -> tuple[Timing, I64]:
    """Core rows, then one row per phase with a latency of its own; -1 where it has none."""
    preset = get_preset(core)
    row_ticks = [preset.throughput_ticks()]
    latency = [preset.latency_laws()]
    rows = np.full(len(spec.phases), -1, np.int64)
    next_row = len(preset.throughput_ticks()) // LEVEL_STRIDE
    for k, phase in enumerate(spec.phases):
        law = _latency_law(phase)
        if law is None:
            continue
        rows[k] = next_row
        next_row += 1
        row_ticks.append(np.ones(LEVEL_STRIDE, np.int64))
        latency.append(np.tile(law, LEVEL_STRIDE))
    return Timing(np.concatenate(row_ticks), np.concatenate(latency)), rows


def _latency_law(phase: Phase) -> I64 | None:
    match phase.latency:
        case ConstantLatency(value=cycles):
            return laws.constant(max(1, cycles * TICKS_PER_CYCLE))
        case ExponentialLatency(mean=cycles):
            return laws.exponential(cycles * TICKS_PER_CYCLE)
        case _:
            return None
