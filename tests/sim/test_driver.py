"""The guest's driver: periods, PMSICR's life, fatal and silent failures, AUX transactions."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from simpy.events import Event

from sim.engine import Process
from sim.ledger import DeliveryLedger, OpLabel, SelectionsLedger, TimeCause
from sim.linux.aux import AuxFlag, AuxRing, Geometry, Window
from sim.linux.driver import MAX_PERIOD, DriverCosts, SpeEvent, is_fatal, sanitise_period
from sim.machine import MachineSpec, Run, simulate
from sim.resolve import machine_spec
from sim.results import VcpuResult
from sim.scenario.model import DESIGNS, Arm, Phase, Settings, Synthetic
from sim.spe.buffer import (
    BSC_FULL,
    BSC_SIZE,
    CLEAR,
    EC_BUFFER,
    EC_STAGE1_ABORT,
    EC_STAGE2_ABORT,
    Pmbsr,
    Stop,
)
from sim.spe.port import Limit, Reg, Value
from sim.spe.select import Interval, IntervalCounter, Jitter
from sim.spe.spu import Spu
from sim.workload.synthetic import synthetic_stream

PAGE = 4096
GEOMETRY = Geometry(8 * PAGE, PAGE, 4 * PAGE)
FULL = Pmbsr(s=True, ec=EC_BUFFER, mss=BSC_FULL)


# --- periods ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "programmed"),
    [
        (1, 1024),
        (1023, 1024),
        (1024, 1024),
        (1025, 1024),
        (1279, 1024),
        (1280, 1280),
        (4095, 3840),
        (100_000, 99_840),
        (0xFFFF_FF00, 0xFFFF_FF00),
        (0xFFFF_FFFF, 0xFFFF_FF00),
        (1 << 40, 0xFFFF_FF00),
    ],
)
def test_period_rounding(period: int, programmed: int) -> None:
    """6.1 to 6.12 with caps/min_interval = 1024: raise, cap, or round down to 256."""
    assert sanitise_period(period, 1024) == programmed


@settings(deadline=None)
@given(st.integers(1, 1 << 34), st.sampled_from([256, 512, 768, 1024, 1536, 2048, 3072, 4096]))
def test_periods_fit_the_register(period: int, min_interval: int) -> None:
    """INTERVAL × 256, at least min_interval, and never more than was asked beyond that."""
    programmed = sanitise_period(period, min_interval)
    assert programmed % 256 == 0
    assert min_interval <= programmed <= MAX_PERIOD
    assert programmed <= max(period, min_interval)
    assert programmed > min(period, MAX_PERIOD) - 256


@pytest.mark.parametrize(
    ("status", "fatal"),
    [
        (FULL, False),
        (FULL._replace(coll=True), False),
        (Pmbsr(s=True, ec=EC_BUFFER, mss=BSC_SIZE), True),
        (Pmbsr(s=True, ec=EC_BUFFER, mss=0), True),
        (Pmbsr(s=True, ec=EC_STAGE1_ABORT, mss=BSC_FULL), True),
        (Pmbsr(s=True, ec=EC_STAGE2_ABORT, mss=7), True),
        (Pmbsr(s=True, ec=0x1F), True),
    ],
)
def test_everything_but_a_full_buffer_is_fatal(status: Pmbsr, fatal: bool) -> None:
    """arm_spe_pmu_buf_get_fault_act: only EC = 0, BSC = FULL is OK."""
    assert is_fatal(status) is fatal


# --- the driver alone, on scripted registers -------------------------------------------------


def _never(stop: Stop, op: int) -> None:
    raise AssertionError(f"the idle sampler stopped: {stop}, {op}")


class _IdleSampler:
    """A sampler that never samples: registers only."""

    def __init__(self) -> None:
        self.counter = IntervalCounter(Interval(4096, Jitter.OFF, 0))
        self.pointer = self.limit = self.kernel_calls = self.truncations = self.loads = 0
        self.stop: Callable[[Stop, int], None] = _never

    def enable(self, op: int) -> None:
        pass

    def disable(self, op: int, work: int) -> None:
        pass

    def before_change(self) -> None:
        pass

    def on_change(self) -> None:
        pass

    def load(self) -> None:
        self.loads += 1

    def written(self) -> int:
        """Nothing is ever written."""
        return 0

    def collisions(self) -> int:
        return 0

    def close(self, selections: SelectionsLedger) -> NDArray[np.int64]:
        raise AssertionError("not run")


@dataclass
class _Rig:
    """A driver on registers that record every access; `status` and `pointer` are what is read."""

    period: int = 5000
    status: Pmbsr = CLEAR
    pointer: int = 0
    accesses: list[tuple[str, Reg, Value | None]] = field(default_factory=list)
    spent: list[tuple[TimeCause, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sampler = _IdleSampler()
        self.spu = Spu(self.sampler, lambda stop, op: None, lambda level: None)
        self.ring = AuxRing(GEOMETRY, DeliveryLedger(), 0, keep=True)
        self.event = SpeEvent(
            self.spu, self, self.ring, self.period, DriverCosts(10, 20, 30), self._spend,
            lambda: 77, 1000,
        )  # fmt: skip
        self.event.started = True

    def _spend(self, cause: TimeCause, ticks: int) -> Process:
        self.spent.append((cause, ticks))
        yield from ()

    def write(self, reg: Reg, value: Value) -> tuple[Event, ...]:
        self.accesses.append(("W", reg, value))
        if isinstance(value, Pmbsr):
            self.status = value
        return ()

    def read(self, reg: Reg) -> Generator[Event, Any, Value]:
        self.accesses.append(("R", reg, None))
        yield from ()
        return self.status if reg is Reg.PMBSR else self.pointer

    def do(self, operation: Process) -> list[tuple[str, Reg, Value | None]]:
        """Run one driver operation; returns its register accesses."""
        self.accesses = []
        assert list(operation) == []
        return self.accesses


OFF = ("W", Reg.PMBLIMITR, Limit(0, enable=False))


def test_start_programs_the_window_then_the_interval_and_pmscr_last() -> None:
    """First interval = attr.sample_period, unrounded; 2 buffer registers are written."""
    rig = _Rig(period=5000)
    assert rig.do(rig.event.start()) == [
        ("W", Reg.PMBPTR, 0),
        ("W", Reg.PMBLIMITR, Limit(4 * PAGE, enable=True)),
    ]
    assert rig.spu.read_pmsicr() == (5000, 0)
    assert rig.sampler.loads == 1
    assert rig.spu.pmscr
    assert not rig.event.stopped_state
    assert rig.spent == [(TimeCause.GUEST_KERNEL, 10)]


def test_stop_saves_pmsicr_and_start_restores_it() -> None:
    """The phase of the interval survives a context switch: COUNT and ECOUNT."""
    rig = _Rig()
    rig.do(rig.event.start())
    rig.sampler.counter.count, rig.sampler.counter.ecount = 123, 45
    rig.pointer = 640
    assert rig.do(rig.event.stop()) == [OFF, ("R", Reg.PMBSR, None), ("R", Reg.PMBPTR, None)]
    assert not rig.spu.pmscr
    rig.sampler.counter.count, rig.sampler.counter.ecount = 999, 0  # another event's
    rig.do(rig.event.start())
    assert rig.spu.read_pmsicr() == (123, 45)
    assert rig.ring.rows()["size"].tolist() == [640]


def test_stop_at_count_zero_lets_the_hardware_initialise() -> None:
    """COUNT = 0 at a stop is restored as 0: the next enable reloads from PMSIRR."""
    rig = _Rig()
    rig.do(rig.event.start())
    rig.sampler.counter.count = 0
    rig.do(rig.event.stop())
    rig.do(rig.event.start())
    assert rig.spu.read_pmsicr() == (0, 0)


def test_stop_with_s_pending_clears_it() -> None:
    """One more register access; the flags go with the transaction."""
    rig = _Rig()
    rig.do(rig.event.start())
    rig.status, rig.pointer = FULL._replace(coll=True), 4 * PAGE
    accesses = rig.do(rig.event.stop())
    assert [(kind, reg) for kind, reg, _ in accesses] == [
        ("W", Reg.PMBLIMITR),
        ("R", Reg.PMBSR),
        ("R", Reg.PMBPTR),
        ("W", Reg.PMBSR),
    ]
    assert rig.ring.rows()["flags"].tolist() == [AuxFlag.COLLISION]


def test_collision_without_s_is_not_reported() -> None:
    """COLL is looked at only with S = 1: a run whose buffer never fills reports none."""
    rig = _Rig()
    rig.do(rig.event.start())
    rig.status, rig.pointer = Pmbsr(coll=True), 64
    rig.do(rig.event.stop())
    assert rig.ring.rows()["flags"].tolist() == [0]


def test_buffer_full_gets_the_next_window() -> None:
    """R PMBSR, R PMBPTR, W PMBPTR, W PMBLIMITR|E, W PMBSR = 0; sampling goes on."""
    rig = _Rig()
    rig.do(rig.event.start())
    rig.status, rig.pointer = FULL, 4 * PAGE
    assert rig.do(rig.event.irq()) == [
        ("R", Reg.PMBSR, None),
        ("R", Reg.PMBPTR, None),
        ("W", Reg.PMBPTR, 4 * PAGE),
        ("W", Reg.PMBLIMITR, Limit(8 * PAGE, enable=True)),
        ("W", Reg.PMBSR, CLEAR),
    ]
    assert rig.spu.pmscr
    assert not rig.event.disabled
    assert rig.spent[-1] == (TimeCause.HANDLER, 30)


def test_a_spurious_interrupt_looks_at_nothing_else() -> None:
    """S = 0: IRQ_NONE."""
    rig = _Rig()
    rig.do(rig.event.start())
    rig.status = Pmbsr(coll=True)
    assert rig.do(rig.event.irq()) == [("R", Reg.PMBSR, None)]
    assert rig.event.spurious == 1
    assert rig.ring.transactions == 0


def test_fatal_turns_the_buffer_off_until_the_next_start() -> None:
    """PMBLIMITR = 0, PMBSR = 0, event disabled; stop() ends no second transaction."""
    rig = _Rig()
    rig.do(rig.event.start())
    rig.status, rig.pointer = Pmbsr(s=True, ec=EC_STAGE1_ABORT, mss=0x10, ea=True), 128
    assert rig.do(rig.event.irq())[2:] == [OFF, ("W", Reg.PMBSR, CLEAR)]
    assert (rig.event.disabled, rig.spu.pmscr) == (True, False)
    rig.do(rig.event.stop())
    assert rig.ring.rows()["size"].tolist() == [128]
    rig.do(rig.event.start())
    assert (rig.event.disabled, rig.spu.pmscr) == (False, True)


def test_silent_failure_leaves_no_record_and_a_stale_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """perf_aux_output_begin fails in the handler: STOPPED, stop() returns early, PMSICR is lost."""
    rig = _Rig()
    rig.do(rig.event.start())
    rig.status, rig.pointer = FULL, 4 * PAGE
    monkeypatch.setattr(AuxRing, "begin", lambda ring: None)
    assert rig.do(rig.event.irq())[2:] == [OFF, ("W", Reg.PMBSR, CLEAR)]
    assert (rig.event.disabled, rig.event.stopped_state, rig.spu.pmscr) == (True, True, False)
    rig.sampler.counter.count = 17
    assert rig.do(rig.event.stop()) == []
    monkeypatch.undo()
    rig.do(rig.event.start())
    assert rig.spu.read_pmsicr() == (5000, 0)  # stale: of the first start
    assert rig.ring.rows()["flags"].tolist() == [0]


def test_no_room_at_start_leaves_a_truncated_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window without room: TRUNCATED, limit 0, PMSCR stays 0."""
    rig = _Rig()
    monkeypatch.setattr(AuxRing, "begin", lambda ring: Window(0, 0, 0, truncated=True))
    assert rig.do(rig.event.start()) == [OFF]
    assert not rig.spu.pmscr
    assert rig.ring.rows()["flags"].tolist() == [AuxFlag.TRUNCATED]


