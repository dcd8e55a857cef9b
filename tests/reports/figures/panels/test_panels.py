"""Panels look as matplotlib's own axes do, and stand where those would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, Locator

from reports.figures import panels, style
from reports.figures.panels import MinorMarks, Panel


def filled(figure: Figure, axes: Any) -> Figure:
    """Two panels with all that the figures have around them."""
    for ax in axes:
        ax.plot([1, 30, 2000], [3.0, 1.0, 2.0], label="a line")
        ax.set_xlabel("ops")
    axes[0].set_ylabel("samples")
    axes[0].set_title("a title")
    axes[1].set_yticks([1, 2], ["a longer name", "another"])
    style.legend_above(axes[1])
    return figure


def placed(figure: Figure) -> list[float]:
    """Edges of all axes and labels, in pixels, after it was drawn."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [ax.bbox.extents for ax in figure.axes]
    boxes += [ax.xaxis.label.get_window_extent().extents for ax in figure.axes]
    boxes.append(figure.axes[0].yaxis.label.get_window_extent().extents)
    return [float(edge) for box in boxes for edge in box]


def test_panels_stand_where_axes_would() -> None:
    """Edges and labels differ by less than 3 px of 800 from those of matplotlib's own layout."""
    with style.styled("x"):
        usual = Figure(figsize=(8, 3), layout="constrained")
        wanted = placed(filled(usual, usual.subplots(1, 2)))
        figure = style.blank(3)
        found = placed(filled(figure, panels.panels(figure, 1, 2)[0]))
        raw = Figure(figsize=(8, 3))
        unplaced = placed(filled(raw, raw.subplots(1, 2)))
    assert np.allclose(found, wanted, atol=3)
    assert not np.allclose(unplaced, wanted, atol=3)  # control


def measured(monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    """Every axes that is measured from now on, each time."""
    seen: list[Axes] = []
    inner = Panel._margins

    def noted(self: Panel, renderer: Any) -> Any:
        seen.append(self)
        return inner(self, renderer)

    monkeypatch.setattr(Panel, "_margins", noted)
    return seen


def test_a_panel_is_measured_once_a_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two panels, two measures; again when it is drawn again, and there is more around it."""
    seen = measured(monkeypatch)
    with style.styled("x"):
        figure = style.blank(3)
        filled(figure, panels.panels(figure, 1, 2)[0])
        before = placed(figure)
        assert len(seen) == len(set(seen)) == 2
        figure.axes[0].set_yticks([1, 2], ["a name that takes much room", "b"])
        after = placed(figure)
    assert len(seen) == 4
    assert after[0] > before[0] + 50


class Growing(Locator):
    """More ticks as soon as the axes are wider than before any layout."""

    def __call__(self) -> list[float]:
        """The second tick has a long name."""
        axis: Any = self.axis
        return [1.0, 2.0] if axis.axes.bbox.width > 0.8 * 800 else [1.0]


def test_a_move_that_changes_ticks_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they need is measured again, and nothing leaves the picture."""
    seen = measured(monkeypatch)
    with style.styled("x"):
        figure = style.blank(3)
        ax = panels.panels(figure)[0, 0]
        ax.plot([0, 1], [0, 3])
        ax.yaxis.set_major_locator(Growing())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: "1" if y == 1 else "a long name"))
        placed(figure)
    shown = [label.get_text() for label in ax.get_yticklabels()]
    assert len(seen) == 2
    assert shown == ["1", "a long name"]
    assert min(t.get_window_extent().x0 for t in ax.get_yticklabels()) >= 0


@pytest.mark.parametrize("name", ["x", "y"])
def test_marks_stand_between_the_numbers_of_a_log_axis(name: str) -> None:
    """Where matplotlib's minor ticks would, also after the limits have changed."""
    with style.styled("x"):
        usual, ours = Figure().subplots(), panels.panels(style.blank(3))[0, 0]
        for ax in (usual, ours):
            ax.plot([1, 1000], [1, 1000])
            ax.set(**{f"{name}scale": "log"})
        MinorMarks.stand_in(getattr(ours, f"{name}axis"))
        for ax in (usual, ours):
            ax.set(**{f"{name}lim": (3, 70)})
    marks = next(a for a in ours.get_children() if isinstance(a, MinorMarks))
    wanted = [x for x in getattr(usual, f"{name}axis").get_minorticklocs() if 3 <= x <= 70]
    assert np.allclose(marks.places(), wanted)
    assert len(wanted) == 13
    assert not len(getattr(ours, f"{name}axis").get_minorticklocs())


def test_marks_can_be_left_out() -> None:
    """An axis whose numbers are marked by hand has none between them."""
    ax = panels.panels(style.blank(3))[0, 0]
    ax.plot([1, 1000], [1, 1])
    style.log_axis(ax, between=False)
    ax.xaxis.set_major_locator(FixedLocator([1, 500]))
    assert not any(isinstance(a, MinorMarks) for a in ax.get_children())
    assert not len(ax.xaxis.get_minorticklocs())
