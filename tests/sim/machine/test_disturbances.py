"""Ordinary exits: their published rates, and that bare metal makes none."""

from __future__ import annotations

import pytest

from sim.ledger import TimeCause
from sim.linux.aux import Geometry
from tests.rigs.machines import simulated, vary
from tests.sim.cpu.built import LOOP, PAGE, TICKS_PER_US, _settings, built

# --- ordinary exits --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "per_second"),
    [("none", 0), ("quiet", 100), ("light", 1000), ("heavy", 15_000), ("busiest", 20_000)],
)
def test_published_exit_rates_have_names(name: str, per_second: int) -> None:
    """vm.exits: the table of published rates, and the rates as measured on a run."""
    assert _settings(vm={"exits": name}) == _settings(vm={"exits": f"{per_second}/s"})
    loop = LOOP | {"iterations": 3_000_000}
    spec, stream = built(
        "unpinned", vm={"exits": name}, workload={"kind": "synthetic", "phases": [loop]}
    )
    vcpu = simulated(vary(spec, aux=Geometry(1 << 20, PAGE, 1 << 19)), stream).vcpus[0]
    expected = per_second * vcpu.ledgers.time.running / (TICKS_PER_US * 10**6)
    assert abs(vcpu.ordinary_exits - expected) <= 5 * expected**0.5
    assert (vcpu.ledgers.time.stopped[TimeCause.ORDINARY_EXIT] > 0) is (per_second > 0)


def test_baremetal_makes_no_exits() -> None:
    """vm.exits is of VMs."""
    assert simulated(*built("baremetal", vm={"exits": "busiest"})).vcpus[0].ordinary_exits == 0