def test_partial_records_are_truncated() -> None:
    """DL = 1: the transaction is TRUNCATED | PARTIAL."""
    rig = _Rig()
    rig.do(rig.event.start())
    rig.status, rig.pointer = Pmbsr(s=True, ec=EC_STAGE2_ABORT, dl=True), 64
    rig.do(rig.event.irq())
    assert rig.ring.rows()["flags"].tolist() == [AuxFlag.TRUNCATED | AuxFlag.PARTIAL]


def test_a_refused_event_does_nothing() -> None:
    """No SPE after -ENOMEM at configuration: start and stop touch no register."""
    rig = _Rig()
    rig.event.refused = True
    assert rig.do(rig.event.start()) == []
    assert rig.do(rig.event.stop()) == []
    assert rig.spent == []


# --- real runs -------------------------------------------------------------------------------

WORKLOAD = Synthetic(
    kind="synthetic",
    phases=(Phase(name="loop", length=100, iterations=4_000, cpi_millis=1000),),
)
STREAM = synthetic_stream(WORKLOAD, core="neoverse-n1", exclude_kernel=True, micro_ops=False)


def _spec(design: str = "baremetal", **changes: Any) -> MachineSpec:
    policies = DESIGNS[design][0]
    arm = Arm(name="arm", design=design, policies=policies, settings=Settings(workload=WORKLOAD))
    fixed = {"exits": None, "irq_latency": (64,), "aux": Geometry(2 * PAGE, PAGE, PAGE)}
    return replace(machine_spec(arm, STREAM), **(fixed | changes))


