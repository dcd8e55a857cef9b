"""A vCPU between its slices: halted, idle, woken."""

from __future__ import annotations

import pytest

from sim.ledger import TimeCause
from sim.machine.machine import ENGINES
from tests.rigs.machines import simulated
from tests.sim.cpu.built import SLICES, TICKS_PER_US, built, switches

# --- halted vCPUs ----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize(("away", "wake_us"), [("100us", 5), ("500us", 5), ("501us", 15)])
def test_a_halted_vcpu_exits_idles_and_is_woken(away: str, wake_us: int, engine: str) -> None:
    """WFI: an exit, idle time, and a wake-up that depends on KVM's polling."""
    switch = {"every": "50us", "away": away, "meanwhile": "halted"}
    spec, stream = built("v6", vm={"exits": "none"}, switch=switch)
    vcpu = simulated(spec, stream, engine=engine).vcpus[0]
    halts = len(switches(vcpu))
    assert halts == vcpu.ordinary_exits == 6
    stopped = vcpu.ledgers.time.stopped
    assert stopped[TimeCause.IDLE] == halts * (spec.task.away_ticks + wake_us * TICKS_PER_US)
    assert stopped[TimeCause.ORDINARY_EXIT] == halts * spec.vm.kvm.ordinary_exit
    assert stopped[TimeCause.TASK_OFF_CPU] == 0


def test_an_idle_cpu_of_bare_metal_is_only_idle() -> None:
    """No exit, no wake-up of a vCPU thread; the records are those of the other task's case."""
    halted = simulated(*built("baremetal", switch=SLICES | {"meanwhile": "halted"})).vcpus[0]
    busy = simulated(*built("baremetal", switch=SLICES)).vcpus[0]
    stopped = halted.ledgers.time.stopped
    assert stopped[TimeCause.IDLE] == busy.ledgers.time.stopped[TimeCause.TASK_OFF_CPU] > 0
    assert halted.ordinary_exits == stopped[TimeCause.TASK_OFF_CPU] == 0
    assert halted.written[:, 0].tolist() == busy.written[:, 0].tolist()
