"""Batches: every (arm, replication) of a scenario, in any number of processes, in one order.

A unit's result depends on the scenario, its arm and its replication only, so the number of workers
changes nothing; results are reduced in replication order from integers.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sim import draws, resolve
from sim.machine import MachineSpec, Run, simulate
from sim.results import RunResult
from sim.scenario.model import Arm, Recorded, Scenario, Settings
from sim.spe.filter import Filter
from sim.spe.record import expand
from sim.workload.arrays import LEVEL_STRIDE, Stream

I64 = NDArray[np.int64]
Progress = Callable[[int, int, str], None]
"""progress(done, total, what)"""


@dataclass(frozen=True, slots=True)
class StreamTables:
    """What a profile needs to know of a stream; S static ops."""

    name: str
    kind: str
    ops: int
    static_pc: NDArray[np.uint64]
    static_class: NDArray[np.uint8]
    static_symbol: NDArray[np.int32]
    symbols: tuple[str, ...]
    build_seconds: float


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm: its runs in replication order, and the truth that they sample.

    `truth` counts population members that pass the filters among the ops that one replication
    executed, summed over vCPUs, by static × LEVEL_STRIDE + level. With a latency filter it is the
    expected number, from the same quantile tables. `unmap_rate_per_s` is per vCPU, measured.
    """

    arm: Arm
    stream: StreamTables
    runs: tuple[RunResult, ...]
    truth: I64
    clock_hz: int
    unmap_rate_per_s: float | None


@dataclass(frozen=True, slots=True)
class _Unit:
    arm: Arm
    seed: int
    replication: int
    engine: str
    keep_records: bool


def run(
    scenario: Scenario, *, engine: str = "fast", jobs: int = 1, keep_records: bool = False,
    progress: Progress | None = None,
) -> tuple[ArmResult, ...]:  # fmt: skip
    """Run every arm and replication; raises LawBrokenError if a conservation law breaks."""
    return tuple(
        run_arms(scenario, engine=engine, jobs=jobs, keep_records=keep_records, progress=progress)
    )


def run_arms(
    scenario: Scenario, *, engine: str = "fast", jobs: int = 1, keep_records: bool = False,
    progress: Progress | None = None,
) -> Iterator[ArmResult]:  # fmt: skip
    """Like `run`, yielding each arm when all of its replications are there."""
    for arm in scenario.arms:  # streams are built once, here, and found in the cache by workers
        _stream(arm.settings)
    total = len(scenario.arms) * scenario.replications
    done = 0
    pool = _pool(jobs)
    try:
        for arm in scenario.arms:
            units = [
                _Unit(arm, scenario.seed, replication, engine, keep_records)
                for replication in range(scenario.replications)
            ]
            runs: list[RunResult | None] = [None] * len(units)
            for finished, (replication, result) in enumerate(_results(pool, units), 1):
                runs[replication] = result
                done += 1
                if progress is not None:
                    progress(done, total, f"{arm.name} {finished}/{len(units)}")
            yield _arm_result(arm, tuple(result for result in runs if result is not None))
    finally:
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _pool(jobs: int) -> ProcessPoolExecutor | None:
    if jobs <= 1:
        return None
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))


def _results(
    pool: ProcessPoolExecutor | None, units: list[_Unit]
) -> Iterator[tuple[int, RunResult]]:
    if pool is None:
        for unit in units:
            yield unit.replication, _run_unit(unit)
        return
    futures: dict[Future[RunResult], int] = {
        pool.submit(_run_unit, unit): unit.replication for unit in units
    }
    for future in as_completed(futures):
        yield futures[future], future.result()


def _run_unit(unit: _Unit) -> RunResult:
    stream = _stream(unit.arm.settings)
    spec = resolve.machine_spec(unit.arm, stream)
    run = Run(unit.arm.name, unit.seed, unit.replication, unit.keep_records)
    return simulate(spec, (stream,), run, unit.engine)


@lru_cache(maxsize=16)
def _stream_of(keyed: _Keyed) -> Stream:
    return resolve.stream_of(keyed.settings)


class _Keyed:
    """Settings that compare by the key of their stream."""

    def __init__(self, key: str, settings: Settings) -> None:
        self.key, self.settings = key, settings

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


def _stream(settings: Settings) -> Stream:
    return _stream_of(_Keyed(resolve.stream_key(settings), settings))


def _arm_result(arm: Arm, runs: tuple[RunResult, ...]) -> ArmResult:
    stream = _stream(arm.settings)
    spec = resolve.machine_spec(arm, stream)
    return ArmResult(
        arm=arm,
        stream=_tables(stream, arm.settings),
        runs=runs,
        truth=truth(stream, spec, runs[0]),
        clock_hz=arm.settings.cpu.clock,
        unmap_rate_per_s=_unmap_rate(arm, runs),
    )


def _tables(stream: Stream, settings: Settings) -> StreamTables:
    return StreamTables(
        name=stream.name,
        kind="recorded" if isinstance(settings.workload, Recorded) else "synthetic",
        ops=stream.ops,
        static_pc=stream.static_pc,
        static_class=stream.static_class,
        static_symbol=stream.static_symbol,
        symbols=stream.symbols,
        build_seconds=stream.build_seconds,
    )


def truth(stream: Stream, spec: MachineSpec, run: RunResult) -> I64:
    """Exact ground truth of one replication (see `ArmResult`)."""
    counts = np.zeros(stream.statics * LEVEL_STRIDE, np.int64)
    for vcpu in run.vcpus:
        stream.count(0, vcpu.ended_at_op, counts)
    return counts * _passing_share(stream, spec.filter) // 256


def _passing_share(stream: Stream, spec: Filter) -> I64:
    """Of 256 latency quantiles, how many pass, by static × LEVEL_STRIDE + level."""
    table = stream.latency().reshape(-1, 256)
    passing = (table >= spec.min_latency).sum(axis=1)
    rows = stream.rows()[:, None] + np.arange(LEVEL_STRIDE)
    return np.asarray(passing[rows].reshape(-1) * spec.passes)


def _unmap_rate(arm: Arm, runs: tuple[RunResult, ...]) -> float | None:
    if not arm.policies.virtual or arm.settings.host.unmap == "never":
        return None
    seconds = sum(v.ledgers.time.wall for r in runs for v in r.vcpus) / (
        arm.settings.cpu.clock * 64
    )
    return sum(r.zaps for r in runs) / seconds if seconds else None


def records(arm: Arm, seed: int, run: RunResult) -> list[NDArray[np.void]]:
    """Full SPE records of a run that kept them, per vCPU."""
    stream = _stream(arm.settings)
    facts = resolve.core_facts(arm.settings)
    return [
        expand(
            stream, vcpu.written, facts,
            draws.key(seed, run.replication, index, "latency"), index, 1000 + index,
        )
        for index, vcpu in enumerate(run.vcpus)
    ]  # fmt: skip
