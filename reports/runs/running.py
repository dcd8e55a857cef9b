"""What `speskew run` does after its options are read: simulate, describe, write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reports import heartbeat, progress
from reports.pages import summary
from reports.results import shapes
from reports.results.build import build
from reports.results.result import Result, dumps
from reports.runs import datasets, rebuilding, replicating
from reports.signals import uninterrupted
from reports.store import parquet as tables
from reports.store import rundir
from reports.store.read import write_data
from reports.traces import timeline
from sim import inputs
from sim.runs import batch, pool
from sim.scenario import loader
from sim.scenario.document import MAX_BYTES

if TYPE_CHECKING:
    from reports.runs.replicating import Memo
    from reports.store.csvdata import Table
    from reports.traces.timeline import Timeline
    from sim.runs.batch import ArmResult
    from sim.scenario.model import Scenario


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `run` that are not part of the scenario."""

    source: str
    out: Path | None
    jobs: int
    engine: str
    force: bool
    keep_records: bool
    report: bool
    band: bool
    figures: bool
    quiet: bool
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished or interrupted run."""

    result: Result
    summary: str
    target: Path
    reported: bool
    """Was the report drawn?"""


def run(scenario: Scenario, resolved: str, options: Options) -> Outcome:
    """Simulate every arm and write the run directory; what has finished survives Ctrl-C.

    Raises RunDirError before anything is simulated if the directory cannot be written, and
    KeyboardInterrupt if no arm had finished.
    """

    target = options.out or rundir.default_path(scenario.name, resolved)
    rundir.check_target(target, force=options.force)
    log = rundir.Log()
    log.add("started", scenario=scenario.name, seed=scenario.seed, arms=len(scenario.arms))
    timelines: dict[str, Timeline] = {}
    with replicating.memo(options.jobs) as memo:
        scenario, arms, interrupted = _settled(scenario, options, log, memo)
        if not interrupted:
            timelines, interrupted = _timelines(scenario, arms, options, log, memo)
    with rundir.staged(target) as folder:
        reported = False
        try:
            with (
                heartbeat.working("writing the results", quiet=options.quiet),
                uninterrupted(),
            ):
                described = build(scenario, arms, interrupted=interrupted)
                text = summary.render(described)
                tables = datasets.collect(scenario, arms, described, timelines)
                _write(folder, scenario, resolved, arms, (described, text, tables), options, log)
            if options.report:
                with heartbeat.working("drawing the report", quiet=options.quiet):
                    rebuilding.rebuild(folder, figures=options.figures)
                reported = True
        except KeyboardInterrupt:
            log.add("interrupted", what="report")
        rundir.write_text(folder, "log.jsonl", log.lines())
    return Outcome(described, text, target, reported)


def _timelines(
    scenario: Scenario, arms: Sequence[ArmResult], options: Options, log: rundir.Log, memo: Memo
) -> tuple[dict[str, Timeline], bool]:
    """Each arm's most eventful replication again, with its log; and whether Ctrl-C came first."""

    chosen = [arm.runs[timeline.chosen_replication(arm.runs)].replication for arm in arms]
    units = [
        batch.Unit(arm.arm, scenario.seed, replication, options.engine, keep_records=False)
        for arm, replication in zip(arms, chosen, strict=True)
    ]
    found: dict[str, Timeline] = {}
    began = time.monotonic()
    try:
        with progress.counted(len(arms), "timelines", quiet=options.quiet) as more:
            for at, made in pool.apply(memo.pool, timeline.of_unit, units):
                found[arms[at].arm.name] = made
                more(1)
    except KeyboardInterrupt:
        return {}, True
    log.add(
        "traced",
        replications={arm.arm.name: k for arm, k in zip(arms, chosen, strict=True)},
        seconds=time.monotonic() - began,
    )
    return {arm.arm.name: found[arm.arm.name] for arm in arms}, False


def _settled(
    scenario: Scenario, options: Options, log: rundir.Log, memo: Memo
) -> tuple[Scenario, tuple[ArmResult, ...], bool]:
    """The scenario with the replications that `until` made it take, its arms, and whether Ctrl-C
    came first.
    """

    while True:
        arms, interrupted = _simulate(scenario, options, log, memo)
        if interrupted or scenario.until is None:
            return scenario, arms, interrupted
        more = replicating.further(scenario, build(scenario, arms, interrupted=False))
        if more is None:
            return scenario, arms, interrupted
        scenario = more


def _simulate(
    scenario: Scenario, options: Options, log: rundir.Log, memo: Memo
) -> tuple[tuple[ArmResult, ...], bool]:
    """Finished arms, and whether Ctrl-C came before all of them were."""

    arms: list[ArmResult] = []
    interrupted = False
    began = time.monotonic()
    with progress.shown(len(scenario.arms), quiet=options.quiet, engine=options.engine) as callback:
        try:
            for arm in batch.run_arms(
                scenario,
                engine=options.engine,
                execute=memo,
                keep_records=options.keep_records,
                band=options.band,
                progress=callback,
            ):
                arms.append(arm)
                _log_arm(arm, log)
        except KeyboardInterrupt:
            interrupted = True
            if not arms:
                raise
    log.add("interrupted" if interrupted else "simulated", seconds=time.monotonic() - began)
    return tuple(arms), interrupted


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


def _write(
    folder: Path,
    scenario: Scenario,
    resolved: str,
    arms: Sequence[ArmResult],
    said: tuple[Result, str, dict[str, Table]],
    options: Options,
    log: rundir.Log,
) -> None:

    described, text, data = said
    rundir.write_text(folder, "scenario.resolved.yaml", resolved)
    rundir.write_text(folder, "scenario.yaml", raw_scenario(options.source))
    rundir.write_text(folder, "result.json", dumps(described))
    rundir.write_text(folder, "summary.txt", text)
    write_data(folder, data)
    records = scenario.seed if options.keep_records else None
    names = tables.write(folder, arms, records_of_seed=records)
    made = rundir.manifest(
        resolved=resolved,
        seed=scenario.seed,
        argv=options.argv,
        options={
            "engine": options.engine,
            "jobs": options.jobs,
            "keep_records": options.keep_records,
            "band": options.band,
            "interrupted": described.interrupted,
        },
        log=log,
    )
    rundir.write_text(folder, "manifest.json", rundir.dump_json(shapes.dump(made)))
    log.add("written", tables=names)


def raw_scenario(source: str) -> str:
    """The scenario as its author wrote it: a file, or a stock scenario by name."""

    raw = inputs.read_at_most(loader.find(source), MAX_BYTES)
    return raw.decode("utf-8", "surrogateescape")
