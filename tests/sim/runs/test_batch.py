"""The arms of a scenario and all beside them, on any number of processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sim.results import RunResult
from sim.runs import batch, counterparts
from sim.runs.batch import ArmResult, Unit
from sim.runs.pool import DiedError
from sim.scenario.models.designs import DESIGNS
from sim.scenario.models.quantities import ConstantTime
from sim.scenario.models.scenario import Scenario
from sim.scenario.parameters import span
from tests.sim.runs.scenarios import BASE, loaded


def test_prefix_and_band_do_not_depend_on_workers(tmp_path: Path) -> None:
    """Two processes give what one gives."""
    scenario = loaded(tmp_path, BASE % "")
    one = batch.run(scenario, band=True)
    two = batch.run(scenario, band=True, jobs=2)
    for a, b in zip(one, two, strict=True):
        assert a.band is not None
        assert b.band is not None
        assert a.band.high.wall == b.band.high.wall
        assert (a.prefix is None) == (b.prefix is None)
        if a.prefix is not None and b.prefix is not None:
            assert (a.prefix.truth == b.prefix.truth).all()


@dataclass
class Asked:
    """Runs units here, and notes what it is asked for and what has begun and ended."""

    calls: list[list[str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def __call__(self, units: Sequence[Unit]) -> Iterator[tuple[int, RunResult]]:
        """As `Execute`."""
        call = len(self.calls)
        self.calls.append([unit.arm.name for unit in units])
        try:
            for index, unit in enumerate(units):
                self.told.append(f"{call}: {unit.arm.name}")
                yield index, batch.run_unit(unit)
        finally:
            self.told.append(f"{call} ended")


def test_all_units_are_asked_for_in_one_go(scenario: Scenario) -> None:
    """No arm waits for another's last unit, and each is there with its own last unit."""
    execute = Asked()
    begun = [
        (arm.arm.name, len(execute.told))
        for arm in batch.run_arms(scenario, band=True, execute=execute)
    ]
    assert execute.calls == [["baremetal"] * (3 + 2) + ["v6"] * (3 + 3)]
    assert begun == [("baremetal", 5), ("v6", 11)]


def test_who_leaves_early_gives_up_the_rest(scenario: Scenario) -> None:
    """What runs the units is told so at once, not when somebody looks for what is unused."""
    execute = Asked()
    arms = batch.run_arms(scenario, execute=execute)
    assert next(arms).arm.name == "baremetal"
    arms.close()  # type: ignore[attr-defined]
    assert execute.told == ["0: baremetal"] * 3 + ["0 ended"]


def test_what_only_results_ask_for_waits_for_the_others(tmp_path: Path) -> None:
    """Else there would be processes for both: an arm ends early while others still run."""
    names = ("refused", "baremetal", "v6")
    scenario = loaded(tmp_path, BASE % "")
    arms = {arm.name: arm for arm in scenario.arms}
    scenario = scenario.model_copy(update={"arms": tuple(arms[name] for name in names)})
    execute = Asked()
    found = batch.run(scenario, execute=execute)
    assert found[0].prefix is not None
    assert execute.calls[0] == [name for name in names for _ in range(3)]
    assert execute.calls[1:] == [["baremetal"] * 3] * (len(execute.calls) - 1)
    assert len(execute.calls) > 1
    ends = [what for what in execute.told if what.endswith("ended")]
    assert ends == [f"{call} ended" for call in range(len(execute.calls))]
    first_of = execute.told.index("1: baremetal")
    assert execute.told.index("0 ended") < first_of


def test_a_death_takes_no_other_arm_along(scenario: Scenario) -> None:
    """Of units that are run in one go one cannot be: the other arms are there, then it is told."""

    def execute(units: Sequence[Unit]) -> Iterator[tuple[int, RunResult]]:
        for index, unit in enumerate(units):
            if unit.arm.name != "baremetal" or unit.replication != 1:
                yield index, batch.run_unit(unit)
        raise DiedError("baremetal's second")

    found: list[ArmResult] = []
    with pytest.raises(DiedError, match="baremetal's second"):
        found.extend(batch.run_arms(scenario, execute=execute))
    assert [arm.arm.name for arm in found] == ["v6"]
    assert len(found[0].runs) == 3


