"""The cells of a sweep's result as a grid: axes, levels, and a number per arm and cell."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.statistics import tails
from reports.results.metric import Metric
from reports.results.sweep_result import CellResult, SweepResult
from reports.text import printable
from sim import units

F64 = NDArray[np.float64]
DEFAULT = "as the scenario has it"
_READ: tuple[Callable[[str], int], ...] = (
    units.parse_time,
    units.parse_size,
    units.parse_ops,
    units.parse_frequency,
    units.parse_cycles,
)


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting that varies: its levels as text, in the order of the file.

    `at` are positions to scale, if all levels are quantities of one kind; else None.
    """

    name: str
    levels: tuple[str, ...]
    at: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class Response:
    """One metric of one arm over the grid: arrays with a dimension per axis, NaN where unknown."""

    mean: F64
    low: F64
    high: F64
    error: F64


@dataclass(frozen=True, slots=True)
class Grid:
    """Axes with two levels or more, and the row of `result.json` at each place that has one."""

    axes: tuple[Axis, ...]
    arms: tuple[str, ...]
    rows: Mapping[tuple[int, ...], CellResult]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of levels per axis."""
        return tuple(len(axis.levels) for axis in self.axes)

    def response(self, arm: str, metric: str) -> Response:
        """A metric of an arm by its dotted name."""
        out = np.full((4, *self.shape), np.nan)
        for place, row in self.rows.items():
            found = row.number(arm, metric)
            if found is not None:
                for column, value in enumerate(_columns(found)):
                    out[(column, *place)] = value
        return Response(*out)

    def unit(self, metric: str) -> str:
        """Unit of a metric; empty for a plain number or where no cell has it."""
        found = (
            value
            for row in self.rows.values()
            for numbers in row.arms.values()
            if (value := numbers.get(metric)) is not None
        )
        first = next(found, None)
        return first.unit if isinstance(first, Metric) else ""


def _columns(found: Metric | float) -> tuple[float, float, float, float]:
    """Mean, interval, standard error."""
    if not isinstance(found, Metric):
        return float(found), float(found), float(found), np.nan
    if found.mean is None:
        return np.nan, np.nan, np.nan, np.nan
    if found.low is None or found.high is None or found.half_width is None:
        return found.mean, np.nan, np.nan, np.nan
    error = 0.0 if found.exact else found.half_width / tails.t_quantile(0.975, found.n - 1)
    return found.mean, found.low, found.high, error


def grid(result: SweepResult) -> Grid:
    """The grid of a sweep; settings with one level only are no axes."""
    listed = result.axes
    rows = result.cells
    levels = {name: _levels(name, values, rows) for name, values in listed.items()}
    varied = [name for name, values in levels.items() if len(values) > 1]
    axes = tuple(Axis(name, tuple(map(_text, levels[name])), _at(levels[name])) for name in varied)
    places = {
        tuple(levels[name].index(row.settings.get(name, DEFAULT)) for name in varied): row
        for row in rows
    }
    return Grid(axes, result.arm_order, places)


def _levels(name: str, values: Sequence[Any], rows: Sequence[CellResult]) -> list[Any]:
    missing = any(name not in row.settings for row in rows)
    return [*values, DEFAULT] if missing else list(values)


def _text(value: Any) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value), 24)


def _at(values: Sequence[Any]) -> tuple[float, ...] | None:
    plain = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(plain) == len(values):
        return tuple(map(float, plain))
    for read in _READ:
        try:
            return tuple(float(Decimal(read(value))) for value in values)
        except (units.UnitError, TypeError, AttributeError):
            continue
    return None
