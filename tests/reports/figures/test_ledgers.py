"""Loss and its causes, time and its causes: a row for each arm, shares that add up."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from reports.figures import ledgers
from tests.rigs.fakes import Plan
from tests.rigs.samples import described, tables

PLANS = (Plan(lost=0), Plan(name="v6", design="v6", lost=100), Plan(name="b", design="v6", lost=9))


@pytest.fixture(scope="module")
def axes() -> list[Axes]:
    """Totals, causes of the loss, time."""
    return ledgers.figure(described(PLANS), tables(PLANS)).axes


def ends(ax: Axes) -> list[float]:
    """Where each row's stack of bars ends."""
    bars = [p for p in ax.patches if isinstance(p, Rectangle)]
    found: dict[int, float] = {}
    for bar in bars:
        row = round(bar.get_y() + bar.get_height() / 2)
        found[row] = max(found.get(row, 0.0), bar.get_x() + bar.get_width())
    return [found[row] for row in sorted(found)]


def test_no_loss_is_said_and_not_drawn(axes: list[Axes]) -> None:
    """A log axis has no place for it."""
    said = [text.get_text() for text in axes[0].texts]
    assert said[0] == "none"
    assert all(text.endswith("%") for text in said[1:])
    assert len([line for line in axes[0].lines if line.get_marker() == "o"]) == 2


def test_causes_add_up_to_the_loss(axes: list[Axes]) -> None:
    """100 % where anything was lost, no bar where nothing was."""
    assert np.allclose(ends(axes[1]), [0, 100, 100])