def _vcpu(spec: MachineSpec) -> VcpuResult:
    return simulate(spec, (STREAM,), Run("arm", 5, 0, True, True)).vcpus[0]


def test_the_default_watermark_is_half_the_aux_area() -> None:
    """A 128 KiB AUX area fills in windows of 1,024 records (an interrupt every 64 KiB)."""
    arm = Arm(
        name="arm",
        design="baremetal",
        policies=DESIGNS["baremetal"][0],
        settings=Settings.model_validate(
            {"workload": WORKLOAD, "driver": {"aux": "128KiB"}, "spe": {"interval": "1024ops"}}
        ),
    )
    spec = machine_spec(arm, STREAM)
    assert (spec.aux.size, spec.aux.watermark) == (128 << 10, 64 << 10)
    vcpu = _vcpu(replace(spec, interval=256, period=256))
    assert vcpu.stops == 1
    assert vcpu.aux["size"].tolist()[0] == 64 << 10


def test_first_gap_is_the_period_and_later_ones_one_more() -> None:
    """perf's period_left: the first record comes after exactly attr.sample_period ops."""
    for period, interval in ((1024, 1024), (1500, 1280)):
        spec = _spec(period=period, interval=interval, random_start=False, jitter=Jitter.OFF)
        ops = _vcpu(spec).written[:, 0]
        assert ops[0] == period - 1
        gaps = np.diff(ops[:50])
        assert set(gaps.tolist()) == {interval + 1}


