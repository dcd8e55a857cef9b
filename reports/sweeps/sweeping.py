"""A sweep from its cells to its results: plan, run what is missing, put the cells together.

The folder of a sweep holds every finished unit, so that it can be continued after a kill at any
moment. A cell's result is what `speskew run` would write with the cell's settings; the sweep's
`result.json` is made from the cells in their order in the plan, so it is the same bytes whatever
the order, the number of jobs, and the number of attempts.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.sweeps import responses, sampling
from reports.figures import alone
from reports.pages import glance, summary
from reports.results import lookup, result, shapes, written
from reports.results.build import build
from reports.results.damage import DamagedError, loads
from reports.results.metric import Metric
from reports.results.sweep_result import (
    SWEEP_VERSION,
    CellResult,
    Indices,
    Samples,
    SweepResult,
    Values,
    of_json,
)
from reports.runs import replicating
from reports.store import rundir
from reports.store.files import put, replace
from reports.store.read import check_version, read_manifest
from reports.store.rundir import RunDirError
from reports.sweeps import page, screening
from sim.runs import batch
from sim.runs.backends import Failure, Workers
from sim.runs.store import Store
from sim.runs.tasks import Task, key, task, tasks
from sim.scenario.files import loader
from sim.scenario.files.loader import ScenarioError, Unheeded
from sim.scenario.models.matrix import Cell, expand
from sim.workload.capture.profile import ProfileError
from sim.workload.spestream import StreamError

if TYPE_CHECKING:
    from reports.results.result import Arm, Result
    from sim.results import RunResult
    from sim.runs.batch import ArmResult, Unit
    from sim.scenario.models.scenario import Scenario

MANIFEST = "sweep.json"
LOCK = ".lock"
CELLS = "cells"
RESULTS = ("result.json", "cells.csv", "sensitivity.csv", "report.html")
RESULT_NANOSECONDS = 10_000_000
"""An arm's part of a cell's result, as measured on one core of a small server."""
_LEFT_OUT = ("replications", "loss_by_symbol", "share_errors", "hold")
"""Branches of an arm that stay in the cell's own result."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One cell: its scenario and tasks, or why it cannot be run."""

    cell: Cell
    reproduce: str
    scenario: Scenario | None
    tasks: tuple[Task, ...]
    problem: str = ""
    remarks: tuple[Unheeded, ...] = ()

    @property
    def nanoseconds(self) -> int:
        """Estimated cost on one core: its units, and putting its result together."""
        arms = 0 if self.scenario is None else len(self.scenario.arms)
        return sum(t.nanoseconds for t in self.tasks) + arms * RESULT_NANOSECONDS


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says about a sweep."""

    source: str
    overrides: tuple[str, ...]
    replications: int | None
    seed: int | None
    engine: str
    band: bool = False
    """Replication 0 of each arm also at the ends of the UNVERIFIED times, as `speskew run` does."""


def plan(asked: Asked, remarks: list[str] | None = None) -> tuple[Scenario, list[Planned]]:
    """The scenario without its cells, and every cell; raises ScenarioError if it has none.

    `remarks` gets what was set in vain: in some arms, or in the cells that set it themselves. A
    setting that every cell replaces is an error.
    """
    base = loader.load(asked.source, asked.overrides, asked.replications, asked.seed)
    cells = [_planned(cell, asked, base) for cell in _cells(asked, base)]
    told = Counter(one for planned in cells for one in dict.fromkeys(planned.remarks))
    for one, count in told.items():
        if not one.arms and count == len(cells):
            why = f"{one.key}: every cell of the sweep sets it; change the cells, or leave it out"
            raise ScenarioError(loader.Problem(f"--set {one.key}", 0, 0, why))
        if remarks is None:
            continue
        where = f"in {count} of {len(cells)} cells: " if count < len(cells) else ""
        remarks.append(f"{where}{one}")
    return base, cells


def _cells(asked: Asked, base: Scenario) -> list[Cell]:
    """Every cell once, in the order of the file, or of drawing."""
    if base.samples is not None:
        try:
            drawn = sampling.draw(base)
        except sampling.SamplingError as error:
            at = loader.origins(asked.source, asked.overrides)["samples.over"]
            raise ScenarioError(loader.Problem(at, 0, 0, f"samples.over: {error}")) from error
        return list(dict.fromkeys(drawn.cells))
    if not base.matrix and not base.cases:
        why = "has neither matrix nor cases nor samples: use `speskew run`"
        raise ScenarioError(loader.Problem(asked.source, 0, 0, why))
    return expand(base.matrix, base.cases)


def _planned(cell: Cell, asked: Asked, base: Scenario) -> Planned:
    overrides = (*asked.overrides, *cell.overrides())
    command = ["speskew", "run", asked.source, "--seed", str(base.seed)]
    command += ["--replications", str(base.replications)]
    command += [word for text in overrides for word in ("--set", text)]
    if asked.engine != "fast":
        command += ["--engine", asked.engine]
    reproduce = shlex.join(command)
    remarks: list[Unheeded] = []
    try:
        scenario = loader.load(
            asked.source, overrides, asked.replications, asked.seed, remarks, one_cell=True
        )
    except ScenarioError as error:
        return Planned(cell, reproduce, None, (), "; ".join(p.message for p in error.problems))
    try:
        made = tuple(tasks(cell.id, scenario, asked.engine, band=asked.band))
    except (StreamError, ProfileError, OSError) as error:
        return Planned(cell, reproduce, None, (), " ".join(str(error).split()))
    return Planned(cell, reproduce, scenario, made, remarks=tuple(remarks))


# --- the folder ------------------------------------------------------------------------------


def prepare(folder: Path, scenario: Scenario, *, resume: bool, named: bool = True) -> None:
    """Make the folder; raises RunDirError if there is one that is not for this sweep.

    Unless `named`, a sweep of another scenario may be there too.
    """
    manifest = folder / MANIFEST
    if folder.exists() and not folder.is_dir():
        raise RunDirError(f"{folder} exists and is no directory")
    if manifest.is_file():
        if not resume:
            how = "--resume continues it, --force replaces it, -o names another"
            raise RunDirError(f"{folder} holds a sweep; {how}")
        name = _name_in(manifest) if named else scenario.name
        if name != scenario.name:
            raise RunDirError(f"{folder} holds a sweep of {name!r}, not of {scenario.name!r}")
    elif folder.is_dir() and not all(_is_first(path) for path in folder.iterdir()):
        raise RunDirError(f"{folder} is not empty and holds no sweep; -o names another")
    rundir.make_folder(folder, folder)


def _is_first(path: Path) -> bool:
    """Whether it is what a sweep writes before its manifest: a kill may leave just that."""
    return path.name == LOCK or path.name.startswith(f".{MANIFEST}.")


def clear(folder: Path) -> None:
    """Remove everything of a sweep but its lock."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def forget(folder: Path) -> None:
    """Remove what an earlier attempt put together: it may have had other cells."""
    for name in RESULTS:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / CELLS, ignore_errors=True)


