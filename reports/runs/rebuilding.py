"""From a run directory to its reports: report.html, report.md, and figures as files.

`run` ends with the same call, so that a page built again is the page of the run.
"""

from __future__ import annotations

from pathlib import Path

from reports.figures import drawings
from reports.figures.style import styled, to_file_svg, to_png
from reports.pages import markdown, page
from reports.store.files import replace
from reports.store.read import Source, read

FIGURES = "figures"


def rebuild(folder: Path, *, figures: bool = False) -> list[Path]:
    """Write report.html and report.md, and figures/*.{png,svg} if asked; returns their paths."""

    source = read(folder)
    files = {
        folder / "report.html": page.render(source).encode(),
        folder / "report.md": markdown.render(source.result, source.tables).encode(),
    }
    if figures:
        files |= _figure_files(folder / FIGURES, source)
    for path, data in files.items():
        path.parent.mkdir(exist_ok=True)
        replace(path, data)
    return list(files)


def _figure_files(folder: Path, source: Source) -> dict[Path, bytes]:

    files = {}
    for drawing in drawings(source.result, source.tables):
        with styled(drawing.key):
            figure = drawing.make()
            if figure is not None:
                files[folder / f"{drawing.key}.png"] = to_png(figure)
                files[folder / f"{drawing.key}.svg"] = to_file_svg(figure, drawing.key)
    return files
