"""A sweep's result: damage is refused where it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from reports.results import sweep_result, written
from reports.results.damage import DamagedError
from reports.results.sweep_result import Values
from tests.rigs.swept_result import document, metric


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sweep_version": 2}, "sweep_version: must be 1"),
        ({"axes": {}}, "cells[0].settings.spe.interval: is no value of its axis"),
        ({"cells": []}, "cells: must have 1 or more"),
        ({"samples": {"method": "morris", "ranges": [], "points": []}}, "samples.ranges: must ha"),
        ({"sensitivity": {}}, "samples: goes with sensitivity"),
        ({"surprise": 1}, "surprise: is not a key"),
        ({"axes": {"vm.vcpus": [10**400]}}, "axes.vm.vcpus[0]: must be a number of a size"),
    ],
)
def test_damage_is_refused_where_it_is(change: dict[str, Any], said: str) -> None:
    """What is said begins with the path of the field."""
    with pytest.raises(DamagedError) as caught:
        sweep_result.of_json(document() | change)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("id", "../..", "cells[3].id: must be the name of a folder"),
        ("status", "idle", "cells[3].status: must be one of finished, failed"),
        ("arms", {"x": {"loss.total": metric(0.0)}}, "cells[3].arms: must not be there"),
        ("arms", {"x": {"loss.total": "0"}}, "cells[3].arms.x.loss.total: must be an object or"),
    ],
)
def test_damaged_cells_are_refused(key: str, value: object, said: str) -> None:
    """A failed cell with numbers, one that leads elsewhere."""
    damaged = document()
    damaged["cells"][3][key] = value
    with pytest.raises(DamagedError) as caught:
        sweep_result.of_json(damaged)
    assert str(caught.value).startswith(said)


def test_by_key_is_as_read() -> None:
    """What was made says what its file says, in the file's order, so that pages are the same."""
    read = sweep_result.of_json(document())
    cells = tuple(replace(cell, arms=_turned(cell.arms)) for cell in read.cells)
    made = replace(read, axes=_turned(read.axes), cells=cells)
    file = written.text(made)
    assert repr(sweep_result.by_key(made)) == repr(sweep_result.of_json(json.loads(file)))


def _turned(found: Mapping[str, Any]) -> dict[str, Any]:
    return dict(reversed(list(found.items())))


def test_values_of_an_axis_stand_once() -> None:
    """Equal values are one, lists too; the first is kept, in order."""
    values = Values([1, "a", [1], 1.0, [1], {"k": 2}, "a", {"k": 2}])
    assert list(values) == [1, "a", [1], {"k": 2}]
    assert all(value in values for value in (1.0, "a", [1], {"k": 2}))
    assert not any(value in values for value in (2, "b", [2], {"k": 3}))
