"""Rows of the tables of data/ as classes, one a table: what figures, sentences and pages read.

A field is a column of `analysis.columns.DATA_TABLES`, in its order; `None` is an empty cell, where
the table's note says what that means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, TypeVar, cast

from reports.store.csvdata import Table, TableError

Tables = Mapping[str, Table]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of some table."""

    TABLE: ClassVar[str]


@dataclass(frozen=True, slots=True)
class ArmRow(Row):
    """A row of an arm's."""

    arm: str


R = TypeVar("R", bound=Row)
A = TypeVar("A", bound=ArmRow)


@dataclass(frozen=True, slots=True)
class LedgerRow(ArmRow):
    """What became of an arm's ops, selections, records or ticks; no share of a whole of 0."""

    TABLE = "ledgers"
    ledger: str
    entry: str
    unit: str
    amount: int
    share_percent: float | None


@dataclass(frozen=True, slots=True)
class SymbolRow(ArmRow):
    """A symbol of an arm: its share of the truth, the loss in it, and the profile's error there."""

    TABLE = "symbols"
    symbol: str
    truth_percent: float
    lost_percent: float | None
    moved_by_loss_pp: float | None
    error_pp: float | None
    error_low_pp: float | None
    error_high_pp: float | None
    replications: int

    @property
    def half_width(self) -> float:
        """Half of the error's interval, percentage points; 0 where there is none."""
        if self.error_low_pp is None or self.error_high_pp is None:
            return 0.0
        return (self.error_high_pp - self.error_low_pp) / 2


@dataclass(frozen=True, slots=True)
class DistanceRow(ArmRow):
    """A distance of an arm's profile in one view."""

    TABLE = "distances"
    view: str
    metric: str
    mean: float | None
    low: float | None
    high: float | None
    exact: bool


@dataclass(frozen=True, slots=True)
class BlackoutRow(ArmRow):
    """A bin of the histogram of blackouts of one cause."""

    TABLE = "blackouts"
    cause: str
    at_least_ops: int
    count: int
    cumulative_fraction: float


@dataclass(frozen=True, slots=True)
class TimelineRow(ArmRow):
    """A span of a lane, or the window, or a close-up; bytes are of the memory's lane."""

    TABLE = "timeline"
    replication: int
    vcpu: int
    lane: str
    state: str
    begin_us: float
    end_us: float
    bytes: int | None

    @property
    def length_us(self) -> float:
        """From begin to end, microseconds."""
        return self.end_us - self.begin_us


@dataclass(frozen=True, slots=True)
class PerturbationRow(ArmRow):
    """Time that a cause adds per vCPU, with its band over UNVERIFIED times; `all` is the total."""

    TABLE = "perturbation"
    cause: str
    added_ms: float
    lowest_ms: float | None
    highest_ms: float | None
    wall_ms: float

    @property
    def compared_ms(self) -> float:
        """Wall time of the arm that this one is compared with."""
        return self.wall_ms - self.added_ms

    @property
    def banded(self) -> bool:
        """True if what nobody has measured makes a difference."""
        if self.lowest_ms is None or self.highest_ms is None:
            return False
        return self.highest_ms > self.lowest_ms

    def shares(self) -> tuple[float, float, float]:
        """Added time at the least, here and at the most, as parts of what it is added to."""
        ends = (self.lowest_ms, self.added_ms, self.highest_ms)
        low, here, high = (self.added_ms if ms is None else ms for ms in ends)
        return low / self.compared_ms, here / self.compared_ms, high / self.compared_ms


@dataclass(frozen=True, slots=True)
class LockedRow(ArmRow):
    """Locked memory from a time on; without a limit the cell of the limit is empty."""

    TABLE = "locked"
    t_us: float
    locked_bytes: int
    limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class TheoryRow(ArmRow):
    """A point (an arm, no condition), a place on a curve (no arm), or a condition that fails."""

    TABLE = "theory"
    row: str
    abscissa: str
    quantity: str
    x: float | None
    theory: float | None
    simulated: float | None
    low: float | None
    high: float | None
    z: float | None
    n: int
    condition: str