def _name_in(manifest: Path) -> str:
    try:
        return read_manifest(manifest).scenario
    except RunDirError as error:
        raise RunDirError(f"{manifest} cannot be read; remove the folder ({error})") from error


def write_manifest(folder: Path, scenario: Scenario, asked: Asked, argv: Sequence[str]) -> None:
    """Who, when, with what; and the scenario as it was written."""

    made = rundir.manifest(
        resolved=loader.dump(scenario), seed=scenario.seed, argv=argv, options={}, log=rundir.Log()
    )
    named = dataclasses.replace(made, scenario=scenario.name)
    replace(folder / MANIFEST, rundir.dump_json(shapes.dump(named)).encode())
    text = loader.raw(asked.source).encode("utf-8", "surrogateescape")
    replace(folder / "scenario.yaml", text)
    replace(folder / "scenario.resolved.yaml", loader.dump(scenario).encode())


# --- running ---------------------------------------------------------------------------------

Progress = Callable[["Standing"], None]


@dataclass(slots=True)
class Standing:
    """How far a sweep is; times in seconds."""

    cells: int
    units: int
    kept: int = 0
    cells_done: int = 0
    units_done: int = 0
    cost: int = 0
    cost_done: int = 0
    last: str = ""
    started: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Since this attempt began."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float | None:
        """Estimated, from the cost of what this attempt has run; None before anything has."""
        if not self.cost_done:
            return None
        return self.elapsed * (self.cost - self.cost_done) / self.cost_done


