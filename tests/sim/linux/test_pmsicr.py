"""The life of PMSICR: one test per row of docs/background/pmsicr.md, named as there.

Rows that only the driver decides are tested on scripted registers; rows in which the hardware
counts, on runs whose records show the gap in profiled ops.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim.ledger import OpLabel
from sim.linux.aux import AuxRing, Geometry, Window
from sim.linux.driver import DriverRules
from sim.linux.reader import ReaderSpec
from sim.machine.machine import ENGINES
from sim.machine.spec import MachineSpec, UnmapSpec
from sim.results import VcpuResult
from sim.scenario.models.scenario import Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.spe.buffer import EC_STAGE1_ABORT, Pmbsr
from sim.spe.select import Jitter
from sim.workload.synthetic import synthetic_stream
from tests.rigs.machines import machine_of, simulated
from tests.sim.linux.driver_rig import FULL, PAGE, Rig

PERIOD, INTERVAL = 1500, 1280
ENDS = ("PMBIRQ", "ENABLE")
"""What ends and begins a stretch of profiling when the reader is slow."""
TICKS = 64
"""Of one op."""

WORKLOAD = Synthetic(
    kind="synthetic",
    phases=(Phase(name="loop", length=100, iterations=6_000, cpi_millis=1000),),
)
STREAM = synthetic_stream(WORKLOAD, core="neoverse-n1", exclude_kernel=True, micro_ops=False)


def _spec(design: str = "baremetal", **changes: Any) -> MachineSpec:
    fixed: dict[str, Any] = {
        "exits": None,
        "irq_latency": (0,),
        "aux": Geometry(2 * PAGE, PAGE, PAGE),
        "period": PERIOD,
        "interval": INTERVAL,
        "jitter": Jitter.OFF,
        "random_start": False,
    }
    return machine_of(design, Settings(workload=WORKLOAD), STREAM, **(fixed | changes))


def _gaps(vcpu: VcpuResult) -> list[int]:
    """Distances between recorded ops."""
    return [int(gap) for gap in np.diff(vcpu.written[:, 0])]


# --- hardware counts -------------------------------------------------------------------------


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_new_event(engine: str) -> None:
    """The first gap is exactly attr.sample_period, unrounded; then INTERVAL + 1."""
    vcpu = simulated(_spec(aux=Geometry(64 * PAGE, PAGE, 32 * PAGE)), STREAM, engine=engine).vcpus[
        0
    ]
    assert vcpu.written[0, 0] == PERIOD - 1
    assert set(_gaps(vcpu)) == {INTERVAL + 1}


def test_full() -> None:
    """Frozen while S = 1: ops lost in the blackout are not counted, the gap goes on after it."""
    latency = 50 * TICKS
    vcpu = simulated(_spec(irq_latency=(latency,)), STREAM).vcpus[0]
    lost = vcpu.ledgers.ops.by_label[OpLabel.IRQ_DELIVERY_FULL]
    assert vcpu.stops > 3
    assert lost == 50 * vcpu.stops
    assert set(_gaps(vcpu)) == {INTERVAL + 1, INTERVAL + 1 + 50}


def test_fault() -> None:
    """As FULL; the record that faulted is gone, so that two gaps lie between its neighbours."""
    spec = _spec("unpinned", irq_latency=(50 * TICKS,), unmap=UnmapSpec("per_window"))
    vcpu = simulated(spec, STREAM).vcpus[0]
    assert vcpu.ledgers.selections.lost_at_fault > 3
    # each window's first write faults, right after the FULL of the window before
    assert set(_gaps(vcpu)) == {INTERVAL + 1, 2 * (INTERVAL + 1) + 50 + 50}
    assert vcpu.written[0, 0] == PERIOD - 1 + INTERVAL + 1 + 50  # the first record of all faulted


def test_switch_out_and_in() -> None:
    """Saved by stop(), reloaded by start(): switches change no gap."""
    vcpu = simulated(_spec(switch_ticks=777 * TICKS, away_ticks=640), STREAM).vcpus[0]
    assert sum(what == "SWITCH" for _, what, _ in vcpu.log) > 100
    assert set(_gaps(vcpu)) == {INTERVAL + 1}


def test_switch_out_and_in_on_registers() -> None:
    """COUNT and ECOUNT, whatever another event has left in the register."""
    rig = Rig()
    rig.do(rig.event.start())
    rig.sampler.counter.count, rig.sampler.counter.ecount = 123, 45
    rig.do(rig.event.stop())
    rig.sampler.counter.count, rig.sampler.counter.ecount = 999, 0
    rig.do(rig.event.start())
    assert rig.spu.read_pmsicr() == (123, 45)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_count_0_at_a_stop(engine: str) -> None:
    """Stopped right after a selection: the next enable reloads, and no op is spent on reloading."""
    switch = PERIOD * TICKS  # the op after the first selected one
    vcpu = simulated(_spec(switch_ticks=switch, away_ticks=64), STREAM, engine=engine).vcpus[0]
    assert vcpu.written[:2, 0].tolist() == [PERIOD - 1, PERIOD - 1 + INTERVAL]


def test_count_0_at_a_stop_on_registers() -> None:
    """Saved and written back as 0."""
    rig = Rig()
    rig.do(rig.event.start())
    rig.sampler.counter.count = 0
    rig.do(rig.event.stop())
    rig.do(rig.event.start())
    assert rig.spu.read_pmsicr() == (0, 0)


# --- software's exceptions -------------------------------------------------------------------


def test_fatal() -> None:
    """The handler leaves it in the register; the next stop() saves it, the next start() reloads."""
    rig = Rig()
    rig.do(rig.event.start())
    rig.status = Pmbsr(s=True, ec=EC_STAGE1_ABORT)
    rig.sampler.counter.count = 321
    rig.do(rig.event.irq())
    rig.do(rig.event.stop())
    rig.sampler.counter.count = 999
    rig.do(rig.event.start())
    assert rig.spu.read_pmsicr() == (321, 0)


@pytest.mark.parametrize("version", [False, True], ids=["6.1", "6.12"])
def test_truncated(version: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for a window: irq_work disables the event by a stop() that saves PMSICR."""
    rig = Rig(rules=DriverRules(stops_on_failure=version))
    rig.do(rig.event.start())
    rig.status, rig.sampler.counter.count = FULL, 321
    monkeypatch.setattr(AuxRing, "begin", lambda ring: Window(63, 4095, 0, truncated=True))
    rig.do(rig.event.irq())
    monkeypatch.undo()
    assert (rig.event.off, rig.event.stopped_state) == (True, True)
    rig.sampler.counter.count = 999
    rig.event.off = False
    rig.do(rig.event.enable())
    assert rig.spu.read_pmsicr() == (321, 0)


