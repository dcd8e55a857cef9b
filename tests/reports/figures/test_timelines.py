"""Timelines show what matters."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports import figures
from reports.figures import timelines
from reports.figures.style import styled
from reports.store.csvdata import SHAPES, loads
from reports.store.rows import TimelineRow, by_arm, read
from tests.rigs.fakes import Plan
from tests.rigs.samples import described, tables
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with the tiny scenario in it."""
    Path("tiny.yaml").write_text(TINY)


def test_timelines_show_what_matters() -> None:
    """Every arm has one: the cold one shows a fault, v6 a pin, baremetal a delivery."""
    call("run", "tiny.yaml", "-o", "out", "--no-report")
    table = loads("timeline", SHAPES["timeline"], Path("out/data/timeline.csv").read_text())
    rows = read(TimelineRow, {"timeline": table})
    shown = {(r.arm, r.state) for r in rows if r.lane == "close-up"}
    assert {("cold", "stage 2 fault"), ("v6", "pin"), ("baremetal", "delivery")} <= shown


def test_many_timelines_are_narrowed() -> None:
    """Ten virtual arms: eight timelines are drawn, all ten are in the table."""
    plans = [Plan(name=f"arm{k}", design="v6", seed=k) for k in range(10)]
    of = tables(plans)
    keys = [d.key for d in figures.drawings(described(plans), of)]
    assert sum(k.startswith("timeline") for k in keys) == figures.MAX_TIMELINES
    assert len(by_arm(TimelineRow, of)) == 10


def test_lanes_without_marks_have_their_room() -> None:
    """An arm that nothing interrupts: no mark to draw, which would reach out of the picture."""
    rows = [
        TimelineRow("quiet", 0, 0, "window", "", 0.0, 4000.0, None),
        TimelineRow("quiet", 0, 0, "CPU", "running", 0.0, 4000.0, None),
    ]
    with styled("x"):
        made = timelines.figure(rows, virtual=False)
        made.draw_without_rendering()
    lanes = made.axes[0].get_tightbbox()
    assert lanes is not None
    assert made.bbox.x0 - 1 <= lanes.x0 <= lanes.x1 <= made.bbox.x1 + 1
    assert made.axes[0].bbox.width > 0.8 * made.bbox.width
