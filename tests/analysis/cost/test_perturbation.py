"""Perturbation, paired differences, and arms compared on a common prefix."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.cost import perturbation
from analysis.fidelity import profiles
from sim.ledger import TimeCause
from sim.runs import batch
from sim.runs.batch import ArmResult
from sim.scenario.files import loader
from tests.analysis.compared import TEXT
from tests.rigs.fakes import Plan, arm


def test_time_added_is_the_sum_of_its_causes(arms: tuple[ArmResult, ...]) -> None:
    """At each end of the band, and as the scenario has it: causes add up to the total."""
    for found in (perturbation.added(a, arms[0]) for a in arms[1:]):
        causes = [x for cause, x in found.items() if cause != perturbation.TOTAL]
        total = found[perturbation.TOTAL]
        for end in ("here_ms", "low_ms", "high_ms"):
            assert sum(getattr(x, end) for x in causes) == pytest.approx(getattr(total, end))
        assert total.low_ms is not None
        assert total.high_ms is not None
        assert total.low_ms < total.here_ms < total.high_ms


def test_band_is_counts_times_costs_where_it_is_linear(arms: tuple[ArmResult, ...]) -> None:
    """Walk time is tables × t_walk_table: 0.1 and 10 times of 100 ns; of pin time that of charging
    is open, 100 ns to 1 µs around 300 ns, the rest is known."""
    found = perturbation.added(arms[1], arms[0])
    walk, pin = found["walk"], found["pin"]
    assert walk.low_ms == pytest.approx(walk.here_ms / 10)
    assert walk.high_ms == pytest.approx(walk.here_ms * 10)
    assert pin.low_ms is not None
    assert pin.high_ms is not None
    assert (pin.high_ms - pin.here_ms) / 700 == pytest.approx((pin.here_ms - pin.low_ms) / 200)
    assert 0 < pin.here_ms - pin.low_ms < pin.here_ms / 2
    unpin = found["unpin"]
    assert unpin.unmapping_ms is not None
    assert unpin.high_ms is not None
    assert unpin.unmapping_ms == pytest.approx(unpin.here_ms * (15 + 1900) / 15)


def test_perturbation_of_fakes_is_what_was_put_in() -> None:
    """10⁶ ticks of pinning in each replication, and no band without the runs for it."""
    v6 = arm(Plan(name="v6", design="v6", pin_ticks=10**6))
    found = perturbation.added(v6, arm(Plan()))
    assert set(found) == {TimeCause.PIN.value, perturbation.TOTAL}
    assert found["pin"].here_ms == pytest.approx(1e6 / 64 / 3e9 * 1e3)
    assert found["total"].low_ms is None
    assert perturbation.added(arm(Plan()), None) == {}
    frame = perturbation.time_band_table([v6], arm(Plan())).frame()
    assert list(frame["cause"]) == ["pin", "total"]


def test_prefix_of_a_real_run(tmp_path: Path) -> None:
    """A VMM that kills when the second vCPU's pin exceeds the limit: compared, and identical."""
    text = TEXT.replace("exits: 0/s", "exits: 0/s, vcpus: 2").replace(", restart: resync", "")
    text += "  - {name: refused, design: v6, policies: {vmm: refuse_kill}, "
    text += "overrides: {host.memlock: 20KiB}}\n"
    path = tmp_path / "x.yaml"
    path.write_text(text)
    found = {a.arm.name: a for a in batch.run(loader.load(path))}
    refused, bare = found["refused"], found["baremetal"]
    assert profiles.basis(refused, bare) == "prefix"
    assert perturbation.time_added(refused, bare).mean is not None
    assert perturbation.added(refused, bare)["vmm"].here_ms > 0


def test_the_rate_of_unmapping_is_of_virtual_arms_that_a_host_presses() -> None:
    """Pages of all replications over their wall time; twice the pages, twice the rate."""
    pressed: dict[str, object] = {"host": {"unmap": "per_window"}}
    once, twice = (
        perturbation.unmap_rate(arm(Plan(design="unpinned", zaps=zaps, settings=pressed)))
        for zaps in (3, 6)
    )
    assert once is not None
    assert twice == pytest.approx(2 * once)
    bare = Plan(design="baremetal", zaps=3, settings=pressed)
    assert perturbation.unmap_rate(arm(bare)) is None
    assert perturbation.unmap_rate(arm(Plan(design="unpinned", zaps=3))) is None
