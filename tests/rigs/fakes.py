"""Arm results made by hand: a multinomial sampler in place of the simulator."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.ledger import Ledgers, OpLabel, TimeCause
from sim.results import (
    AUX_DT,
    AuxCounts,
    Blackouts,
    LockedPoint,
    RlimitCounts,
    RunResult,
    VcpuResult,
)
from sim.runs.batch import ArmResult, StreamTables
from sim.scenario.models.scenario import DESIGNS, Arm, Policies, Settings

I64 = NDArray[np.int64]
OPS = 1_000_000
SYMBOLS = ("alpha", "beta", "gamma", "delta")
SHARES = (0.5, 0.3, 0.15, 0.05)
CLOCK_HZ = 3_000_000_000


def stream(symbols: tuple[str, ...] = SYMBOLS, per_symbol: int = 5) -> StreamTables:
    """`per_symbol` static ops in each symbol, one of each op class in turn."""
    statics = len(symbols) * per_symbol
    return StreamTables(
        name="fake",
        ops=OPS,
        static_pc=0x400000 + 4 * np.arange(statics, dtype=np.uint64),
        static_class=(np.arange(statics) % 5).astype(np.uint8),
        static_symbol=np.repeat(np.arange(len(symbols)), per_symbol).astype(np.int32),
        symbols=symbols,
        build_seconds=0.0,
        kind="synthetic",
    )


def cells(shares: tuple[float, ...], total: int, per_symbol: int = 5) -> I64:
    """`total` ops dealt to symbols by `shares`, evenly inside each; memory ops hit L1."""
    out = np.zeros((len(shares) * per_symbol, 8), np.int64)
    for k, share in enumerate(shares):
        for j in range(per_symbol):
            out[k * per_symbol + j, int(j in (1, 2, 3))] = round(share * total / per_symbol)
    return out.ravel()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fake arm does."""

    name: str = "baremetal"
    design: str = "baremetal"
    shares: tuple[float, ...] = SHARES
    truth: tuple[float, ...] = SHARES
    samples: int = 1000
    replications: int = 10
    vcpus: int = 1
    seed: int = 0
    lost: int = 0
    lost_in: int = 0
    settings: dict[str, object] = field(default_factory=dict)
    symbols: tuple[str, ...] = SYMBOLS
    same: bool = False
    ended_at: int = OPS
    pin_ticks: int = 0
    exits: int = 0
    zaps: int = 3
    ended_because: str = ""


def settings(plan: Plan) -> Settings:
    """Settings with a one-phase workload and the plan's overrides."""
    phase = {"name": "x", "length": 10, "iterations": OPS // 10}
    workload = {"kind": "synthetic", "phases": [phase]}
    return Settings.model_validate({"workload": workload} | plan.settings)


def arm(plan: Plan) -> ArmResult:
    """An arm whose ledgers keep the laws and whose samples are multinomial."""
    policies: Policies = DESIGNS[plan.design][0]
    table = stream(plan.symbols)
    return ArmResult(
        arm=Arm(name=plan.name, design=plan.design, policies=policies, settings=settings(plan)),
        stream=table,
        runs=tuple(_run(plan, r) for r in range(plan.replications)),
        truth=cells(plan.truth, OPS) * plan.vcpus,
        clock_hz=CLOCK_HZ,
    )


def _run(plan: Plan, replication: int) -> RunResult:
    rlimit = RlimitCounts(
        exits=plan.exits,
        enables=10 if plan.pin_ticks else 0,
        pinned_pages=5160 if plan.pin_ticks else 0,
        excess_bytes_max=4096 * plan.exits,
        locked_bytes_peak=(2 << 20) if plan.pin_ticks else 0,
    )
    points = (LockedPoint(0, 0, 8 << 20), LockedPoint(64_000, 2 << 20, 8 << 20))
    vcpus = tuple(_vcpu(plan, replication, v) for v in range(plan.vcpus))
    return RunResult(
        arm=plan.name,
        replication=replication,
        vcpus=vcpus,
        rlimit=rlimit,
        locked=points if plan.pin_ticks else (),
        zaps=plan.zaps,
        wall=max(v.ledgers.time.wall for v in vcpus),
        ended_because=plan.ended_because,
        engine_events=1,
        kernel_calls=1,
        kernel_truncations=0,
        fused_rounds=0,
    )


def _vcpu(plan: Plan, replication: int, number: int) -> VcpuResult:
    rng = np.random.default_rng([plan.seed, 0 if plan.same else replication, number])
    p = cells(plan.shares, 10**9).astype(float)
    profile = rng.multinomial(plan.samples, p / p.sum())
    lost = np.zeros_like(profile)
    lost[plan.lost_in * 8 * 5] = plan.lost
    blackouts = {"irq_delivery_full": Blackouts()}
    if plan.lost:
        blackouts["irq_delivery_full"].add(plan.lost, 1000 + 10 * replication)
    return VcpuResult(
        ledgers=_ledgers(plan, int(profile.sum())),
        blackouts=blackouts,
        profile=profile.astype(np.int64),
        lost=lost.astype(np.int64),
        ended_at_op=plan.ended_at,
        stops=1,
        traps=2,
        ordinary_exits=3,
        written=np.array([[1, 2, 3], [4, 5, 6]], np.int64),
        aux=np.zeros(0, AUX_DT),
        aux_counts=AuxCounts(records=9, lost=2, gaps=1, collisions=3),
        log=(),
    )


def _ledgers(plan: Plan, samples: int) -> Ledgers:
    out = Ledgers()
    ops, sel, time = out.ops, out.selections, out.time
    ops.executed = plan.ended_at
    ops.by_label[OpLabel.BEFORE_START] = 10
    ops.by_label[OpLabel.IRQ_DELIVERY_FULL] = plan.lost
    ops.by_label[OpLabel.PROFILED] = plan.ended_at - 10 - plan.lost
    sel.selected = samples + 3
    sel.collided = 3
    sel.completed = sel.passed = sel.written = samples
    out.delivery.delivered = samples
    time.running = plan.ended_at * 43
    time.stopped[TimeCause.HANDLER] = 1000
    time.stopped[TimeCause.PIN] = plan.pin_ticks
    time.wall = time.running + 1000 + plan.pin_ticks
    out.close()
    return out
