"""A value that the package does not know: one object and one entry, from the scenario to the
result, and gone again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from analysis.metrics import METRICS
from reports.pages import summary
from reports.reference import explaining
from reports.results.build import build
from sim.ledger import TimeCause
from sim.machine.resolve import machine_spec
from sim.policies import outside
from sim.policies.backings import BACKINGS, Backing
from sim.policies.bundle import Bundle
from sim.policies.outside import OutsideError
from sim.policies.stages import Effect, KvmCosts, Lock, Stage, Stages, View
from sim.runs import batch, counterparts
from sim.scenario.files.document import ScenarioError
from sim.scenario.files.loader import load
from sim.scenario.files.schema import schema
from sim.scenario.models.scenario import Scenario

SCENARIO = """\
name: new
question: q
replications: 2
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 6000}]}
spe: {interval: 256ops, min_interval: 256ops}
driver: {aux: 16KiB}
buffer: {initial_s2: cold}
vm: {exits: none}
arms:
  - baremetal
  - unpinned
  - {name: toy, design: unpinned, policies: {backing: touched}}
"""


@dataclass(frozen=True, kw_only=True)
class Touched(Backing):
    """KVM faults the window in when it is enabled, and looks at each of its pages when it is
    disabled; nothing is pinned."""

    holds: bool = False
    spends: tuple[str, ...] = ("t_walk_table",)

    def on_enable(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """Walk, fault in what is missing."""
        yield Stage(TimeCause.WALK, costs.walk_table * view.table_pages)
        ticks = costs.fault * view.unmapped_pages
        yield Stage(TimeCause.FAULT, ticks, Effect.MAP, Lock.MMU_READ)

    def on_disable(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """A tick a page."""
        yield Stage(TimeCause.UNPIN, view.window_pages)


@pytest.fixture
def touched() -> Iterator[Touched]:
    """A value from outside, for as long as a test lasts."""
    value = Touched("touched", "faulted in when the guest enables it")
    BACKINGS.add(value)
    yield value
    if value in list(BACKINGS):
        BACKINGS.remove(value)


def _load(folder: Path) -> Scenario:
    file = folder / "new.yaml"
    file.write_text(SCENARIO)
    return load(file)


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_it_runs_and_is_in_the_result(engine: str, touched: Touched, tmp_path: Path) -> None:
    """Named in a scenario, its hooks decide what is spent and lost, and the result has its word."""
    scenario = _load(tmp_path)
    result = build(scenario, batch.run(scenario, engine=engine), interrupted=False)
    arms = result.arms
    toy, unpinned = arms["toy"], arms["unpinned"]
    assert toy.setup.backing == "touched"
    assert toy.ledger.ops["irq_delivery_fault"] == 0
    assert unpinned.ledger.ops["irq_delivery_fault"] > 0
    costs = machine_spec(scenario.arms[2], batch.stream_of(scenario.arms[2])).vm.kvm
    time = toy.ledger.time
    assert time["fault"] == 2 * (4 + 4) * costs.fault  # pages and tables, in both replications
    assert time["walk"] == toy.rlimit.enables * 4 * costs.walk_table
    assert time["unpin"] == toy.rlimit.enables * 2
    assert unpinned.ledger.time["walk"] == unpinned.ledger.time["unpin"] == 0
    assert "toy" in summary.render(result)


def test_both_engines_run_it_alike(touched: Touched, tmp_path: Path) -> None:
    """Equal bytes of the result."""
    scenario = _load(tmp_path)
    one, other = (
        build(scenario, batch.run(scenario, engine=engine), interrupted=False)
        for engine in ("fast", "reference")
    )
    assert one == other


def test_what_must_be_known_of_it_is_asked_of_it(touched: Touched, tmp_path: Path) -> None:
    """Its word is in the schema and can be explained, and the band over UNVERIFIED times moves
    those that it spends and no others that only backings spend."""
    toy = _load(tmp_path).arms[2]
    assert "touched" in schema()["definitions"]["Policies"]["properties"]["backing"]["enum"]
    explaining.entries.cache_clear()
    # the dictionary of result.json was made before the value was there
    assert "touched" not in METRICS["setup.backing"].values
    assert [entry.name for entry in explaining.find("touched")] == ["backing"]
    explaining.entries.cache_clear()
    assert counterparts.spends(toy, "t_walk_table")
    assert not counterparts.spends(toy, "t_map_cold")
    assert not counterparts.spends(toy, "t_copy")


def test_its_word_cannot_be_taken_twice(touched: Touched) -> None:
    """A second value of a name would never be found."""
    with pytest.raises(ValueError, match="backing: there is a value 'touched' already"):
        BACKINGS.add(Touched("touched"))


def test_without_it_the_scenario_is_refused(touched: Touched, tmp_path: Path) -> None:
    """Taken away, its word is as wrong as any other."""
    assert _load(tmp_path).arms[2].policies.backing == "touched"
    BACKINGS.remove(touched)
    with pytest.raises(ScenarioError, match="backing: unknown value 'touched'"):
        _load(tmp_path)
    with pytest.raises(ValueError, match="not in list"):
        BACKINGS.remove(touched)


def test_it_reaches_other_processes(touched: Touched, tmp_path: Path) -> None:
    """Units that are run elsewhere have the value and give the same result."""
    scenario = _load(tmp_path)
    here, there = (
        build(scenario, batch.run(scenario, jobs=jobs), interrupted=False) for jobs in (1, 2)
    )
    assert here == there


def test_what_cannot_reach_them_is_refused(tmp_path: Path) -> None:
    """A class inside a function, or of the script, is no class that another process could find."""

    class Inside(Touched):
        pass

    value = Inside("touched")
    BACKINGS.add(value)
    try:
        scenario = _load(tmp_path)
        with pytest.raises(OutsideError, match=r"backing: touched: its class .*Inside.*-j 1"):
            list(batch.run(scenario, jobs=2))
        assert build(scenario, batch.run(scenario), interrupted=False)
    finally:
        BACKINGS.remove(value)


def test_what_is_taken_away_is_away_elsewhere() -> None:
    """Both kinds of change are told; without any, none is."""
    assert not outside.changed()
    value = next(iter(BACKINGS))
    BACKINGS.remove(value)
    try:
        assert outside.changed() == {"backing": ((), (value.word,))}
    finally:
        BACKINGS._values.insert(0, value)
