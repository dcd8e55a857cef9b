"""`speskew.compare`: what one run or arm has more of than another."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from reports.runs import comparing
from reports.runs.comparing import Sides
from speskew import _html
from speskew._arm import Arm
from speskew._run import Run

Comparable = Run | Arm | str | os.PathLike[str]
COLUMNS = (
    "arm_a",
    "arm_b",
    "quantity",
    "unit",
    "a",
    "b",
    "difference",
    "low",
    "high",
    "exact",
    "n",
    "paired",
    "margin",
    "answer",
)


def compare(
    a: Comparable, b: Comparable, *, everything: bool = False, margin: float = comparing.MARGIN
) -> Comparison:
    """What `b` has more of than `a`: loss, skew, time, memory, exits, records.

    Each is a run, an arm of one, a run directory, or ``RUN_DIR:arm``. Of two runs every arm that
    both have is compared. `everything`: every entry of the ledgers too. `margin` is the part of A
    (points, of fractions) that does not matter: each difference has one of three answers by it.
    Raises RunDirError.
    """
    called = (_called(a), _called(b))
    found = comparing.between(_sides(a), _sides(b), called, everything=everything, margin=margin)
    return Comparison(tuple(found))


def _called(side: Comparable) -> str:
    if isinstance(side, Run):
        return side.called
    return side.called if isinstance(side, Arm) else os.fspath(side)


def _sides(side: Comparable) -> Sides:
    if isinstance(side, Run):
        return comparing.sides(side.called, side.result)
    if isinstance(side, Arm):
        return comparing.sides(side.called, side.result, side.name)
    return comparing.sides_named(os.fspath(side))


class Comparison:
    """Arms, pair by pair; differences are B - A. `print` shows what `speskew compare` prints."""

    def __init__(self, found: tuple[comparing.Comparison, ...]) -> None:
        self._found = found

    @property
    def frame(self) -> pd.DataFrame:
        """A row per pair of arms and quantity; `low` and `high` are the 95 % interval."""
        rows = [
            (
                c.a.label,
                c.b.label,
                row.what,
                row.unit,
                row.a,
                row.b,
                row.difference.mean,
                *row.difference.ends(),
                row.difference.exact,
                row.difference.n,
                row.paired,
                row.margin,
                comparing.KINDS[row.answer.kind],
            )
            for c in self._found
            for row in c.rows
        ]
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        return frame.astype(dict.fromkeys(COLUMNS[4:9], np.float64))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know besides, such as that replications are not paired."""
        return tuple(dict.fromkeys(note for c in self._found for note in c.notes))

    def __str__(self) -> str:
        return comparing.as_table(self._found)

    def __repr__(self) -> str:
        pairs = ", ".join(f"{c.a.label} → {c.b.label}" for c in self._found)
        return f"<Comparison {pairs}>"

    def _repr_html_(self) -> str:
        return "".join(
            _html.table(
                comparing.HEAD,
                [comparing.cells(row) for row in c.rows],
                f"A = {c.a.label}, B = {c.b.label}",
                [f"note: {note}" for note in c.notes],
            )
            for c in self._found
        )
