"""The picture of what matters."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.sweeps import sampling
from reports.results.metric import Metric
from reports.results.sweep_result import CellResult
from reports.sweeps import screening
from sim.scenario.files import loader
from tests.rigs.swept import SAMPLES, TIME
from tests.rigs.tiny import TINY


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with a scenario of a few cells."""
    Path("s.yaml").write_text(TINY + SAMPLES % "morris")


def test_a_response_that_moves_beside_the_base_points_only() -> None:
    """One point in between differs: there is no variance to share out, and no NaN in the result."""
    Path("s.yaml").write_text(TINY + SAMPLES % "sobol")
    drawn = sampling.draw(loader.load("s.yaml"))
    metric = Metric(0.0, "exact", 2, "fraction")
    rows = [
        CellResult(
            cell.id,
            dict(cell.settings),
            "",
            "finished",
            replications=2,
            arms={"v6": {TIME: metric}},
            each={"v6": {TIME: (float(cell == drawn.cells[1]),) * 2}},
        )
        for cell in drawn.cells
    ]
    found = screening.indices(drawn, rows, ["v6"], 1)["v6"][TIME]
    assert found.why == "it is the same at all base points, so that more of them are needed"
