"""What `speskew run` does after its options are read: simulate, describe, write.

The directory that is written is the same whether the command line or a program asked for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reports.progress import Display, Terminal
from reports.results import shapes
from reports.results.build import sharing
from reports.results.result import Result, dumps
from reports.runs import simulating
from reports.runs.simulating import Cut, Description, How, Simulation
from reports.store import parquet as tables
from reports.store import rundir
from reports.store.read import write_data
from sim.collecting import seldom
from sim.interrupts import uninterrupted
from sim.runs import contents
from sim.scenario.files import loader

if TYPE_CHECKING:
    from sim.scenario.models.scenario import Scenario


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
    cut: Cut | None
    """What ended the simulation early."""


def run(scenario: Scenario, resolved: str, options: Options) -> Outcome:
    """Simulate every arm and write the run directory; what has finished is kept.

    Raises RunDirError before anything is simulated if the directory cannot be written, and
    KeyboardInterrupt or DiedError if no arm had finished.
    """
    target = options.out or rundir.default_path(scenario.name, resolved)
    rundir.check_target(target, force=options.force)
    how = How(options.jobs, options.engine, options.keep_records, options.band)
    display = Terminal(quiet=options.quiet)
    with rundir.staged(target) as folder:
        rundir.check_target(target, force=options.force)  # again: now nobody else changes it
        made = simulating.simulate(scenario, loader.raw(options.source), how, display)
        said, reported = _fill(
            folder, made, options.argv, display, report=options.report, figures=options.figures
        )
    return Outcome(said.result, said.summary, target, reported, made.cut)


def save(
    made: Simulation,
    target: Path,
    argv: Sequence[str],
    *,
    report: bool,
    figures: bool,
    described: Description,
) -> bool:
    """Write the directory of a simulation, whole or not at all; returns whether it has a report.

    `described` is what the simulation says.
    """
    quiet = Terminal(quiet=True)
    with rundir.staged(target) as folder:
        _, reported = _fill(
            folder, made, argv, quiet, report=report, figures=figures, described=described
        )
    return reported


def _fill(
    folder: Path,
    made: Simulation,
    argv: Sequence[str],
    display: Display,
    *,
    report: bool,
    figures: bool,
    described: Description | None = None,
) -> tuple[Description, bool]:
    """Write everything; Ctrl-C costs no more than the report. What is said; is there a report?"""
    written = reported = False
    try:
        writing = display.working("writing the results")
        with uninterrupted(), writing, seldom(), sharing(made.arms):
            said = described or simulating.describe(made)
            _write(folder, made, said, argv)
            written = True
        if report:
            with display.working("drawing the report"), seldom():
                from reports.runs import rebuilding  # and matplotlib: half of a short run's time

                rebuilding.rebuild(folder, figures=figures)
            reported = True
    except KeyboardInterrupt:
        if not written:  # again, before the writing could begin
            raise
        made.log.add("interrupted", what="report")
    rundir.write_text(folder, "log.jsonl", made.log.lines())
    return said, reported


def _write(folder: Path, made: Simulation, said: Description, argv: Sequence[str]) -> None:
    rundir.write_text(folder, "scenario.resolved.yaml", made.resolved)
    rundir.write_text(folder, "scenario.yaml", made.raw)
    rundir.write_text(folder, "result.json", dumps(said.result))
    rundir.write_text(folder, "summary.txt", said.summary)
    write_data(folder, said.tables)
    records = made.scenario.seed if made.how.keep_records else None
    names = tables.write(folder, made.arms, records_of_seed=records)
    manifest = rundir.manifest(
        resolved=made.resolved,
        seed=made.scenario.seed,
        argv=argv,
        options={
            "engine": made.how.engine,
            "jobs": made.how.jobs,
            "keep_records": made.how.keep_records,
            "band": made.how.band,
            "interrupted": made.interrupted,
        },
        log=made.log,
        contents=contents.of(made.scenario),
    )
    rundir.write_text(folder, "manifest.json", rundir.dump_json(shapes.dump(manifest)))
    made.log.add("written", tables=names)
