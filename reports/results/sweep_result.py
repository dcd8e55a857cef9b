"""A sweep's `result.json` as a class: its cells in the plan's order, and which setting matters.

What only some have is left out of the file where it is absent: a failed cell has no numbers, a
sweep without `samples:` no indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Annotated, Any, Literal

from reports.results import shapes
from reports.results.damage import DamagedError, Json
from reports.results.metric import Metric
from sim.machine.effective import Adjusted
from sim.units import UnitError, quantity

SWEEP_VERSION: Literal[1] = 1
NUMBERS = {
    "morris": ("mu_star", "mu_star_conf", "mu", "sigma"),
    "sobol": ("S1", "S1_conf", "ST", "ST_conf"),
}
"""What a method says of a setting, by SALib's names."""
Settings = Mapping[str, Json]
"""Dotted settings with their values, as a scenario has them."""
Numbers = Mapping[str, Metric | float]
"""Metrics and plain numbers of an arm by dotted name."""


def _quantity(value: Json) -> object:
    """As equal texts of a quantity are equal; other values as they are."""
    try:
        return quantity(value) if isinstance(value, str) else value
    except UnitError:
        return value


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell: its settings, and its numbers by arm, or why it has none."""

    id: str
    settings: Settings
    reproduce: str
    status: Literal["finished", "failed"]
    why: str = ""
    replications: int = 0
    arms: Mapping[str, Numbers] = field(default_factory=dict)
    each: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    """Arm → metric → its value in each replication; only what indices are made of."""
    adjusted: Mapping[str, tuple[Adjusted, ...]] = field(default_factory=dict)
    """Arm → settings that are not run as asked for; arms that have none are left out."""
    verdicts: Annotated[Mapping[str, str], "arm → its verdict, as the table has it"] = field(
        default_factory=dict
    )
    doubts: Annotated[tuple[str, ...], "what the import of its workloads found in doubt"] = ()

    def __post_init__(self) -> None:
        if "/" in self.id or self.id in ("", ".", ".."):
            raise DamagedError("must be the name of a folder", "id")
        if self.failed and self.arms:
            raise DamagedError("must not be there: the cell failed", "arms")

    @property
    def failed(self) -> bool:
        """It has no result, and `why` says the reason."""
        return self.status == "failed"

    def as_run(self, setting: str) -> str:
        """What a setting of the cell becomes in its arms; empty if what was asked for."""
        asked = _quantity(self.settings.get(setting))
        found = {
            one.effective
            for arm, adjusted in self.adjusted.items()
            for one in adjusted
            if setting in (one.setting, f"arms.{arm}.{one.setting}")
            and _quantity(one.requested) == asked
        }
        return " or ".join(sorted(found))

    def number(self, arm: str, name: str) -> Metric | float | None:
        """A number of an arm; None if the cell has none of that name."""
        return self.arms.get(arm, {}).get(name)


@dataclass(frozen=True, slots=True)
class Range:
    """The range that a setting is drawn from, its ends as a person would write them."""

    setting: str
    low: str
    high: str
    scale: Literal["linear", "log"]


@dataclass(frozen=True, slots=True)
class Point:
    """A drawn point of the unit cube, and the cell that it became."""

    cell: str
    unit: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """What was drawn, points in SALib's order."""

    method: Literal["morris", "sobol"]
    ranges: Annotated[tuple[Range, ...], 1]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Influence:
    """What one setting does to a metric: the numbers of one method, and their noise."""

    noise: float | None
    clear: bool
    mu_star: float | None = None
    mu_star_conf: float | None = None
    mu: float | None = None
    sigma: float | None = None
    S1: float | None = None
    S1_conf: float | None = None
    ST: float | None = None
    ST_conf: float | None = None

    def number(self, name: str) -> float:
        """One of NUMBERS of the method that was used; raises ValueError if there is none."""
        value: float | None = getattr(self, name)
        if value is None:
            raise ValueError(f"no {name}")
        return value


@dataclass(frozen=True, slots=True)
class Indices:
    """Which setting matters for a metric of an arm, or why that cannot be said."""

    why: str = ""
    unit: str = ""
    replications: int = 0
    effects: Mapping[str, Influence] = field(default_factory=dict)


class Values:
    """Values of an axis, each once, in order; ten thousand are not searched for each cell."""

    def __init__(self, values: Iterable[Json] = ()) -> None:
        self._hashed: dict[Json, None] = {}
        self._others: list[Json] = []
        self._all: list[Json] = []
        for value in values:
            self.add(value)

    def __contains__(self, value: Json) -> bool:
        try:
            return value in self._hashed
        except TypeError:  # a list, or an object
            return value in self._others

    def __iter__(self) -> Iterator[Json]:
        return iter(self._all)

    def add(self, value: Json) -> None:
        """One value more, if it is not there."""
        if value in self:
            return
        self._all.append(value)
        try:
            self._hashed[value] = None
        except TypeError:
            self._others.append(value)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A sweep that has ended."""

    sweep_version: Literal[1]
    kind: Literal["prediction"]
    scenario: str
    question: str
    seed: int
    arm_order: Annotated[tuple[str, ...], 1]
    axes: Mapping[str, tuple[Json, ...]]
    cells: Annotated[tuple[CellResult, ...], 1]
    samples: Samples | None = None
    sensitivity: Mapping[str, Mapping[str, Indices]] | None = None
    """Arm → metric → indices."""

    @property
    def doubts(self) -> tuple[str, ...]:
        """What the imports of the cells' workloads found in doubt, each once."""
        return tuple(dict.fromkeys(one for cell in self.cells for one in cell.doubts))

    def __post_init__(self) -> None:
        axes = {name: Values(values) for name, values in self.axes.items()}
        for k, cell in enumerate(self.cells):
            for name, value in cell.settings.items():
                if value not in axes.get(name, ()):
                    raise DamagedError("is no value of its axis", f"cells[{k}].settings.{name}")
        if (self.samples is None) != (self.sensitivity is None):
            raise DamagedError("goes with sensitivity: both or neither", "samples")
        for arm, found in (self.sensitivity or {}).items():
            for metric, entry in found.items():
                self._check(entry, f"sensitivity.{arm}.{metric}")

    def _check(self, entry: Indices, at: str) -> None:
        assert self.samples is not None
        if entry.why:
            return
        names = {r.setting for r in self.samples.ranges}
        if entry.effects.keys() != names:
            raise DamagedError("must have every setting that is drawn", f"{at}.effects")
        for setting, effect in entry.effects.items():
            for name in NUMBERS[self.samples.method]:
                if getattr(effect, name) is None:
                    raise DamagedError("is missing", f"{at}.effects.{setting}.{name}")


_HOLD_NONE = frozenset({Metric, int, float, str, type(None)})
"""What holds no mapping: nearly all of a result."""


def by_key(node: Any) -> Any:
    """A result with its mappings by key, as it is when it has been read from its file."""
    if type(node) in _HOLD_NONE:
        return node
    if isinstance(node, Mapping):
        return {key: by_key(inner) for key, inner in sorted(node.items())}
    if isinstance(node, (tuple, list)):
        return type(node)(map(by_key, node))
    if is_dataclass(node) and not isinstance(node, type):
        return replace(node, **{name: by_key(inner) for name, inner in shapes.items(node)})
    return node


def of_json(document: Json) -> SweepResult:
    """The result that a JSON object is; raises DamagedError."""
    return shapes.read(SweepResult, document)