def test_partial() -> None:
    """DL = 1: disabled by irq_work before the handler goes on; PMSICR is saved."""
    rig = Rig()
    rig.do(rig.event.start())
    rig.status, rig.sampler.counter.count = FULL._replace(dl=True), 321
    rig.do(rig.event.irq())
    rig.sampler.counter.count = 999
    rig.event.off = False
    rig.do(rig.event.enable())
    assert rig.spu.read_pmsicr() == (321, 0)


@pytest.mark.parametrize(("version", "reloaded"), [(False, 5000), (True, 321)], ids=["6.1", "6.12"])
def test_silent_failure(version: bool, reloaded: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full ring: 6.1 marks the event STOPPED, so stop() returns early and PMSICR is lost."""
    rig = Rig(period=5000, rules=DriverRules(stops_on_failure=version))
    rig.do(rig.event.start())
    rig.status, rig.sampler.counter.count = FULL, 321
    monkeypatch.setattr(AuxRing, "begin", lambda ring: None)
    rig.do(rig.event.irq())
    monkeypatch.undo()
    assert (rig.event.off, rig.event.disabled, rig.event.stopped_state) == (True, True, True)
    assert rig.spu.pmscr is not version  # 6.1 leaves PMSCR on, with the buffer off
    assert rig.do(rig.event.stop()) == []
    rig.sampler.counter.count = 999
    rig.event.off = False
    rig.do(rig.event.enable())
    assert rig.spu.read_pmsicr() == (reloaded, 0)
    assert rig.ring.rows()["flags"].tolist() == []  # neither an AUX record nor a flag


@pytest.mark.parametrize("version", [False, True], ids=["6.1", "6.12"])
@pytest.mark.parametrize("window", [None, Window(0, 4095, 0, truncated=True)])
def test_failure_at_a_start(
    version: bool, window: Window | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No profiling, so nothing to save: the value of the last stop() is kept in every case."""
    rig = Rig(rules=DriverRules(stops_on_failure=version))
    rig.do(rig.event.start())
    rig.sampler.counter.count = 321
    rig.do(rig.event.stop())
    monkeypatch.setattr(AuxRing, "begin", lambda ring: window)
    rig.do(rig.event.start())
    monkeypatch.undo()
    assert (rig.event.off, rig.spu.armed) == (True, False)
    rig.sampler.counter.count = 999
    rig.event.off = False
    rig.do(rig.event.enable())
    assert rig.spu.read_pmsicr() == (321, 0)


def test_truncated_by_a_slow_reader() -> None:
    """A whole run, disabled and enabled again: the gaps in profiled ops are intact."""
    slow = ReaderSpec(same_cpu=False, wakeup=64, copy=4_000_000, enable=64)
    vcpu = simulated(_spec(reader=slow, irq_latency=(0,)), STREAM).vcpus[0]
    lost = vcpu.ledgers.ops.by_label[OpLabel.EVENT_DISABLED]
    gaps = np.array(_gaps(vcpu))
    assert sum(what == "ENABLE" for _, what, _ in vcpu.log) >= 2
    assert lost > 100_000
    last, op = next((what, op) for _, what, op in reversed(vcpu.log) if what in ENDS)
    after_last_record = vcpu.ended_at_op - op if last == "PMBIRQ" else 0
    assert (gaps - (INTERVAL + 1)).sum() == lost - after_last_record > 0
    assert (gaps >= INTERVAL + 1).all()
