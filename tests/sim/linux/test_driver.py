"""The guest's driver: periods, PMSICR's life, fatal and silent failures, AUX transactions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.ledger import OpLabel, TimeCause
from sim.linux.aux import AuxFlag, AuxRing, Geometry, Window
from sim.linux.driver import (
    MAX_PERIOD,
    DriverRules,
    is_fatal,
    least_period,
    sanitise_period,
)
from sim.machine.spec import MachineSpec
from sim.scenario.models.scenario import Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.spe.buffer import (
    BSC_FULL,
    BSC_SIZE,
    CLEAR,
    EC_BUFFER,
    EC_STAGE1_ABORT,
    EC_STAGE2_ABORT,
    Pmbsr,
)
from sim.spe.register_port import Limit, Reg
from sim.spe.select import Jitter
from sim.workload.synthetic import synthetic_stream
from tests.rigs.machines import machine_of, simulated
from tests.sim.linux.driver_rig import FULL, OFF, PAGE, Rig

CORRUPT = AuxFlag.TRUNCATED | AuxFlag.PARTIAL


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


@pytest.mark.parametrize(("period", "programmed"), [(1, 256), (300, 256), (600, 512), (1500, 1280)])
def test_periods_of_7(period: int, programmed: int) -> None:
    """PMSIDR_EL1.Interval is a recommendation: one step of the register is the least."""
    assert sanitise_period(period, least_period("7.x", 1024)) == programmed
    for version in ("6.1", "6.12"):
        assert least_period(version, 1024) == 1024


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


def test_start_programs_the_window_then_the_interval_and_pmscr_last() -> None:
    """First interval = attr.sample_period, unrounded; 2 buffer registers are written."""
    rig = Rig(period=5000)
    assert rig.do(rig.event.start()) == [
        ("W", Reg.PMBPTR, 0),
        ("W", Reg.PMBLIMITR, Limit(4 * PAGE, enable=True)),
    ]
    assert rig.spu.read_pmsicr() == (5000, 0)
    assert rig.sampler.loads == 1
    assert rig.spu.pmscr
    assert not rig.event.stopped_state
    assert rig.spent == [(TimeCause.GUEST_KERNEL, 10)]


def test_stop_with_s_pending_clears_it() -> None:
    """One more register access; the flags go with the transaction."""
    rig = Rig()
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
    rig = Rig()
    rig.do(rig.event.start())
    rig.status, rig.pointer = Pmbsr(coll=True), 64
    rig.do(rig.event.stop())
    assert rig.ring.rows()["flags"].tolist() == [0]


def test_buffer_full_gets_the_next_window() -> None:
    """R PMBSR, R PMBPTR, W PMBPTR, W PMBLIMITR|E, W PMBSR = 0; sampling goes on."""
    rig = Rig()
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
    rig = Rig()
    rig.do(rig.event.start())
    rig.status = Pmbsr(coll=True)
    assert rig.do(rig.event.irq()) == [("R", Reg.PMBSR, None)]
    assert rig.event.spurious == 1
    assert rig.ring.counts.records == 0


def test_fatal_turns_the_buffer_off_until_the_next_start() -> None:
    """PMBLIMITR = 0, PMBSR = 0, event disabled; stop() ends no second transaction."""
    rig = Rig()
    rig.do(rig.event.start())
    rig.status, rig.pointer = Pmbsr(s=True, ec=EC_STAGE1_ABORT, mss=0x10, ea=True), 128
    assert rig.do(rig.event.irq())[2:] == [OFF, ("W", Reg.PMBSR, CLEAR)]
    assert (rig.event.disabled, rig.spu.pmscr) == (True, False)
    rig.do(rig.event.stop())
    assert rig.ring.rows()["size"].tolist() == [128]
    rig.do(rig.event.start())
    assert (rig.event.disabled, rig.spu.pmscr) == (False, True)


def test_no_room_at_start_leaves_a_truncated_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window without room: TRUNCATED, LIMIT without E; irq_work disables the event."""
    rig = Rig()
    monkeypatch.setattr(AuxRing, "begin", lambda ring: Window(63, 4095, 0, truncated=True))
    assert rig.do(rig.event.start()) == [("W", Reg.PMBPTR, 4095), OFF, OFF]
    assert (rig.event.off, rig.event.disabled, rig.spu.pmscr) == (True, True, False)
    assert rig.ring.rows()["flags"].tolist() == [AuxFlag.TRUNCATED]
    assert rig.do(rig.event.start()) == []  # the scheduler leaves an event alone that is off


