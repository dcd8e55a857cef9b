"""How long a sweep takes on this machine: a few small cells are timed, and the plan is scaled.

The plan knows how cells compare (`Planned.nanoseconds`: selections, units, arms); what a second is
here, a pilot says. It runs cells spread over the plan with two replications and a short stream,
and takes apart what grows with units and what each result costs once. Times are of the processor,
as if nobody else used it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reports.results.build import build
from reports.sweeps.sweeping import Planned
from sim.cache.compiled import COMPILING
from sim.machine.resolve import passes
from sim.results import RunResult
from sim.runs import batch
from sim.runs.batch import Unit
from sim.runs.tasks import unit_nanoseconds
from sim.scenario.models.scenario import Arm, Scenario

PILOTS = 3
"""Cells that are timed, after one that warms up."""
PILOT_REPLICATIONS = 2
MOST_NANOSECONDS = 8_000_000
"""Planned cost of a pilot's unit at most; a longer stream is repeated less often."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What this machine takes: for a planned nanosecond of a unit, and for an arm's result."""

    per_unit: float = 1.0
    per_result_ns: float = 0.0
    start_ns: float = 0.0
    """Once: to load programs and compiled code, and to plan, as it was for this command; what it
    compiled, the sweep will find."""
    timed: int = 0
    """Units that were timed."""

    def seconds(self, planned: Planned) -> float:
        """Of a cell, on one core, without the report."""
        arms = 0 if planned.scenario is None else len(planned.scenario.arms)
        units = sum(t.nanoseconds for t in planned.tasks)
        return (units * self.per_unit + arms * self.per_result_ns) / 1e9


def pace(cells: Sequence[Planned]) -> Pace:
    """Time the pilots; raises what running a cell raises."""
    able = [p.scenario for p in cells if p.scenario is not None]
    if not able:
        return Pace()
    step = max(1, len(able) // PILOTS)
    chosen = able[step // 2 :: step][:PILOTS]
    _timed(_shortened(chosen[0]))  # compiled code is loaded, streams are read
    start = time.process_time_ns() - COMPILING.nanoseconds
    found = [_timed(_shortened(scenario)) for scenario in chosen]
    planned = sum(one.planned for one in found)
    arms = sum(one.arms for one in found)
    return Pace(
        per_unit=sum(one.units for one in found) / planned,
        per_result_ns=sum(one.results for one in found) / arms,
        start_ns=start,
        timed=sum(one.count for one in found),
    )


@dataclass(frozen=True, slots=True)
class _Pilot:
    """One timed cell: planned and measured nanoseconds of its units, of its result."""

    planned: int
    units: int
    results: int
    count: int
    arms: int


def _timed(scenario: Scenario) -> _Pilot:
    planned = spent = count = 0

    def execute(units: Sequence[Unit]) -> Iterator[tuple[int, RunResult]]:
        nonlocal planned, spent, count
        for index, unit in enumerate(units):
            began = time.process_time_ns()
            made = batch.run_unit(unit)
            spent += time.process_time_ns() - began
            planned += unit_nanoseconds(unit)
            count += 1
            yield index, made

    began = time.process_time_ns()
    build(scenario, batch.run(scenario, execute=execute), interrupted=False)
    whole = time.process_time_ns() - began
    return _Pilot(planned, spent, whole - spent, count, len(scenario.arms))


def _shortened(scenario: Scenario) -> Scenario:
    """Two replications, and streams that are no longer than a pilot may take."""
    arms = tuple(_brief(arm, scenario.seed) for arm in scenario.arms)
    fewer = min(PILOT_REPLICATIONS, scenario.replications)
    return scenario.model_copy(update={"arms": arms, "replications": fewer, "until": None})


def _brief(arm: Arm, seed: int) -> Arm:
    workload = arm.settings.workload
    cost = unit_nanoseconds(Unit(arm, seed, 0, "fast", keep_records=False))
    repeat = max(1, passes(workload) * MOST_NANOSECONDS // max(cost, MOST_NANOSECONDS))
    settings = arm.settings.model_copy(
        update={"workload": workload.model_copy(update={"repeat": repeat, "ops": 0})}
    )
    return arm.model_copy(update={"settings": settings})
