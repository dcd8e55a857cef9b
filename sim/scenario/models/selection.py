"""Weights of hardware-like selection: a table by op class and distance from the last taken branch.

`spe.selection` names a file with such a table (`sim.scenario.files.selections` reads it), or is the
table itself, as a resolved scenario has it. What the weights do: `sim.spe.selection`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pydantic import Field

from sim.scenario.models.strict import Strict
from sim.scenario.words import Incoherence

MAX_WINDOW = 255
Row = tuple[float, ...]


def _row(what: str) -> Row:
    """A field of one number for each of `distances`."""
    row: Row = Field(
        min_length=1, max_length=MAX_WINDOW, strict=False, description=f"{what}, by `distances`"
    )
    return row


class ClassRows(Strict):
    """One number for each op class and each of `distances`."""

    other: Row = _row("ops that are none of the others")
    load: Row = _row("loads")
    store: Row = _row("stores")
    atomic: Row = _row("atomics")
    branch: Row = _row("branches")

    def rows(self) -> tuple[Row, ...]:
        """By `sim.workload.a64.OpClass`."""
        return self.other, self.load, self.store, self.atomic, self.branch


class SelectionTable(Strict):
    """How much more often than another an op is tracked when the interval counter expires."""

    selection_table: int = Field(ge=1, le=1, description="version of this format")
    source: str = Field(
        min_length=1, max_length=500, description="where the weights come from; reports quote it"
    )
    window: int = Field(
        ge=2,
        le=MAX_WINDOW,
        description="ops between two taken branches among which a selection may move, at most",
    )
    distances: tuple[int, ...] = Field(
        min_length=1,
        max_length=MAX_WINDOW,
        strict=False,
        description="ops since the last taken branch from which each weight holds; the first is 0",
    )
    weights: ClassRows = Field(description="relative: only their ratios matter")
    errors: ClassRows | None = Field(
        default=None, description="standard errors of the weights; nothing depends on them"
    )

    def columns(self) -> list[list[float]]:
        """Weight [op class][distance], the last column for all beyond."""
        ends = [*self.distances[1:], self.distances[-1] + 1]
        lengths = [end - begin for begin, end in zip(self.distances, ends, strict=True)]
        return [
            [weight for weight, n in zip(row, lengths, strict=True) for _ in range(n)]
            for row in self.weights.rows()
        ]


def problems(table: SelectionTable | None, biased: bool, ordered: bool) -> Iterator[Incoherence]:
    """What is wrong with a table among the other settings.

    `biased`: is the erratum on too? `ordered`: has the workload ops in the program's order?
    """
    if table is None:
        return
    key = "spe.selection"
    steps = table.distances
    rising = all(a < b for a, b in pairwise(steps))
    if steps[0] != 0 or not rising or steps[-1] >= table.window:
        yield (
            (f"{key}.distances", key),
            "must begin with 0, rise, and stay below window, e.g. [0, 1, 2, 4, 8]",
        )
    for what, rows in (("weights", table.weights), ("errors", table.errors)):
        for name, row in zip(ClassRows.model_fields, rows.rows() if rows else (), strict=False):
            if len(row) != len(steps):
                yield (
                    (f"{key}.{what}.{name}", key),
                    f"has {len(row)} numbers; one for each of the {len(steps)} distances",
                )
            elif any(value < 0 for value in row):
                yield (f"{key}.{what}.{name}", key), "has a number below 0; 0 means: never tracked"
    if not any(value > 0 for row in table.weights.rows() for value in row):
        yield (f"{key}.weights", key), "are all 0; one at least must be more"
    if biased:
        yield (
            (key, "spe.target_bias_per_mille"),
            "and spe.target_bias_per_mille are two models of one thing: use one of them",
        )
    if not ordered:
        yield (
            (key, "workload.kind"),
            "needs ops in the order in which they execute, which a profile does not have: use a "
            "recorded or a synthetic workload",
        )
