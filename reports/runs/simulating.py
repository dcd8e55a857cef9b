"""From a scenario to what a run says, in memory: no file, nothing printed, nothing but exceptions.

The command line writes it (`reports.runs.running`), a notebook looks at it (`speskew.run`). What
has finished when Ctrl-C comes, or processes die, is kept and marked; whoever asked decides what
that is worth.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from reports.pages import summary
from reports.progress import Display
from reports.results.build import build, sharing
from reports.results.result import Result
from reports.runs import datasets, replicating
from reports.runs.replicating import Memo
from reports.store import rundir
from reports.store.csvdata import Table
from reports.traces import timeline
from reports.traces.timeline import Timeline
from sim.runs import batch
from sim.runs.batch import ArmResult
from sim.runs.pool import DiedError
from sim.scenario.files import loader
from sim.scenario.models.scenario import Scenario

Cut = KeyboardInterrupt | DiedError
"""What may end a simulation early: Ctrl-C, or a unit whose process dies each time."""


@dataclass(frozen=True, slots=True)
class How:
    """What of a run is not in its scenario. `jobs` changes nothing but the time it takes."""

    jobs: int = 1
    engine: str = "fast"
    keep_records: bool = False
    band: bool = True
    """Replication 0 also at the ends of the UNVERIFIED times."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """A scenario's arms, as far as they have finished.

    `scenario` has the replications that `until` made it take, `resolved` is as it was asked for;
    `raw` is how its author wrote it.
    """

    scenario: Scenario
    resolved: str
    raw: str
    how: How
    arms: tuple[ArmResult, ...]
    timelines: dict[str, Timeline]
    cut: Cut | None
    """What ended it early: arms, or the timelines, are missing."""
    log: rundir.Log

    @property
    def interrupted(self) -> bool:
        """Did it end early?"""
        return self.cut is not None


@dataclass(frozen=True, slots=True)
class Description:
    """What is said of a simulation: `result.json`, the summary, the tables of data/."""

    result: Result
    summary: str
    tables: dict[str, Table] = field(repr=False)


def simulate(scenario: Scenario, raw: str, how: How, display: Display) -> Simulation:
    """Run every arm; raises KeyboardInterrupt, or DiedError, if that is before any has finished.

    Raises ScenarioError if `until` does not fit, LawBrokenError if a conservation law breaks.
    """
    log = rundir.Log()
    log.add("started", scenario=scenario.name, seed=scenario.seed, arms=len(scenario.arms))
    resolved = loader.dump(scenario)
    timelines: dict[str, Timeline] = {}
    with replicating.memo(how.jobs, how.engine) as memo:
        scenario, arms, cut = _settled(scenario, how, log, memo, display)
        if cut is None:
            timelines, cut = _timelines(scenario, arms, how, log, memo, display)
    return Simulation(scenario, resolved, raw, how, arms, timelines, cut, log)


def describe(made: Simulation) -> Description:
    """What a simulation says."""
    with sharing(made.arms):
        described = build(made.scenario, made.arms, interrupted=made.interrupted)
        tables = datasets.collect(made.scenario, made.arms, described, made.timelines)
    return Description(described, summary.render(described), tables)


def _timelines(
    scenario: Scenario,
    arms: Sequence[ArmResult],
    how: How,
    log: rundir.Log,
    memo: Memo,
    display: Display,
) -> tuple[dict[str, Timeline], Cut | None]:
    """Each arm's most eventful replication again, with its log; or what ended that early."""
    runs = [arm.runs[timeline.chosen_replication(arm.runs)] for arm in arms]
    chosen = [run.replication for run in runs]
    units = [
        timeline.sought(
            batch.Unit(arm.arm, scenario.seed, run.replication, how.engine, keep_records=False), run
        )
        for arm, run in zip(arms, runs, strict=True)
    ]
    found: dict[str, Timeline] = {}
    began = time.monotonic()
    try:
        with display.counted(len(arms), "timelines") as more:
            for at, made in memo.pool.apply(timeline.of_unit, units):
                found[arms[at].arm.name] = made
                more(1)
    except (KeyboardInterrupt, DiedError) as error:
        return {}, error
    log.add(
        "traced",
        replications={arm.arm.name: k for arm, k in zip(arms, chosen, strict=True)},
        seconds=time.monotonic() - began,
    )
    return {arm.arm.name: found[arm.arm.name] for arm in arms}, None


def _settled(
    scenario: Scenario, how: How, log: rundir.Log, memo: Memo, display: Display
) -> tuple[Scenario, tuple[ArmResult, ...], Cut | None]:
    """The scenario with the replications that `until` made it take, its arms, and what ended it
    early.
    """
    while True:
        arms, cut = _arms(scenario, how, log, memo, display)
        if cut is not None or scenario.until is None:
            return scenario, arms, cut
        more = replicating.further(scenario, build(scenario, arms, interrupted=False))
        if more is None:
            return scenario, arms, cut
        scenario = more


def _arms(
    scenario: Scenario, how: How, log: rundir.Log, memo: Memo, display: Display
) -> tuple[tuple[ArmResult, ...], Cut | None]:
    """Finished arms, and what came before all of them were."""
    arms: list[ArmResult] = []
    cut: Cut | None = None
    began = time.monotonic()
    with display.shown(len(scenario.arms), how.engine) as callback:
        try:
            for arm in batch.run_arms(
                scenario,
                engine=how.engine,
                execute=memo,
                keep_records=how.keep_records,
                band=how.band,
                progress=callback,
            ):
                arms.append(arm)
                _log_arm(arm, log)
        except (KeyboardInterrupt, DiedError) as error:
            cut = error
            if not arms:
                raise
    log.add("simulated" if cut is None else "interrupted", seconds=time.monotonic() - began)
    return tuple(arms), cut


def _log_arm(arm: ArmResult, log: rundir.Log) -> None:
    log.add(
        "arm",
        arm=arm.arm.name,
        stream=arm.stream.name,
        stream_ops=arm.stream.ops,
        stream_build_seconds=arm.stream.build_seconds,
        replications=len(arm.runs),
        engine_events=sum(run.engine_events for run in arm.runs),
        kernel_calls=sum(run.kernel_calls for run in arm.runs),
        kernel_truncations=sum(run.kernel_truncations for run in arm.runs),
    )
