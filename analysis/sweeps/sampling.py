"""The cells of a sampled sweep: points drawn by SALib in the unit cube, made into settings.

A point's coordinate is a place in a setting's range, on its scale. Values are rounded to what the
setting holds (picoseconds, bytes, whole numbers), which is part of the model that is sampled; equal
points are one cell. Points depend on the scenario's seed and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim import draws, units
from sim.errors import SpeskewError
from sim.runs import counterparts
from sim.scenario.models.matrix import MAX_CELLS, Cell
from sim.scenario.models.quantities import ConstantTime, TimeDistribution
from sim.scenario.models.samples import Samples, rows
from sim.scenario.models.scenario import Scenario
from sim.scenario.parameters import span
from sim.units import COUNT, Kind

F64 = NDArray[np.float64]
LEVELS = 4
"""Of Morris's grid, as SALib takes it: steps are two thirds of a range."""


class SamplingError(SpeskewError, ValueError):
    """Nothing can be drawn."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting and its range, in the smallest steps of its kind."""

    setting: str
    kind: Kind
    low: int
    high: int
    log: bool

    def value(self, place: float) -> str | int:
        """The setting's value at a place in [0, 1]."""
        ratio = self.high / self.low if self.log else 0.0
        exact = self.low * ratio**place if self.log else self.low + (self.high - self.low) * place
        step = min(max(round(exact), self.low), self.high)
        return step if self.kind is COUNT else self.kind.text(step)

    def as_dict(self) -> dict[str, str]:
        """As a person would write it."""
        low, high = (self.kind.text(end) for end in (self.low, self.high))
        scale = "log" if self.log else "linear"
        return {"setting": self.setting, "low": low, "high": high, "scale": scale}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sample, in SALib's order: points of the unit cube [rows, settings], and each one's cell."""

    method: str
    axes: tuple[Axis, ...]
    unit: F64
    cells: tuple[Cell, ...]


def axes(samples: Samples, scenario: Scenario) -> tuple[Axis, ...]:
    """The settings that are sampled; raises SamplingError if there is none."""
    if not isinstance(samples.over, str):
        return tuple(
            Axis(key, *units.quantity(r.low), units.quantity(r.high)[1], r.scale == "log")
            for key, r in samples.over.items()
        )
    found = tuple(_unverified(counterparts.open_times(scenario.arms)))
    if not found:
        raise SamplingError("no arm spends an UNVERIFIED time that the scenario leaves open")
    return found


def _unverified(names: tuple[str, ...]) -> Iterator[Axis]:
    """Plausible ranges, those of the time band; equal ratios unless a range begins at 0."""
    time = units.quantity("1ps")[0]
    for name in names:
        low, high = map(_constant, span(name))
        yield Axis(f"parameters.{name}", time, low, high, low > 0)


def _constant(time: TimeDistribution) -> int:
    assert isinstance(time, ConstantTime)
    return time.value


def draw(scenario: Scenario) -> Drawn:
    """The sample of a scenario with `samples`; raises SamplingError."""
    samples = scenario.samples
    assert samples is not None
    found = axes(samples, scenario)
    size = rows(samples.method, samples.points, len(found))
    if size > MAX_CELLS:
        raise SamplingError(f"makes {size:,} cells; at most {MAX_CELLS:,}")
    unit = points(samples.method, samples.points, len(found), draw_key(scenario.seed))
    return Drawn(samples.method, found, unit, tuple(_cell(found, row) for row in unit))


def draw_key(seed: int) -> int:
    """Seed of the sample and of its analysis; never 0, which SALib takes for none."""
    return draws.key(seed, 0, 0, "samples") | 1


def _cell(found: tuple[Axis, ...], row: F64) -> Cell:
    pairs = ((axis.setting, axis.value(float(at))) for axis, at in zip(found, row, strict=True))
    return Cell(tuple(sorted(pairs)))


def points(method: str, count: int, settings: int, seed: int) -> F64:
    """SALib's points in the unit cube [rows, settings].

    `morris`: `count` trajectories (Campolongo's, without optimisation); `sobol`: Saltelli's design
    for first and total indices over `count` scrambled Sobol' points.
    """
    problem = unit_cube(settings)
    rng = np.random.default_rng(seed)
    if method == "morris":
        from SALib.sample import morris

        return np.asarray(morris.sample(problem, count, num_levels=LEVELS, seed=rng), np.float64)
    from SALib.sample import sobol

    found = sobol.sample(problem, count, calc_second_order=False, seed=rng)
    return np.asarray(found, np.float64)


def unit_cube(settings: int) -> dict[str, object]:
    """SALib's description of the problem."""
    names = [f"x{k}" for k in range(settings)]
    return {"num_vars": settings, "names": names, "bounds": [[0.0, 1.0]] * settings}
