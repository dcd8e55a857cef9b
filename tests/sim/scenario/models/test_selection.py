"""A table of weights: its columns, and what is wrong with one."""

from __future__ import annotations

from typing import Any

import pytest

from sim.scenario.models.selection import SelectionTable, problems

EVEN = [1.0, 1.0, 1.0]
PLAIN: dict[str, Any] = {
    "selection_table": 1,
    "source": "a test",
    "window": 8,
    "distances": [0, 1, 4],
    "weights": {name: EVEN for name in ("other", "load", "store", "atomic", "branch")},
}


def _table(**changes: Any) -> SelectionTable:
    return SelectionTable.model_validate(PLAIN | changes)


def test_columns_by_distance() -> None:
    """A weight holds from its distance to the next; the last one for all beyond."""
    weights = PLAIN["weights"] | {"store": [0.5, 1.0, 2.0]}
    columns = _table(weights=weights).columns()
    assert columns[2] == [0.5, 1.0, 1.0, 1.0, 2.0]
    assert columns[0] == [1.0] * 5
    assert len(columns) == 5


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"distances": [1, 2, 4]}, "spe.selection.distances"),
        ({"distances": [0, 4, 4]}, "spe.selection.distances"),
        ({"distances": [0, 4, 8]}, "spe.selection.distances"),
        ({"weights": PLAIN["weights"] | {"load": [1.0]}}, "spe.selection.weights.load"),
        ({"weights": PLAIN["weights"] | {"load": [1.0, -1.0, 1.0]}}, "spe.selection.weights.load"),
        ({"errors": PLAIN["weights"] | {"other": [1.0]}}, "spe.selection.errors.other"),
        ({"weights": {key: [0.0] * 3 for key in PLAIN["weights"]}}, "spe.selection.weights"),
    ],
)
def test_each_problem_names_its_key(changes: dict[str, Any], key: str) -> None:
    """One of each."""
    assert [keys[0] for keys, _ in problems(_table(**changes), False, True)] == [key]


def test_what_goes_with_a_table() -> None:
    """Not the erratum, not a workload without an order of ops; nothing is wrong without one."""
    assert list(problems(_table(), False, True)) == []
    assert list(problems(None, True, False)) == []
    ((_, biased),) = problems(_table(), True, True)
    assert "two models of one thing" in biased
    ((_, unordered),) = problems(_table(), False, False)
    assert "order in which they execute" in unordered
