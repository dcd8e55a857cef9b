"""What a sweep runs: tasks of hermetic units, a pure function of its cells.

A unit is one replication of one arm of one cell; its result depends on nothing else. Units are
grouped into tasks that cost at least `LEAST_NANOSECONDS`, so that sending them to another process
is cheap against running them: first the arms of one replication, then further replications. Cells
do not share tasks, so a failing task fails one cell; a cell that costs less is one task.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from itertools import compress
from pathlib import Path

import sim
from sim.machine.resolve import pass_ops, passes
from sim.runs import contents, counterparts
from sim.runs.batch import Unit, aside
from sim.scenario.models.scenario import Arm, Scenario, Settings
from sim.scenario.models.workloads import Synthetic

LEAST_NANOSECONDS = 50_000_000
UNIT_NANOSECONDS = 3_000_000
"""Set-up of one unit, as measured on one core of a small server; an estimate for planning only."""
SELECTION_NANOSECONDS = 400
"""One selection in the fast engine, as above, in a recorded stream or a profile."""
SYNTHETIC_NANOSECONDS = 60
"""Likewise in a synthetic stream, whose blocks need no search."""


@dataclass(frozen=True, slots=True)
class Task:
    """Units of one cell that are run together, and the keys that whoever runs them must find."""

    cell: str
    units: tuple[Unit, ...]
    keys: tuple[str, ...]

    @property
    def id(self) -> str:
        """Name of the task: equal tasks, equal names."""
        return hashlib.sha256("".join(self.keys).encode()).hexdigest()[:24]

    def __str__(self) -> str:
        """What a person calls it."""
        arms = ", ".join(dict.fromkeys(unit.arm.name for unit in self.units))
        replications = sorted({unit.replication for unit in self.units})
        return f"cell {self.cell}, arms {arms}, replications {replications[0]}-{replications[-1]}"

    def without(self, finished: Container[str]) -> Task:
        """The task without the units whose keys are there."""
        left = [k not in finished for k in self.keys]
        return replace(
            self, units=tuple(compress(self.units, left)), keys=tuple(compress(self.keys, left))
        )

    @property
    def nanoseconds(self) -> int:
        """Estimated cost."""
        return sum(unit_nanoseconds(unit) for unit in self.units)


@cache
def code_digest() -> str:
    """Hash of the simulator's sources and of what it computes with: equal code, equal results."""
    root = Path(next(iter(sim.__path__)))
    digest = hashlib.sha256(f"numpy {version('numpy')} numba {version('numba')}".encode())
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".toml"):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def key(unit: Unit) -> str:
    """Address of a unit's result: its settings, its stream's content, the simulator's code."""
    stream = contents.stream_digest(unit.arm.settings)
    return hashlib.sha256(f"{code_digest()} {stream} {unit.key}".encode()).hexdigest()[:32]


def task(cell: str, units: tuple[Unit, ...]) -> Task:
    """A task of these units."""
    return Task(cell, units, tuple(key(unit) for unit in units))


def tasks(cell: str, scenario: Scenario, engine: str, *, band: bool = False) -> list[Task]:
    """Every unit of a cell that is known beforehand, grouped; with `band`, its ends too."""
    group: list[Unit] = []
    made: list[Task] = []
    cost = 0
    for unit in _units(scenario, engine, band=band):
        group.append(unit)
        cost += unit_nanoseconds(unit)
        if cost >= LEAST_NANOSECONDS:
            made.append(task(cell, tuple(group)))
            group, cost = [], 0
    if group and made:  # too short to be sent alone
        group = [*made.pop().units, *group]
    return [*made, task(cell, tuple(group))] if group else made


def _units(scenario: Scenario, engine: str, *, band: bool) -> Iterator[Unit]:
    arms = [arm for named in scenario.arms for arm in _with_twin(named)]
    sees = () if scenario.decisions is None else scenario.decisions.needs
    for replication in range(scenario.replications):
        for arm in arms:
            yield Unit(arm, scenario.seed, replication, engine, keep_records=False, sightings=sees)
    if band:
        for arm in scenario.arms:
            for end in counterparts.band_ends(arm).values():
                yield aside(Unit(end, scenario.seed, 0, engine, keep_records=False))


def _with_twin(arm: Arm) -> Iterator[Arm]:
    twin = counterparts.hold_twin(arm)
    yield arm
    if twin is not None:
        yield twin


def unit_nanoseconds(unit: Unit) -> int:
    """Estimated cost of a unit, from its selections."""
    settings = unit.arm.settings
    selections = _ops(settings) * settings.vm.vcpus // max(256, settings.spe.interval)
    synthetic = isinstance(settings.workload, Synthetic)
    each = SYNTHETIC_NANOSECONDS if synthetic else SELECTION_NANOSECONDS
    return UNIT_NANOSECONDS + each * selections


def _ops(settings: Settings) -> int:
    return passes(settings.workload) * pass_ops(settings.workload)