@pytest.mark.parametrize("design", ["baremetal", "v6", "unpinned"])
@pytest.mark.parametrize("switch", [0, 700_000])
def test_aux_records_sum_to_delivered_records(design: str, switch: int) -> None:
    """Sizes without padding = records written = records delivered; offsets are contiguous."""
    vcpu = _vcpu(_spec(design, switch_ticks=switch, away_ticks=64))
    sizes, pads = vcpu.aux["size"], vcpu.aux["pad"]
    assert (sizes - pads).sum() == 64 * len(vcpu.written) > 0
    assert vcpu.ledgers.delivery.delivered == len(vcpu.written)
    assert np.array_equal(vcpu.aux["offset"][1:], (vcpu.aux["offset"] + sizes)[:-1])


def test_per_task_switches_keep_the_phase_of_the_interval() -> None:
    """PMSICR is saved per event: with instant interrupts a switched task records the same ops."""
    steady = _vcpu(_spec(jitter=Jitter.OFF))
    switched = _vcpu(_spec(jitter=Jitter.OFF, switch_ticks=333_000, away_ticks=640))
    assert sum(what == "SWITCH" for _, what, _ in switched.log) > 50
    lost = switched.ledgers.ops.by_label[OpLabel.IRQ_DELIVERY_FULL]
    common = min(len(steady.written), len(switched.written))
    drift = np.abs(steady.written[:common, 0] - switched.written[:common, 0]).max()
    assert drift <= lost + steady.ledgers.ops.by_label[OpLabel.IRQ_DELIVERY_FULL]


def test_every_ring_pass_costs_two_interrupts() -> None:
    """Windows of one page in a 2-page ring: each full buffer is one stop and one handler."""
    vcpu = _vcpu(_spec())
    handler = _spec().driver.handler
    assert vcpu.stops == len(vcpu.written) // 64
    assert vcpu.ledgers.time.stopped[TimeCause.HANDLER] == vcpu.stops * handler
