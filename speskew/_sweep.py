"""`speskew.sweep` and `speskew.load_sweep`: a scenario at many settings."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pandas as pd

from reports.progress import Progress
from reports.results.sweep_result import SweepResult
from reports.store import sweep_texts
from reports.store.rundir import RunDirError
from reports.store.sweep_texts import CELL_COLUMNS
from reports.sweeps import attempt, sweeping, words
from reports.sweeps.sweeping import Standing
from reports.sweeps.words import Quiet
from reports.text import printable
from sim.runs.cluster import Scheduler
from speskew import _given, _html
from speskew._given import Engine


class _Shown(Quiet):
    """A sweep's progress on the display of a run."""

    def __init__(self, call: Progress) -> None:
        self._call = call

    def __call__(self, standing: Standing) -> None:
        """Units that are done."""
        text = f"units, {standing.cells_done}/{standing.cells} cells"
        self._call(standing.units_done, standing.units, f"{text} {standing.last}".rstrip())

    def assembled(self, done: int, total: int) -> None:
        """Cells that have their results together."""
        self._call(done, total, "cells put together")

    def unreadable(self, unit: Path, why: str) -> None:
        """A stored unit that cannot be used."""
        warnings.warn(f"{printable(str(unit))}: {why}; it is run again", stacklevel=2)


def sweep(
    scenario: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    set: Mapping[str, object] | None = None,
    replications: int | None = None,
    seed: int | None = None,
    jobs: int = 1,
    engine: Engine = "fast",
    resume: bool = False,
    force: bool = False,
    scheduler: str | None = None,
    band: bool = False,
    report: bool = True,
    figures: bool = False,
    progress: bool | Progress = True,
) -> Sweep:
    """Run every cell of a scenario's matrix, cases or samples into the folder `out`.

    The scenario is a stock name or a path: the command that reproduces a cell names it. `resume`
    goes on with what an earlier attempt left, `force` begins anew; `figures` are also written as
    PNG and SVG. `scheduler` is the address of a Dask cluster. With `band` each cell also runs at
    the ends of the UNVERIFIED times. A cell that fails is in `Sweep.failed` and does not stop the
    others. The folder is what `speskew sweep` writes. Raises ScenarioError, RunDirError; Ctrl-C
    raises KeyboardInterrupt, keeps what has finished, and leaves no process.
    """
    _given.checked(jobs, engine)
    if isinstance(scenario, Mapping) or "\n" in os.fspath(scenario):
        raise TypeError("a sweep's scenario is a stock name or a path: its cells name it")
    source = os.fspath(scenario)
    asked = sweeping.Asked(source, _given.overrides(set), replications, seed, engine, band)
    plan = attempt.planned(asked)
    _given.warn(plan.remarks)
    folder = attempt.default_folder(plan) if out is None else Path(out)
    at = None if scheduler is None else Scheduler(scheduler)
    try:
        with (
            _given.display(progress).shown(len(plan.cells), engine) as call,
            closing(attempt.workers(jobs, at, Quiet())) as crew,
            attempt.owned(folder, plan.base, resume=resume, force=force),
        ):
            shown = _Shown(call)
            result = attempt.run(
                folder,
                plan,
                crew,
                sys.argv,
                report=report,
                figures=figures,
                shown=shown,
                whole=True,
            )
    except RunDirError as error:
        error.add_note(
            "in Python: sweep(…, resume=True) continues, force=True replaces, out= names another"
        )
        raise
    return Sweep(folder, result)


def load_sweep(path: str | os.PathLike[str]) -> Sweep:
    """The sweep that `speskew sweep -o PATH` or `speskew.sweep` wrote; raises RunDirError."""
    folder = Path(path)
    return Sweep(folder, sweeping.read_result(folder))


class Sweep:
    """A sweep that has ended: its cells as a frame. All of it is predicted."""

    def __init__(self, folder: Path, result: SweepResult) -> None:
        self.folder = folder
        self.result = result
        """What `result.json` of a sweep holds."""

    @property
    def frame(self) -> pd.DataFrame:
        """A row per cell, arm and metric: the cell's settings, then mean, interval, n, unit."""
        columns = ["cell", *self.result.axes, *CELL_COLUMNS]
        found = pd.DataFrame(list(sweep_texts.cell_rows(self.result)), columns=columns)
        numbers = ["mean", "low", "high", "n"]
        found[numbers] = found[numbers].apply(pd.to_numeric)
        return found.astype({"mean": "float64", "low": "float64", "high": "float64"}).astype(
            {"n": "Int64"}
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """Ids of the cells, in the plan's order."""
        return tuple(row.id for row in self.result.cells)

    @property
    def failed(self) -> dict[str, str]:
        """Why, for each cell without a result."""
        return {row.id: row.why for row in self.result.cells if row.failed}

    def __str__(self) -> str:
        return words.as_table(self.result)

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"<Sweep {self.folder}: predictions of {len(self.cells)} cells{failed}>"

    def _repr_html_(self) -> str:
        return _html.text(str(self))
