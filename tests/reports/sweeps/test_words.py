"""What a sweep says of its time."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

import reports
from reports.results.sweep_result import CellResult
from reports.sweeps import words
from reports.sweeps.sweeping import Standing
from tests.rigs import swept_result
from tests.rigs.swept import MATRIX
from tests.rigs.tiny import TINY


@pytest.fixture(autouse=True)
def inside(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test in a folder of its own, with a scenario of four cells."""
    Path("s.yaml").write_text(TINY + MATRIX)
    home = str(Path(next(iter(reports.__path__))).parent)
    monkeypatch.setenv("PYTHONPATH", home)


def test_time_left_goes_by_cost() -> None:
    """A quarter of the cost done in 10 s: 30 s left, however many units that were."""
    standing = Standing(4, 100, cost=400, cost_done=100, units_done=90, last="x")
    standing.started = time.monotonic() - 10
    assert standing.left == pytest.approx(30, abs=0.5)
    assert "about 30 s left: x" in words.line(standing)
    assert Standing(1, 1, cost=5).left is None


def test_the_table_has_each_arm_s_verdict() -> None:
    """Beside its numbers; a dash in sweeps of before."""
    cell = CellResult(
        id="x=1",
        settings={"x": 1},
        reproduce="",
        status="finished",
        arms={"a": {"loss.total": 0.5}, "b": {}},
        verdicts={"a": "skewed by 3 %"},
    )
    result = replace(swept_result.made(), cells=(cell,), axes={"x": (1,)}, arm_order=("a", "b"))
    head, first, second = words.as_table(result).splitlines()[:3]
    assert head.endswith("profile")
    assert first.endswith("skewed by 3 %")
    assert second.endswith("–")