def test_a_death_beside_an_arm_takes_that_along(tmp_path: Path) -> None:
    """Baremetal on the prefix of an arm that ended early: without it that arm is not whole."""
    calls: list[int] = []

    def execute(units: Sequence[Unit]) -> Iterator[tuple[int, RunResult]]:
        calls.append(len(units))
        if len(calls) > 1:
            raise DiedError("on a prefix")
        yield from enumerate(map(batch.run_unit, units))

    arms = batch.run_arms(loaded(tmp_path, BASE % ""), execute=execute)
    found: list[ArmResult] = []
    with pytest.raises(DiedError, match="on a prefix"):
        found.extend(arms)
    assert [arm.arm.name for arm in found] == ["baremetal", "v6"]
    assert len(calls) == 2


def test_times_that_a_scenario_sets_are_not_moved(tmp_path: Path) -> None:
    """A user's own t_map_cold is taken as known."""
    text = BASE % "" + "parameters: {t_map_cold: 77ns}\n"
    arm = loaded(tmp_path, text).arms[1]
    assert "t_map_cold" not in counterparts.moved(arm)
    high = counterparts.band_ends(arm)["high"].settings.parameters
    assert high["t_map_cold"] == ConstantTime.model_validate({"value": "77ns"})
    assert high["t_map_present"] == ConstantTime.model_validate({"value": "100ns"})


SPENDING = """\
replications: 1
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 10000}]}
spe: {jitter: on}
driver: {aux: 8KiB%s}
buffer: {initial_s2: cold}
vm: {memory: 256MiB}
switch: {every: 100us, away: 10us}
host: {unmap: {poisson: 20000/s}, pressure: [{kind: compaction}]}
arms:
"""


@pytest.mark.parametrize("reader", ["", ", reader: {kind: process}"])
def test_what_an_arm_cannot_spend_changes_nothing(tmp_path: Path, reader: str) -> None:
    """Every design: moving a time that it is said not to spend leaves its ledgers as they are.

    Positive control: each of the others changes some arm, but those that need rare events.
    """
    arms = "".join(f"  - design: {name}\n" for name in DESIGNS)
    scenario = loaded(tmp_path, SPENDING % reader + arms)
    acted, idle = set(), set()
    for arm in scenario.arms:
        before = ledgers(arm)
        for name in counterparts.moved(arm):
            settings = arm.settings.model_copy(update={"parameters": {name: span_end(name)}})
            same = ledgers(arm.model_copy(update={"settings": settings})) == before
            if not counterparts.spends(arm, name):
                assert same, (arm.name, name)
                idle.add(name)
            elif not same:
                acted.add(name)
    found = set(counterparts.open_times(scenario.arms))
    assert acted <= found
    rare = {"t_irq_retract", "t_compaction", "t_setrlimit", "t_access_flag"}
    assert found - acted <= rare
    assert {"t_copy", "t_map_cold", "t_exit"} <= idle


def span_end(name: str) -> Any:
    """The high end of a time's plausible range."""
    return span(name)[1]


def ledgers(arm: Any) -> Any:
    """Of one replication, per vCPU."""
    return [v.ledgers for v in batch.run_unit(batch.Unit(arm, 1, 0, "fast", False)).vcpus]


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_a_result_without_records_holds_none_of_them(engine: str, scenario: Scenario) -> None:
    """Nor an empty view of them, which would keep the memory of all until the last arm is done."""
    unit = batch.Unit(
        scenario.arms[0],
        scenario.seed,
        0,
        engine,
        keep_records=False,
        sightings=("edges", "pages", "waits"),
    )
    for vcpu in batch.run_unit(unit).vcpus:
        for array in (vcpu.written, vcpu.aux):
            assert (array.size, array.base) == (0, None)