def run(
    cells: Sequence[Planned], store: Store, workers: Workers, progress: Progress
) -> dict[str, str]:
    """Run what is not in the store; returns why, for each cell that failed."""
    missing = [t for p in cells for whole in p.tasks if (t := whole.without(store)).units]
    left = {p.cell.id: 0 for p in cells if p.scenario is not None}
    for t in missing:
        left[t.cell] += 1
    every = sum(len(t.units) for p in cells for t in p.tasks)
    kept = every - sum(len(t.units) for t in missing)
    standing = Standing(
        len(left),
        every,
        kept,
        sum(n == 0 for n in left.values()),
        kept,
        cost=sum(t.nanoseconds for t in missing),
    )
    progress(standing)
    failed: dict[str, str] = {}
    for t, outcome in workers.run(missing):
        if isinstance(outcome, Failure):
            failed.setdefault(t.cell, outcome.why)
        else:
            store.put(dict(zip(t.keys, outcome, strict=True)))
        left[t.cell] -= 1
        standing.units_done += len(t.units)
        standing.cost_done += t.nanoseconds
        standing.cells_done += left[t.cell] == 0
        standing.last = t.cell
        progress(standing)
    return failed


# --- putting together ------------------------------------------------------------------------


class CellFailedError(Exception):
    """A cell's further units cannot be run."""


@dataclass(frozen=True, slots=True)
class Described:
    """A cell's result, as `speskew run` would write it, and the arms that it tells of."""

    result: Result
    arms: tuple[ArmResult, ...]


def describe(planned: Planned, store: Store, workers: Workers, asked: Asked) -> Described:
    """A cell's result from its finished units; runs what only the result asks for."""

    scenario = planned.scenario
    assert scenario is not None

    def execute(units: Sequence[Unit]) -> Iterator[tuple[int, RunResult]]:
        keys = [key(unit) for unit in units]
        found = {k: store.get(k) for k in dict.fromkeys(keys)}
        wanted = [
            task(planned.cell.id, (u,))
            for u, k in zip(units, keys, strict=True)
            if found[k] is None
        ]
        for t, outcome in workers.run(wanted):
            if isinstance(outcome, Failure):
                raise CellFailedError(outcome.why)
            store.put({t.keys[0]: outcome[0]})
            found[t.keys[0]] = outcome[0]
        for index, k in enumerate(keys):
            known = found[k]
            assert known is not None
            yield index, known

    while True:
        arms = batch.run(scenario, engine=asked.engine, band=asked.band, execute=execute)
        described = build(scenario, arms, interrupted=False)
        more = replicating.further(scenario, described)
        if more is None:
            return Described(described, arms)
        scenario = more