@dataclass(frozen=True, slots=True)
class Place:
    """A place on a curve."""

    row: str
    abscissa: str
    quantity: str
    x: float
    theory: float


@dataclass(frozen=True, slots=True)
class Point(Place):
    """What an arm of `n` replications found there; with one there is neither interval nor `z`."""

    arm: str
    simulated: float
    low: float | None
    high: float | None
    z: float | None
    n: int


@dataclass(frozen=True, slots=True)
class DesignRow(ArmRow):
    """A virtual arm that ran through: loss, memory, time, and where KVM_EXIT_RLIMIT fires."""

    TABLE = "designs"
    design: str
    loss_percent: float
    loss_low_percent: float
    loss_high_percent: float
    locked_bytes: int
    added_percent: float | None
    added_low_percent: float | None
    added_high_percent: float | None
    on_front_memory: bool
    on_front_time: bool
    first_exit_bytes: float | None
    last_exit_bytes: float | None


@dataclass(frozen=True, slots=True)
class LimitRow(ArmRow):
    """Exits at a limit."""

    TABLE = "limits"
    limit_bytes: int
    exits: int


@dataclass(frozen=True, slots=True)
class DecisionRow(ArmRow):
    """Regret of an arm's choice, or, without an arm, of so many random samples."""

    TABLE = "decisions"
    kind: str
    samples_per_replication: float
    regret_percent: float
    regret_low_percent: float | None
    regret_high_percent: float | None
    answer: str


@dataclass(frozen=True, slots=True)
class ParameterRow(Row):
    """A number that the run rests on, and where it comes from."""

    TABLE = "parameters"
    group: str
    name: str
    value: str
    overrides: str
    range: str
    unverified: bool
    confidence: str
    meaning: str
    origin: str


@dataclass(frozen=True, slots=True)
class CommandRow(ArmRow):
    """The `perf record` that an arm stands for."""

    TABLE = "commands"
    design: str
    command: str


ROWS: tuple[type[Row], ...] = (
    LedgerRow,
    SymbolRow,
    DistanceRow,
    BlackoutRow,
    TimelineRow,
    PerturbationRow,
    LockedRow,
    TheoryRow,
    DesignRow,
    LimitRow,
    DecisionRow,
    ParameterRow,
    CommandRow,
)


def read(kind: type[R], tables: Tables) -> list[R]:
    """The rows of a table; raises TableError for a cell that is empty and must not be."""
    table = tables[kind.TABLE]
    needed = [(k, f.name) for k, f in enumerate(fields(kind)) if "None" not in str(f.type)]
    for number, cells in enumerate(table.rows, 1):
        missing = next((name for k, name in needed if cells[k] is None), None)
        if missing is not None:
            raise TableError(
                f"{table.name}.csv: row {number}: no {missing}; run the scenario again"
            )
    make = cast("Callable[..., R]", kind)
    return [make(*cells) for cells in table.rows]


def by_arm(kind: type[A], tables: Tables) -> dict[str, list[A]]:
    """The rows of a table by their arm."""
    found: dict[str, list[A]] = {}
    for row in read(kind, tables):
        found.setdefault(row.arm, []).append(row)
    return found


def points(tables: Tables) -> list[Point]:
    """What arms found where a closed form holds."""
    return [
        Point(
            r.row,
            r.abscissa,
            r.quantity,
            r.x,
            r.theory,
            r.arm,
            r.simulated,
            r.low,
            r.high,
            r.z,
            r.n,
        )
        for r in read(TheoryRow, tables)
        if r.arm and not r.condition
        if r.x is not None and r.theory is not None and r.simulated is not None
    ]


def curves(tables: Tables) -> list[Place]:
    """The closed forms under the points."""
    return [
        Place(r.row, r.abscissa, r.quantity, r.x, r.theory)
        for r in read(TheoryRow, tables)
        if not r.arm and r.x is not None and r.theory is not None
    ]
