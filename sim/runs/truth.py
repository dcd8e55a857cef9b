"""What a perfect profile of a run would be: exact counts over the ops that it executed.

Counts are of population members that pass the filters, by static × LEVEL_STRIDE + level, or by
bucket of latency. An op's latency follows the law of its (class, level), so a latency filter and
the latency view take expectations over that law, in integers.
Sampled latencies are functions of the op, so they are looked up for the records that were kept:
the samplers carry nothing for this view, and without kept records it does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim import draws, laws
from sim.machine.resolve import core_facts
from sim.machine.spec import MachineSpec
from sim.results import RunResult
from sim.scenario.models.scenario import Settings
from sim.spe.collect import EV_MISPREDICTED, EV_NOT_TAKEN, MISPREDICT_PER_256
from sim.spe.filter import Filter
from sim.spe.record import total_cycles
from sim.units import TICKS_PER_CYCLE
from sim.workload.arrays import LEVEL_STRIDE, Stream
from sim.workload.following import count_not_taken

I64 = NDArray[np.int64]
_POWERS = np.left_shift(1, np.arange(63, dtype=np.int64))


def truth(stream: Stream, spec: MachineSpec, run: RunResult) -> I64:
    """Members that pass the filters among what `run` executed, all vCPUs [S × LEVEL_STRIDE]."""
    return expected(stream, spec.spu.filter, _ends(run))


def expected(stream: Stream, chosen: Filter, ends: Sequence[int]) -> I64:
    """Members that pass the filters among the ops of each vCPU below its end [S × LEVEL_STRIDE]."""
    passing = laws.at_least(stream.latency(), chosen.min_latency)[_laws_of(stream)]
    return _expected(_candidates(stream, chosen, ends), passing)


def _ends(run: RunResult) -> list[int]:
    return [vcpu.ended_at_op for vcpu in run.vcpus]


def executed(stream: Stream, ends: Sequence[int]) -> I64:
    """Population members among the ops of each vCPU below its end [S × LEVEL_STRIDE]."""
    counts = np.zeros(stream.statics * LEVEL_STRIDE, np.int64)
    for vcpu, end in enumerate(ends):
        stream.of(vcpu).count(0, end, counts)
    return counts


def _candidates(stream: Stream, chosen: Filter, ends: Sequence[int]) -> I64:
    """Members that pass the filters of type and events [S × LEVEL_STRIDE].

    Whether a branch was predicted depends on the vCPU's key, so its share is expected.
    """
    if chosen.branch_events & EV_NOT_TAKEN:
        counts = np.zeros(chosen.passes.size, np.int64)
        for vcpu, end in enumerate(ends):
            count_not_taken(stream.of(vcpu), end, counts)
    else:
        counts = executed(stream, ends)
    if chosen.branch_events & EV_MISPREDICTED:
        counts = counts * MISPREDICT_PER_256 // 256
    return np.where(chosen.passes > 0, counts, 0)


def _laws_of(stream: Stream) -> I64:
    """Which law each cell has [S × LEVEL_STRIDE]."""
    return np.asarray((stream.rows()[:, None] + np.arange(LEVEL_STRIDE)).reshape(-1))


def _expected(counts: I64, draws_of: I64) -> I64:
    """counts × draws_of / laws.DRAWS, rounded down; counts below 2^43."""
    high, low = draws_of >> 20, draws_of & (1 << 20) - 1
    return np.asarray((counts * high + (counts * low >> 20)) >> 20)


def bucket(cycles: I64) -> I64:
    """Bucket of a latency: 0, 1, 2–3, 4–7, …: the number of its binary digits."""
    return np.asarray(np.searchsorted(_POWERS, cycles, side="right"), np.int64)


def latency_truth(stream: Stream, spec: MachineSpec, settings: Settings, run: RunResult) -> I64:
    """Expected members that pass the filters, by `bucket` of TOTAL [counter bits + 1]."""
    chosen, bits = spec.spu.filter, settings.spe.counter_bits
    laws_of = _laws_of(stream)
    members = np.zeros(int(laws_of.max()) + 1, np.int64)
    np.add.at(members, laws_of, _candidates(stream, chosen, _ends(run)))
    used = np.flatnonzero(members)
    table = stream.latency().reshape(-1, laws.STRIDE)[used]
    # TOTAL saturates, so the last bucket has no upper end
    floors = [0, *(TICKS_PER_CYCLE << bit for bit in range(bits))]
    reach = [laws.at_least(table, max(floor, chosen.min_latency)) for floor in floors]
    within = np.array(reach) - np.array([*reach[1:], np.zeros_like(used)])
    return np.array([_sum(members[used], draws_of) for draws_of in within], np.int64)


def _sum(members: I64, draws_of: I64) -> int:
    """Expected members in all, rounded once."""
    pairs = zip(members.tolist(), draws_of.tolist(), strict=True)
    return int(sum(count * of for count, of in pairs) // laws.DRAWS)


def latency_counts(stream: Stream, settings: Settings, seed: int, run: RunResult) -> I64:
    """Kept records by `bucket` of TOTAL [counter bits + 1], all vCPUs."""
    out = np.zeros(settings.spe.counter_bits + 1, np.int64)
    facts = core_facts(settings)
    for index, vcpu in enumerate(run.vcpus):
        key = draws.key(seed, run.replication, index, "latency")
        ops = np.ascontiguousarray(vcpu.written[:, 0])
        np.add.at(out, bucket(total_cycles(stream.of(index), ops, facts, key)), 1)
    return out