def assemble(
    folder: Path,
    cells: Sequence[Planned],
    failed: Mapping[str, str],
    described: Callable[[Planned], Described],
    *,
    each: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[CellResult]:
    """Write each cell's folder; returns the rows of the sweep's result, in the plan's order.

    With `each`, a row also has the values of every replication that indices are made of.
    `progress` is told the cells that are done, and all.
    """

    rows = []
    for number, planned in enumerate(cells):
        progress(number, len(cells))
        why = planned.problem or failed.get(planned.cell.id, "")
        found: Described | None = None
        if not why:
            try:
                found = described(planned)
            except (CellFailedError, ScenarioError, ArithmeticError, ValueError) as error:
                why = " ".join(str(error).split()) or type(error).__name__
        if found is not None:
            _write_cell(folder / CELLS / planned.cell.id, planned, found.result)
        values = responses.each(found.arms) if found is not None and each else {}
        rows.append(_row(planned, None if found is None else found.result, why, values))
    progress(len(cells), len(cells))
    return rows


def _write_cell(folder: Path, planned: Planned, described: Result) -> None:

    assert planned.scenario is not None
    texts = {
        "scenario.resolved.yaml": loader.dump(planned.scenario),
        "summary.txt": summary.render(described),
        "result.json": result.dumps(described),
    }
    folder.mkdir(parents=True, exist_ok=True)
    put(folder, {name: text.encode() for name, text in texts.items()})


def _row(
    planned: Planned, found: Result | None, why: str, each: dict[str, dict[str, list[float]]]
) -> CellResult:
    settings = dict(planned.cell.settings)
    if found is None:
        return CellResult(planned.cell.id, settings, planned.reproduce, "failed", why)
    return CellResult(
        planned.cell.id,
        settings,
        planned.reproduce,
        "finished",
        replications=found.replications,
        arms={name: dict(_numbers(arm)) for name, arm in found.arms.items()},
        adjusted={n: a.setup.adjusted for n, a in found.arms.items() if a.setup.adjusted},
        verdicts={name: glance.profile_cell(arm) for name, arm in found.arms.items()},
        doubts=tuple(summary.doubts(found)),
        each={arm: {name: tuple(row) for name, row in rows.items()} for arm, rows in each.items()},
    )


def _numbers(arm: Arm) -> Iterator[tuple[str, Any]]:
    """Every metric and plain number of an arm by dotted name."""
    kept = {k: v for k, v in shapes.items(arm) if k not in _LEFT_OUT}
    return ((k, v) for k, v in lookup.leaves(kept) if not isinstance(v, bool))


def document(scenario: Scenario, rows: Sequence[CellResult]) -> SweepResult:
    """The sweep's result.json."""
    axes: dict[str, Values] = {}
    for row in rows:
        for name, value in row.settings.items():
            axes.setdefault(name, Values()).add(value)
    arms = [arm.name for arm in scenario.arms]
    samples, indices = _indices(scenario, rows, arms)
    return SweepResult(
        sweep_version=SWEEP_VERSION,
        kind="prediction",
        scenario=scenario.name,
        question=scenario.question,
        seed=scenario.seed,
        arm_order=tuple(arms),
        axes={name: tuple(values) for name, values in axes.items()},
        cells=tuple(rows),
        samples=samples,
        sensitivity=indices,
    )


def _indices(
    scenario: Scenario, rows: Sequence[CellResult], arms: Sequence[str]
) -> tuple[Samples | None, dict[str, dict[str, Indices]] | None]:
    """What was drawn, and which setting matters; nothing without samples."""
    if scenario.samples is None:
        return None, None

    drawn = sampling.draw(scenario)
    return screening.samples(drawn), screening.indices(drawn, rows, arms, scenario.seed)


def read_result(folder: Path) -> SweepResult:
    """result.json of a sweep that has ended; raises RunDirError, or VersionError."""
    path = folder / "result.json"
    if not path.is_file():
        raise RunDirError(f"{folder}: the sweep has not ended; `speskew sweep --resume` continues")
    try:
        document = loads(path.read_text(encoding="utf-8"))
        check_version(path, document, "sweep_version", SWEEP_VERSION)
    except OSError as error:
        raise RunDirError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise RunDirError(f"{path} is no result of a sweep: {error}") from error
    try:
        return of_json(document)
    except DamagedError as error:
        raise RunDirError(f"{path}: {error}; `speskew sweep --resume` makes it again") from error


def rebuild(folder: Path, *, figures: bool = False) -> list[Path]:
    """Write report.html, and figures/*.{png,svg,txt} if asked; returns their paths."""
    return draw(folder, read_result(folder), figures=figures)


def draw(folder: Path, result: SweepResult, *, figures: bool) -> list[Path]:
    """What `rebuild` writes, of a result whose mappings are by key."""
    files = {folder / "report.html": page.page(result).encode()}
    if figures:
        for key, make in page.standing(result).items():
            files |= {folder / "figures" / n: data for n, data in alone.files(key, make).items()}
    for path, data in files.items():
        path.parent.mkdir(exist_ok=True)
        replace(path, data)
    return list(files)


def dumps(result: SweepResult) -> str:
    """The bytes of result.json."""
    return written.text(result)


CELL_COLUMNS = ("arm", "metric", "mean", "low", "high", "n", "unit")
"""Of cells.csv, behind the cell and its settings."""


def cell_rows(result: SweepResult) -> Iterator[tuple[Any, ...]]:
    """A row per cell, arm and metric: its settings, then CELL_COLUMNS; "" where there is none."""
    yield from _cell_rows(result, lambda value: value)


def _cell_rows(result: SweepResult, shown: Callable[[Any], Any]) -> Iterator[tuple[Any, ...]]:
    axes = list(result.axes)
    for row in result.cells:
        settings = [shown(row.settings.get(axis, "")) for axis in axes]
        for arm, numbers in row.arms.items():
            begins = (row.id, *settings, arm)
            for name in sorted(numbers):
                yield (*begins, name, *_columns(numbers[name]))


def as_csv(result: SweepResult) -> str:
    """One line per cell, arm and metric: its settings, then mean, interval, n and unit."""
    axes = list(result.axes)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["cell", *axes, *CELL_COLUMNS])
    writer.writerows(_cell_rows(result, _cell_text))
    return out.getvalue()


def _cell_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _columns(value: Metric | float) -> tuple[object, ...]:
    if not isinstance(value, Metric):
        return (value, "", "", "", "")
    mean, low, high = value.mean, value.low, value.high
    return (
        "" if mean is None else mean,
        "" if low is None else low,
        "" if high is None else high,
        value.n,
        value.unit,
    )
