"""What enable edges cost in a sweep: the table, the figure, the page; with bands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports.figures import alone
from reports.figures.style import styled
from reports.results.sweep_result import SweepResult
from reports.store.grid import grid
from reports.sweeps import edges, page, sweeping, words
from tests.reports import drawing
from tests.reports.figures.test_style import overlapping, texts
from tests.rigs.swept_result import made
from tests.rigs.tiny import TINY, call

MATRIX = """\
matrix:
  driver.aux: [8KiB, 16KiB, 32KiB, 64KiB]
  switch.away: [10us, 1ms]
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    """Four sizes by two times away, with a band."""
    folder: Path = tmp_path_factory.mktemp("edges")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("s.yaml").write_text(TINY + MATRIX)
        done = call("sweep", "s.yaml", "-o", "out", "-q", "--band", "--no-report")
        assert done.exit_code == 0, done.stderr
        return sweeping.read_result(Path("out"))


def test_only_arms_that_pin_have_a_row(swept: SweepResult) -> None:
    """A time with its band for each part, and memory times time."""
    rows = [row for cell in swept.cells for row in edges.rows(cell)]
    assert len(rows) == 8
    assert {row[0] for row in rows} == {"v6"}
    for row in rows:
        assert len(row) == len(edges.HEAD)
        assert row[edges.HEAD.index("charge, µs")] == "0.3 [0.1, 1]"
        assert " [" in row[edges.HEAD.index("all, µs")]
        assert float(row[-1]) > 0


def test_larger_buffers_cost_more(swept: SweepResult) -> None:
    """Time and memory of an edge grow with the AUX area."""
    whole = grid(swept)
    cost = whole.response("v6", "per_enable.all.here_us").mean
    locked = whole.response("v6", edges.LOCKED).mean
    assert (cost[1:] > cost[:-1]).all()
    assert (locked[1:] > locked[:-1]).all()


def test_the_table_is_printed_below_the_first(swept: SweepResult) -> None:
    """Cells and arms beside the parts; none of it where no edge pins."""
    _, below = words.as_table(swept).split("\n\n")
    head, *lines = below.splitlines()
    assert head.split("  ")[0] == "driver.aux"
    assert "arm, per enable edge" in head
    assert len(lines) == 8
    assert "per enable edge" not in words.as_table(made())


def test_the_page_has_figure_table_and_answer(
    swept: SweepResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A section of its own; arms that do not pin have a dash at a glance."""
    drawing.of_sweep(monkeypatch, 1)
    html = page.page(swept)
    assert 'id="figure-edges"' in html
    assert "Every part of an edge, in every cell" in html
    assert "per enable edge" in html[html.index('id="answer"') : html.index('id="glance"')]
    assert 'data-column="Per enable edge">–' in html
    assert "Below a number is its band over the UNVERIFIED times." in html
    assert 'id="figure-edges"' not in page.page(made())


def test_the_figure_joins_points_over_the_last_axis(swept: SweepResult) -> None:
    """A panel per size, and a point per time away in it."""
    drawn = edges.figure(grid(swept))
    panels = [ax for ax in drawn.axes if ax.get_visible()]
    assert [ax.get_title() for ax in panels] == [
        f"driver.aux = {size}" for size in ("8KiB", "16KiB", "32KiB", "64KiB")
    ]
    assert all(np.size(ax.lines[0].get_xdata()) == 2 for ax in panels)
    assert edges.joined(grid(swept)) == "switch.away"


def test_a_frame_fits_every_figure(swept: SweepResult) -> None:
    """As files they have a title and a source, which lie on no legend and no other text."""
    standing = page.standing(swept)
    assert {"edges", "map-time", "curves-time"} <= set(standing)
    for key, make in standing.items():
        with styled(key):
            framed = make()
            assert framed is not None
            figure, said = framed
            alone.framed(figure, said)
            drawn = texts(figure)
        assert {said.title, said.source} <= {text for text, _ in drawn}
        assert overlapping(drawn) == [], key