def test_an_event_that_is_off_comes_back_by_the_ioctl_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """PERF_EVENT_STATE_OFF: switches do not start it; PERF_EVENT_IOC_ENABLE does."""
    rig = Rig()
    rig.do(rig.event.start())
    rig.status, rig.pointer = FULL, 4 * PAGE
    monkeypatch.setattr(AuxRing, "begin", lambda ring: None)
    rig.do(rig.event.irq())
    monkeypatch.undo()
    assert rig.do(rig.event.stop()) == rig.do(rig.event.start()) == []
    rig.event.off = False
    assert len(rig.do(rig.event.enable())) == 2
    assert (rig.event.disabled, rig.spu.pmscr) == (False, True)
    assert rig.do(rig.event.enable()) == []  # already on


def test_truncation_wakes_perf_after_the_event_is_disabled() -> None:
    """perf_pending_event: first the disable, then the wake-up, so that ENABLE finds it off."""
    rig = Rig()
    rig.do(rig.event.start())
    rig.status, rig.pointer = FULL._replace(dl=True), 64
    rig.do(rig.event.irq())
    assert rig.woken == [True]


def test_discard_mode_has_no_transactions() -> None:
    """PMBLIMITR.FM = DISCARD with E; no PMBPTR, no AUX record, and stop() reads nothing."""
    rig = Rig(rules=DriverRules(discard=True))
    assert rig.do(rig.event.start()) == [
        ("W", Reg.PMBLIMITR, Limit(0, enable=True, discard=True)),
    ]
    assert rig.spu.pmscr
    assert rig.do(rig.event.stop()) == [OFF]
    assert rig.ring.counts.records == 0


@pytest.mark.parametrize(
    ("status", "flags", "off", "begins"),
    [
        (FULL, 0, False, True),
        (FULL._replace(coll=True), AuxFlag.COLLISION, False, True),
        (FULL._replace(dl=True), CORRUPT, True, False),
        (FULL._replace(dl=True, coll=True), CORRUPT | AuxFlag.COLLISION, True, False),
        (Pmbsr(s=True, ec=EC_STAGE2_ABORT), 0, False, False),
        (Pmbsr(s=True, ec=EC_STAGE2_ABORT, dl=True), CORRUPT, True, False),
        (Pmbsr(s=True, ec=EC_STAGE1_ABORT, coll=True), AuxFlag.COLLISION, False, False),
        (Pmbsr(s=True, ec=EC_BUFFER, mss=BSC_SIZE), 0, False, False),
    ],
)
def test_flags_and_fate_by_status(status: Pmbsr, flags: int, off: bool, begins: bool) -> None:
    """DL → TRUNCATED | PARTIAL and off; COLL → COLLISION; not FULL → fatal, but not off."""
    rig = Rig()
    rig.do(rig.event.start())
    rig.status, rig.pointer = status, 640
    accesses = rig.do(rig.event.irq())
    assert rig.ring.rows()["flags"].tolist() == [flags]
    assert (rig.event.off, rig.event.disabled) == (off, not begins)
    assert (("W", Reg.PMBPTR, 640) in accesses) is begins
    assert accesses[-1] == ("W", Reg.PMBSR, CLEAR)


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        (Pmbsr(coll=True), 0),
        (Pmbsr(dl=True), 0),
        (FULL._replace(coll=True, dl=True), CORRUPT | AuxFlag.COLLISION),
        (Pmbsr(s=True, ec=EC_STAGE2_ABORT, coll=True), AuxFlag.COLLISION),
    ],
)
def test_flags_at_a_stop(status: Pmbsr, flags: int) -> None:
    """The same rules on the context-switch path; without S nothing is looked at."""
    rig = Rig()
    rig.do(rig.event.start())
    rig.status, rig.pointer = status, 640
    rig.do(rig.event.stop())
    assert rig.ring.rows()["flags"].tolist() == [flags]
    assert rig.event.off is bool(flags & AuxFlag.TRUNCATED)


