"""A cell of a sweep: from its finished units to its folder and its row, in any process.

An order has all that it takes, so that cells are put together wherever units are run; what comes
back is the cell's row, with the numbers that are shown, and its texts in the sweep's files. Units
that only the result asks for (a prefix, a further batch of `until`) are not run in here but told,
so that all processes can share them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.sweeps import responses
from reports.pages import glance, summary
from reports.results import lookup, result, shapes
from reports.results.build import build
from reports.results.sweep_result import CellResult
from reports.runs import replicating
from reports.store import sweep_texts
from reports.store.files import put
from reports.store.sweep_texts import Texts
from sim.collecting import seldom
from sim.runs import batch
from sim.runs.store import Store
from sim.runs.tasks import Task, key, task
from sim.scenario.files import loader
from sim.scenario.files.loader import ScenarioError

if TYPE_CHECKING:
    from reports.results.result import Arm, Result
    from sim.results import RunResult
    from sim.runs.batch import ArmResult, Unit
    from sim.scenario.models.matrix import Cell
    from sim.scenario.models.scenario import Scenario

UNITS, CELLS = "units", "cells"
"""Folders of a sweep: finished units, and the cells that are put together."""
_LEFT_OUT = ("replications", "loss_by_symbol", "share_errors", "hold")
"""Branches of an arm that stay in the cell's own result."""


@dataclass(frozen=True, slots=True)
class Common:
    """What is asked of every cell alike."""

    folder: Path
    """Of the sweep."""
    axes: tuple[str, ...]
    """Settings that cells differ in."""
    engine: str
    band: bool
    each: bool
    """Whether a row has the values of each replication, which indices are made of."""
    shown: frozenset[str] | None
    """Names of the numbers that rows keep; None: all. Texts have all of them."""


@dataclass(frozen=True, slots=True)
class Order:
    """A cell to put together."""

    common: Common
    cell: Cell
    reproduce: str
    scenario: Scenario
    replications: int
    """That are known to be asked for."""

    def __str__(self) -> str:
        """What a person calls it."""
        return f"cell {self.cell.id}"

    def failed(self, why: str) -> Filled:
        """The cell if it has no result."""
        return failed(self.common, self.cell, self.reproduce, why)


@dataclass(frozen=True, slots=True)
class Filled:
    """A cell that has ended: its row with the numbers that are shown, and its texts."""

    row: CellResult
    texts: Texts


@dataclass(frozen=True, slots=True)
class Made:
    """What became of an order: the cell, or units that are to be run before."""

    filled: Filled | None
    wanted: tuple[Task, ...] = ()
    replications: int = 0
    """That the units are for."""
    unreadable: tuple[tuple[Path, str], ...] = ()
    """Stored units that cannot be used, and why."""


def failed(common: Common, cell: Cell, reproduce: str, why: str) -> Filled:
    """A cell without a result."""
    row = CellResult(cell.id, dict(cell.settings), reproduce, "failed", why)
    return Filled(row, sweep_texts.of(row, common.axes))


class _WantedError(Exception):
    """Units without which there is no result."""

    def __init__(self, units: Sequence[Task], replications: int) -> None:
        super().__init__()
        self.units, self.replications = tuple(units), replications


def fill(order: Order) -> Made:
    """Put a cell together, and write its folder."""
    unreadable: list[tuple[Path, str]] = []
    common = order.common
    store = Store(common.folder / UNITS, lambda path, why: unreadable.append((path, why)))
    try:
        with seldom():
            arms, found = _described(order, store)
            _write(common.folder / CELLS / order.cell.id, order.scenario, found)
            row = _row(order, found, responses.each(arms) if common.each else {})
            filled = Filled(_shown(row, common.shown), sweep_texts.of(row, common.axes))
    except _WantedError as error:
        return Made(None, error.units, error.replications, tuple(unreadable))
    except (ScenarioError, ArithmeticError, ValueError) as error:
        filled = order.failed(" ".join(str(error).split()) or type(error).__name__)
    return Made(filled, unreadable=tuple(unreadable))


def _shown(row: CellResult, names: frozenset[str] | None) -> CellResult:
    """The row with these numbers."""
    if names is None:
        return row
    arms = {arm: {k: v for k, v in of.items() if k in names} for arm, of in row.arms.items()}
    return replace(row, arms=arms)


def _described(order: Order, store: Store) -> tuple[tuple[ArmResult, ...], Result]:
    """A cell's arms, and its result as `speskew run` would write it."""
    scenario = order.scenario.model_copy(update={"replications": order.replications})

    def kept(units: Sequence[Unit]) -> Iterator[tuple[int, RunResult]]:
        keys = [key(unit) for unit in units]
        found = {k: store.get(k) for k in dict.fromkeys(keys)}
        wanted = {k: unit for k, unit in zip(keys, units, strict=True) if found[k] is None}
        if wanted:
            tasks = [task(order.cell.id, (unit,)) for unit in wanted.values()]
            raise _WantedError(tasks, scenario.replications)
        return ((i, one) for i, k in enumerate(keys) if (one := found[k]) is not None)

    while True:
        arms = batch.run(scenario, engine=order.common.engine, band=order.common.band, execute=kept)
        found = build(scenario, arms, interrupted=False)
        more = replicating.further(scenario, found)
        if more is None:
            return arms, found
        scenario = more


def _write(folder: Path, scenario: Scenario, found: Result) -> None:
    files = {
        "scenario.resolved.yaml": loader.dump(scenario),
        "summary.txt": summary.render(found),
        "result.json": result.dumps(found),
    }
    folder.mkdir(parents=True, exist_ok=True)
    put(folder, {name: text.encode() for name, text in files.items()})


def _row(order: Order, found: Result, each: Mapping[str, Mapping[str, list[float]]]) -> CellResult:
    return CellResult(
        order.cell.id,
        dict(order.cell.settings),
        order.reproduce,
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
