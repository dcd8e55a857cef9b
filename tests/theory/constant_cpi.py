"""The machines that closed forms speak of: one op, constant CPI, one source of loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.kvm.policies import KvmCosts
from sim.linux.aux import Geometry
from sim.linux.driver import DriverCosts
from sim.machine import MachineSpec, Run, UnmapSpec, simulate
from sim.results import RunResult, VcpuResult
from sim.scenario.model import DESIGNS
from sim.spe.filter import Filter
from sim.spe.select import Jitter
from sim.workload.arrays import LEVEL_STRIDE, Stream, count_pass
from sim.workload.build import FlatBody, Segment, Statics, Timing, assemble

CYCLE = 64
"""Ticks of a cycle, and of every op: CPI 1."""
PAGE = 4096
Z = 4.0
"""Standard errors that a mean may lie from its closed form: 1 in 16,000 by chance."""
HANDLER = KvmCosts(*(100 * CYCLE for _ in range(16)))


def stream_of(ops: int, latency: Sequence[int] = (CYCLE,)) -> Stream:
    """`ops` ops of one cycle each; time in flight is one of `latency`, 256 or 1 quantiles, ticks."""
    one, zero = np.ones(1, np.int64), np.zeros(1, np.int64)
    table = np.resize(np.array(latency, np.int64), 256)
    arrays = assemble(
        Statics(one, zero, one * CYCLE, zero), [FlatBody(zero, zero, one * CYCLE)], None, None,
        [Segment(0, ops)],
        Timing(np.full(LEVEL_STRIDE, CYCLE), np.tile(table, LEVEL_STRIDE)),
        repeat=1, exclude_kernel=True,
    )  # fmt: skip
    return Stream(
        arrays=arrays,
        static_pc=np.zeros(1, np.uint64),
        static_class=np.zeros(1, np.uint8),
        static_payload=np.zeros(1, np.uint8),
        static_symbol=np.zeros(1, np.int32),
        symbols=("op",),
        addresses=np.zeros(0, np.uint64),
        pass_counts=count_pass(arrays),
        name="constant",
    )


def machine(
    design: str, interval: int, jitter: Jitter, *, aux: int = 1 << 26, page: int = PAGE,
    **changes: Any,
) -> MachineSpec:  # fmt: skip
    """A machine whose buffer is warm and large, and that nothing disturbs."""
    defaults: dict[str, Any] = {
        "vcpus": 1, "jitter_mask": 255, "resync": False, "in_flight": 1,
        "filter": Filter(np.ones(LEVEL_STRIDE, np.uint8), 0), "aux_va": 0xFFFF_8000_8000_0000,
        "warm": True, "max_buffer": 1 << 62, "memlock": 1 << 62, "memlock_hard": 1 << 62,
        "cap_ipc_lock": False, "exits": None, "unmap": UnmapSpec("never"), "irq_latency": (0,),
        "driver": DriverCosts(CYCLE, CYCLE, CYCLE), "kvm": HANDLER, "switch_ticks": 0,
        "away_ticks": 0, "random_start": True,
    }  # fmt: skip
    return MachineSpec(
        policies=DESIGNS[design][0], period=interval, interval=interval, jitter=jitter,
        aux=Geometry(aux, page, aux // 2), granule=page, **(defaults | changes),
    )  # fmt: skip


def replicate(spec: MachineSpec, stream: Stream, n: int, keep: bool = False) -> Iterator[RunResult]:
    """`n` replications."""
    for replication in range(n):
        yield simulate(spec, (stream,), Run("theory", 1, replication, keep_records=keep))


def vcpus(spec: MachineSpec, stream: Stream, n: int, keep: bool = False) -> list[VcpuResult]:
    """The vCPU of each of `n` replications."""
    return [result.vcpus[0] for result in replicate(spec, stream, n, keep)]


def gaps(vcpu: VcpuResult) -> NDArray[np.int64]:
    """Ops between consecutive records."""
    return np.diff(vcpu.written[:, 0])


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error."""
    found = np.array(values, np.float64)
    return float(found.mean()), float(found.std(ddof=1) / np.sqrt(found.size))
