"""Figures that notebooks show though pyplot never saw them."""

from __future__ import annotations

import reports.plotting  # noqa: F401 (before matplotlib)

# isort: split
import importlib
import sys

from matplotlib.figure import Figure

from reports import notebook

IMAGES = ("image/png", "image/svg+xml", "image/jpeg", "application/pdf")


def keep_style(figure: Figure) -> None:
    """Make the first tick of each axis now: matplotlib makes the others like it, when it draws."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_major_ticks(1)
            axis.get_minor_ticks(1)


def shown_in_notebooks() -> None:
    """Tell the kernel how a Figure looks, as pyplot's inline backend would if it were loaded."""
    if not notebook.in_kernel():
        return
    shell = sys.modules["IPython"].get_ipython()
    formatters = shell.display_formatter.formatters
    if not any(Figure in formatters[image] for image in IMAGES):
        pylabtools = importlib.import_module("IPython.core.pylabtools")
        pylabtools.select_figure_formats(shell, {"png"})
