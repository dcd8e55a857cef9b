"""The picture of what matters."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.sweeps import sampling
from reports.figures import alone
from reports.figures.style import styled
from reports.results.metric import Metric
from reports.results.sweep_result import CellResult
from reports.sweeps import effects, screening
from sim.scenario.files import loader
from sim.scenario.models.matrix import Cell
from tests.reports.figures.test_style import overlapping, texts
from tests.rigs.swept import SAMPLES, TIME
from tests.rigs.tiny import TINY


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with a scenario of a few cells."""
    Path("s.yaml").write_text(TINY + SAMPLES % "morris")


def row(cell: Cell, mean: float, each: tuple[float, float]) -> CellResult:
    """A cell that has finished, of two replications with these values."""
    return CellResult(
        cell.id,
        dict(cell.settings),
        "",
        "finished",
        replications=2,
        arms={"v6": {TIME: Metric(mean, "exact", 2, "fraction")}},
        each={"v6": {TIME: each}},
    )


def test_a_response_that_moves_beside_the_base_points_only() -> None:
    """One point in between differs: there is no variance to share out, and no NaN in the result."""
    Path("s.yaml").write_text(TINY + SAMPLES % "sobol")
    drawn = sampling.draw(loader.load("s.yaml"))
    rows = [row(cell, 0.0, (float(cell == drawn.cells[1]),) * 2) for cell in drawn.cells]
    found = screening.indices(drawn, rows, ["v6"], 1)["v6"][TIME]
    assert found.why == "it is the same at all base points, so that more of them are needed"


def test_a_frame_fits() -> None:
    """As a file it has a title and a source, which do not lie on the legend."""
    drawn = sampling.draw(loader.load("s.yaml"))
    rows = [row(cell, float(k), (float(k), k + 0.5)) for k, cell in enumerate(drawn.cells)]
    entries = {"v6": screening.indices(drawn, rows, ["v6"], 1)["v6"][TIME]}
    said = alone.Legend("a title above it", "where the numbers come from", "how to read it")
    settings = effects.order(entries, "morris")
    assert len(settings) == 2
    with styled("effects"):
        figure = effects.figure(entries, settings, "morris", "time added", 1.0)
        alone.framed(figure, said)
        found = texts(figure)
    assert {said.title, said.source} <= {text for text, _ in found}
    assert overlapping(found) == []
