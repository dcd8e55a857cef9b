"""A sweep from its cells to its results: plan, run what is missing, put the cells together.

The folder of a sweep holds every finished unit, so that it can be continued after a kill at any
moment. A cell's result is what `speskew run` would write with the cell's settings; the sweep's
`result.json` is made from the cells in their order in the plan, so it is the same bytes whatever
the order, the number of jobs, and the number of attempts.
"""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.sweeps import sampling
from reports.figures import alone
from reports.results import shapes
from reports.results.damage import DamagedError, loads
from reports.results.sweep_result import (
    SWEEP_VERSION,
    CellResult,
    Indices,
    Samples,
    SweepResult,
    Values,
    of_json,
)
from reports.store import rundir
from reports.store.files import replace
from reports.store.read import check_version, read_manifest
from reports.store.rundir import RunDirError
from reports.sweeps import bands, edges, filling, page, screening
from reports.sweeps.filling import CELLS, Common, Filled, Made, Order
from sim.runs.backends import Failure, Workers
from sim.runs.store import Store
from sim.runs.tasks import Task, tasks
from sim.scenario.files import loader
from sim.scenario.files.loader import ScenarioError, Unheeded
from sim.scenario.models.matrix import Cell, expand
from sim.workload.capture.profile import ProfileError
from sim.workload.spestream import StreamError

if TYPE_CHECKING:
    from sim.scenario.models.scenario import Scenario

MANIFEST = "sweep.json"
LOCK = ".lock"
RESULTS = ("result.json", "cells.csv", "sensitivity.csv", "report.html")
RESULT_NANOSECONDS = 10_000_000
"""An arm's part of a cell's result, as measured on one core of a small server."""


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
    for t, failure in workers.run(missing, store):
        if failure is not None:
            failed.setdefault(t.cell, failure.why)
        left[t.cell] -= 1
        standing.units_done += len(t.units)
        standing.cost_done += t.nanoseconds
        standing.cells_done += left[t.cell] == 0
        standing.last = t.cell
        progress(standing)
    return failed


# --- putting together ------------------------------------------------------------------------


SHOWN = frozenset((*(one.metric for one in page.METRICS), *bands.NUMBERS, *edges.NUMBERS))
"""Numbers of an arm that a sweep's page and table are made of."""


def assemble(
    cells: Sequence[Planned],
    failed: Mapping[str, str],
    common: Common,
    store: Store,
    workers: Workers,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Filled]:
    """Write each cell's folder; returns what the sweep's files say of it, in the plan's order.

    `progress` is told the cells that are done, and all.
    """
    ended: dict[str, Filled] = {}
    orders = []
    for p in cells:
        why = p.problem or failed.get(p.cell.id, "")
        if why:
            ended[p.cell.id] = filling.failed(common, p.cell, p.reproduce, why)
        else:
            assert p.scenario is not None
            orders.append(Order(common, p.cell, p.reproduce, p.scenario, p.scenario.replications))
    progress(len(ended), len(cells))
    while orders:  # again for cells that ask for further units
        again = []
        for order, made in _filled(orders, workers, store):
            if made.filled is None:
                again.append((order, made))
            else:
                ended[order.cell.id] = made.filled
                progress(len(ended), len(cells))
        lost = _further([t for _, made in again for t in made.wanted], store, workers)
        ended |= {o.cell.id: o.failed(lost[o.cell.id]) for o, _ in again if o.cell.id in lost}
        orders = [
            dataclasses.replace(order, replications=made.replications)
            for order, made in again
            if order.cell.id not in lost
        ]
    progress(len(cells), len(cells))
    return [ended[p.cell.id] for p in cells]


def _filled(
    orders: Sequence[Order], workers: Workers, store: Store
) -> Iterator[tuple[Order, Made]]:
    """What became of each order."""
    for index, made in workers.each(filling.fill, orders):
        if isinstance(made, Failure):
            made = Made(orders[index].failed(made.why))
        for path, why in made.unreadable:
            store.unreadable(path, why)
        yield orders[index], made


def _further(wanted: Sequence[Task], store: Store, workers: Workers) -> dict[str, str]:
    """Run what only results ask for; returns why, for each cell whose units have failed."""
    lost: dict[str, str] = {}
    for t, failure in workers.run(wanted, store):
        if failure is not None:
            lost.setdefault(t.cell, failure.why)
        elif any(k not in store for k in t.keys):
            lost.setdefault(t.cell, "its units cannot be read back")
    return lost


def axes(cells: Iterable[Planned]) -> dict[str, tuple[Any, ...]]:
    """Settings of the cells with all of their values, in order."""
    found: dict[str, Values] = {}
    for planned in cells:
        for name, value in planned.cell.settings:
            found.setdefault(name, Values()).add(value)
    return {name: tuple(values) for name, values in found.items()}


def document(
    scenario: Scenario, rows: Sequence[CellResult], axes: Mapping[str, tuple[Any, ...]]
) -> SweepResult:
    """The sweep's result."""
    arms = [arm.name for arm in scenario.arms]
    samples, indices = _indices(scenario, rows, arms)
    return SweepResult(
        sweep_version=SWEEP_VERSION,
        kind="prediction",
        scenario=scenario.name,
        question=scenario.question,
        seed=scenario.seed,
        arm_order=tuple(arms),
        axes=axes,
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
