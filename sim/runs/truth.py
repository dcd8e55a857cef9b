"""What a perfect profile of a run would be: exact counts over the ops that it executed.

Counts are of population members that pass the filters, by static × LEVEL_STRIDE + level, or by
bucket of latency. An op's latency is one of the 256 quantiles of its (class, level), all equally
likely, so a latency filter and the latency view take expectations over that table, in integers.
Sampled latencies are functions of the op, so they are looked up for the records that were kept:
the samplers carry nothing for this view, and without kept records it does not exist.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim import draws
from sim.machine.resolve import core_facts
from sim.machine.spec import MachineSpec
from sim.results import RunResult
from sim.scenario.models.scenario import Settings
from sim.spe.filter import Filter
from sim.spe.record import total_cycles
from sim.units import TICKS_PER_CYCLE
from sim.workload.arrays import LEVEL_STRIDE, Stream

I64 = NDArray[np.int64]
QUANTILES = 256
_POWERS = np.left_shift(1, np.arange(63, dtype=np.int64))


def truth(stream: Stream, spec: MachineSpec, run: RunResult) -> I64:
    """Members that pass the filters among what `run` executed, all vCPUs [S × LEVEL_STRIDE]."""
    passing = _passing(stream, spec.spu.filter).sum(axis=1)
    return np.asarray(executed(stream, run) * passing // QUANTILES)


def executed(stream: Stream, run: RunResult) -> I64:
    """Population members among what `run` executed, all vCPUs [S × LEVEL_STRIDE]."""
    counts = np.zeros(stream.statics * LEVEL_STRIDE, np.int64)
    for vcpu in run.vcpus:
        stream.count(0, vcpu.ended_at_op, counts)
    return counts


def _passing(stream: Stream, spec: Filter) -> NDArray[np.bool_]:
    """Which latency quantiles pass [S × LEVEL_STRIDE, 256]."""
    passing = _quantiles(stream) >= spec.min_latency
    return np.asarray(passing & (spec.passes[:, None] > 0))


def _quantiles(stream: Stream) -> I64:
    """Ticks in flight [S × LEVEL_STRIDE, 256]."""
    rows = (stream.rows()[:, None] + np.arange(LEVEL_STRIDE)).reshape(-1)
    return np.asarray(stream.latency().reshape(-1, QUANTILES)[rows])


def bucket(cycles: I64) -> I64:
    """Bucket of a latency: 0, 1, 2–3, 4–7, …: the number of its binary digits."""
    return np.asarray(np.searchsorted(_POWERS, cycles, side="right"), np.int64)


def latency_truth(stream: Stream, spec: MachineSpec, settings: Settings, run: RunResult) -> I64:
    """Expected members that pass the filters, by `bucket` of TOTAL [counter bits + 1]."""
    counts = executed(stream, run)
    out = np.zeros(settings.spe.counter_bits + 1, np.int64)
    cells = np.flatnonzero(counts)
    passing = _passing(stream, spec.spu.filter)[cells]
    cycles = _quantiles(stream)[cells] // TICKS_PER_CYCLE
    which = bucket(np.minimum(cycles, core_facts(settings).counter_max))
    np.add.at(out, which, passing * counts[cells, None])
    return out // QUANTILES


def latency_counts(stream: Stream, settings: Settings, seed: int, run: RunResult) -> I64:
    """Kept records by `bucket` of TOTAL [counter bits + 1], all vCPUs."""
    out = np.zeros(settings.spe.counter_bits + 1, np.int64)
    facts = core_facts(settings)
    for index, vcpu in enumerate(run.vcpus):
        key = draws.key(seed, run.replication, index, "latency")
        ops = np.ascontiguousarray(vcpu.written[:, 0])
        np.add.at(out, bucket(total_cycles(stream, ops, facts, key)), 1)
    return out
