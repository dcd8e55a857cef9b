"""Figures and axes that look like matplotlib's, and are laid out with half of the work.

Matplotlib's layout moves the axes twice. Before each move and again when it draws, each label, edge
and title asks its axis for the place and size of every tick, which took longer than all the rest.
Here the surroundings of axes are measured once, and what can have a fixed place has one.
"""

from __future__ import annotations

from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure, FigureBase
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.markers import TICKDOWN, TICKLEFT
from matplotlib.text import Text
from matplotlib.ticker import NullLocator
from matplotlib.transforms import Bbox, offset_copy
from numpy.typing import NDArray

NUMBERS_PT = 21.5
"""Height of a mark, a number below it and what is between these and the axis's label."""


class Laid(Figure):
    """A figure that is laid out where it is drawn, so that texts are measured once for both.

    Matplotlib would draw it twice, the first time only to find the layout.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.engine = ConstrainedLayoutEngine()
        self.renderer: RendererBase | None = None
        """What it is being drawn with."""

    def draw(self, renderer: RendererBase) -> None:
        """Everything in its place."""
        self.renderer = renderer
        if self.axes:
            self.engine.execute(self)
        super().draw(renderer)


class Panel(Axes):
    """Axes whose surroundings are measured once a drawing, unless a move changes their ticks."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._measured: tuple[list[list[float]], NDArray[Any]] | None = None
        for spine in self.spines.values():
            spine.set_in_layout(False)  # its extent is that of the axes

    def set_title(self, label: str, *args: Any, **look: Any) -> Text:
        """A title in its usual place: no axis above it has to be looked for."""
        return super().set_title(label, *args, **{"y": 1.0} | look)

    def set_xlabel(self, xlabel: str, *args: Any, **look: Any) -> Text:
        """A label below one line of numbers, which need not be looked for either."""
        below = offset_copy(self.transAxes, self.figure.figure, y=-NUMBERS_PT, units="points")
        self.xaxis.set_label_coords(0.5, 0, below)
        return super().set_xlabel(xlabel, *args, **look)

    def get_tightbbox(
        self, renderer: RendererBase | None = None, *, for_layout_only: bool = False, **options: Any
    ) -> Any:
        """The box around all; for a layout, with the margins that these ticks had before."""
        if not for_layout_only:
            return super().get_tightbbox(renderer, **options)
        ticks = [[*axis.get_majorticklocs()] for axis in (self.xaxis, self.yaxis)]
        if self._measured is None or self._measured[0] != ticks:
            self._measured = ticks, self._margins(renderer)
        return Bbox.from_extents(*(self.bbox.extents + self._measured[1]))

    def _margins(self, renderer: RendererBase | None) -> NDArray[Any]:
        """How far it reaches beyond the box of the axes, to each side."""
        for axis in (self.xaxis, self.yaxis):
            if not axis.label.get_text():
                axis.set_label_coords(0, 0)  # anywhere: nothing is to be seen of it
        whole: Any = self.figure.figure
        box: Any = super().get_tightbbox(whole.renderer or renderer, for_layout_only=True)
        return np.zeros(4) if box is None else box.extents - self.bbox.extents

    def draw(self, renderer: RendererBase) -> None:
        """What is measured may change after it."""
        self._measured = None
        super().draw(renderer)


def panels(part: FigureBase, lines: int = 1, columns: int = 1, **options: Any) -> NDArray[Any]:
    """So many panels in a figure or a part of it, as an array of lines."""
    look = {"axes_class": Panel}
    return np.asarray(part.subplots(lines, columns, squeeze=False, subplot_kw=look, **options))


class MinorMarks(Artist):
    """The marks between the numbers of an axis, as one line: matplotlib has five artists each."""

    def __init__(self, axis: Axis) -> None:
        super().__init__()
        self.set_in_layout(False)
        self._axis, self._locator = axis, axis.get_minor_locator()
        self._across = isinstance(axis, XAxis)
        name, axes, rc = "xtick" if self._across else "ytick", axis.axes, cast("Any", mpl.rcParams)
        self._line = Line2D(
            [],
            [],
            linestyle="none",
            marker=cast("Any", TICKDOWN if self._across else TICKLEFT),
            markersize=rc[f"{name}.minor.size"],
            markeredgewidth=rc[f"{name}.minor.width"],
            color=rc[f"{name}.color"],
            transform=axes.get_xaxis_transform() if self._across else axes.get_yaxis_transform(),
        )

    @classmethod
    def stand_in(cls, axis: Axis, *, drawn: bool = True) -> None:
        """Instead of the minor ticks of an axis with a scale."""
        if drawn:
            axis.axes.add_artist(cls(axis))
        axis.set_minor_locator(NullLocator())

    def places(self) -> list[float]:
        """Where they are now: limits may have changed."""
        low, high = sorted(self._axis.get_view_interval())
        return [float(x) for x in self._locator() if low <= x <= high]

    def draw(self, renderer: RendererBase) -> None:
        """All of them at once."""
        at = self.places()
        ends = [0.0] * len(at)
        self._line.set_data(*((at, ends) if self._across else (ends, at)))
        self._line.set_figure(self._axis.axes.figure)
        self._line.draw(renderer)
