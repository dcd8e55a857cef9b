"""A sweep's result: damage is refused where it is."""

from __future__ import annotations

from typing import Any

import pytest

from reports.results import sweep_result
from reports.results.damage import DamagedError
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
