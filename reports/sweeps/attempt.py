"""One attempt at a sweep: the folder is ours, what is missing is run, results are put together."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reports.results.sweep_result import SweepResult, by_key
from reports.store import files, rundir, sweep_texts
from reports.store.rundir import RunDirError
from reports.store.sweep_texts import Texts
from reports.sweeps import screening, sweeping
from reports.sweeps.filling import UNITS, Common
from reports.sweeps.sweeping import Asked, Planned
from reports.sweeps.words import Quiet
from sim.collecting import seldom
from sim.runs import backends, warming
from sim.runs.backends import Workers
from sim.runs.cluster import Cluster, Scheduler
from sim.runs.store import Store
from sim.scenario.files import loader
from sim.scenario.models.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: the scenario without its cells, and every cell."""

    asked: Asked
    base: Scenario
    cells: Sequence[Planned]
    remarks: Sequence[str] = ()


def planned(asked: Asked) -> Plan:
    """The plan of a sweep; raises ScenarioError if the scenario has no cells."""
    remarks: list[str] = []
    with seldom():
        base, cells = sweeping.plan(asked, remarks)
    return Plan(asked, base, cells, remarks)


def default_folder(plan: Plan) -> Path:
    """runs/<name>-sweep-<hash8>."""
    return rundir.default_path(f"{plan.base.name}-sweep", loader.dump(plan.base))


def workers(jobs: int, scheduler: Scheduler | None, shown: Quiet) -> Workers:
    """Who runs units; raises WorkersError if there is no such scheduler."""
    if scheduler is not None:
        return Cluster(scheduler, shown.waiting)
    return backends.Processes(jobs) if jobs > 1 else backends.Here()


@contextmanager
def owned(folder: Path, scenario: Scenario, *, resume: bool, force: bool = False) -> Iterator[None]:
    """The folder for this process alone; a second sweep into it is refused.

    With `force` a sweep that is there makes room, finished units too; what is no sweep does not.
    """
    anew = force and (folder / sweeping.MANIFEST).is_file()
    sweeping.prepare(folder, scenario, resume=resume or anew, named=not anew)
    with (folder / sweeping.LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunDirError(f"{folder}: another sweep is writing there") from error
        # again: now nobody else changes it
        sweeping.prepare(folder, scenario, resume=resume or anew, named=not anew)
        if anew:
            sweeping.clear(folder)
        yield


def run(
    folder: Path,
    plan: Plan,
    crew: Workers,
    argv: Sequence[str],
    *,
    report: bool,
    shown: Quiet,
    figures: bool = False,
    whole: bool = False,
) -> SweepResult:
    """Run what is missing and put everything together; on Ctrl-C finished units stay.

    The files have every number of a cell; the result that is returned has those only that are shown
    in the table and the page, unless it is to be `whole`.
    """
    sweeping.write_manifest(folder, plan.base, plan.asked, argv)
    store = Store(folder / UNITS, shown.unreadable)
    store.sweep_up()
    sweeping.forget(folder)
    with warming.ahead(plan.asked.engine):
        failed = sweeping.run(plan.cells, store, crew, shown)
    axes = sweeping.axes(plan.cells)
    common = Common(
        folder=folder,
        axes=tuple(axes),
        engine=plan.asked.engine,
        band=plan.asked.band,
        each=plan.base.samples is not None,
        shown=None if whole else sweeping.SHOWN,
    )
    with seldom():
        cells = sweeping.assemble(plan.cells, failed, common, store, crew, shown.assembled)
        store.sweep_up()  # a process that died may have left something
        result = sweeping.document(plan.base, [cell.row for cell in cells], axes)
        _write(folder, result, [cell.texts for cell in cells])
        if report:
            sweeping.draw(folder, by_key(result), figures=figures)
    return result


def _write(folder: Path, result: SweepResult, cells: Sequence[Texts]) -> None:
    with files.whole(folder / "cells.csv") as file:
        file.writelines(sweep_texts.as_csv(tuple(result.axes), cells))
    if result.samples is not None:
        files.replace(folder / "sensitivity.csv", screening.as_csv(result).encode())
    with files.whole(folder / "result.json") as file:
        file.writelines(sweep_texts.as_json(result, cells))