def test_a_late_interrupt_without_a_transaction_reads_nothing() -> None:
    """perf_get_aux() is NULL after stop(): IRQ_NONE before any register is read."""
    rig = Rig()
    rig.do(rig.event.start())
    rig.do(rig.event.stop())
    rig.status = FULL
    assert rig.do(rig.event.irq()) == []
    assert rig.event.spurious == 1


def test_a_refused_event_does_nothing() -> None:
    """No SPE after -ENOMEM at configuration: start and stop touch no register."""
    rig = Rig()
    rig.event.refuse()
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
    fixed = {"exits": None, "irq_latency": (64,), "aux": Geometry(2 * PAGE, PAGE, PAGE)}
    return machine_of(design, Settings(workload=WORKLOAD), STREAM, **(fixed | changes))


def test_first_gap_is_the_period_and_later_ones_one_more() -> None:
    """perf's period_left: the first record comes after exactly attr.sample_period ops."""
    for period, interval in ((1024, 1024), (1500, 1280)):
        spec = _spec(period=period, interval=interval, random_start=False, jitter=Jitter.OFF)
        ops = simulated(spec, STREAM).vcpus[0].written[:, 0]
        assert ops[0] == period - 1
        gaps = np.diff(ops[:50])
        assert set(gaps.tolist()) == {interval + 1}


@pytest.mark.parametrize("design", ["baremetal", "v6", "unpinned"])
@pytest.mark.parametrize("switch", [0, 700_000])
def test_aux_records_sum_to_delivered_records(design: str, switch: int) -> None:
    """Sizes without padding = records written = records delivered; offsets are contiguous."""
    vcpu = simulated(_spec(design, switch_ticks=switch, away_ticks=64), STREAM).vcpus[0]
    sizes, pads = vcpu.aux["size"], vcpu.aux["pad"]
    assert (sizes - pads).sum() == 64 * len(vcpu.written) > 0
    assert vcpu.ledgers.delivery.delivered == len(vcpu.written)
    assert np.array_equal(vcpu.aux["offset"][1:], (vcpu.aux["offset"] + sizes)[:-1])


def test_per_task_switches_keep_the_phase_of_the_interval() -> None:
    """PMSICR is saved per event: with instant interrupts a switched task records the same ops."""
    steady = simulated(_spec(jitter=Jitter.OFF), STREAM).vcpus[0]
    switched = simulated(
        _spec(jitter=Jitter.OFF, switch_ticks=333_000, away_ticks=640), STREAM
    ).vcpus[0]
    assert sum(what == "SWITCH" for _, what, _ in switched.log) > 50
    lost = switched.ledgers.ops.by_label[OpLabel.IRQ_DELIVERY_FULL]
    common = min(len(steady.written), len(switched.written))
    drift = np.abs(steady.written[:common, 0] - switched.written[:common, 0]).max()
    assert drift <= lost + steady.ledgers.ops.by_label[OpLabel.IRQ_DELIVERY_FULL]


def test_every_ring_pass_costs_two_interrupts() -> None:
    """Windows of one page in a 2-page ring: each full buffer is one stop and one handler."""
    vcpu = simulated(_spec(), STREAM).vcpus[0]
    handler = _spec().event.driver.handler
    assert vcpu.stops == len(vcpu.written) // 64
    assert vcpu.ledgers.time.stopped[TimeCause.HANDLER] == vcpu.stops * handler
