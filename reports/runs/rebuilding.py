"""From a run directory to its reports: report.html, report.md, and figures as files.

`run` ends with the same call, so that a page built again is the page of the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reports.figures import Drawing, alone, drawings
from reports.figures.alone import Standing
from reports.pages import markdown, page
from reports.store.files import replace
from reports.store.read import Source, read

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = "figures"


def rebuild(folder: Path, *, figures: bool = False) -> list[Path]:
    """Write report.html, report.md, and figures/*.{png,svg,txt} if asked; returns their paths."""

    source = read(folder)
    files = {
        folder / "report.html": page.render(source).encode(),
        folder / "report.md": markdown.render(source.result, source.tables).encode(),
    }
    if figures:
        for key, make in standing(source).items():
            files |= {folder / FIGURES / n: data for n, data in alone.files(key, make).items()}
    for path, data in files.items():
        path.parent.mkdir(exist_ok=True)
        replace(path, data)
    return list(files)


def standing(source: Source) -> dict[str, Standing]:
    """What makes each figure of a run stand alone, by its name."""
    result = source.result
    origin = (
        f"seed {result.seed}, {result.replications} replications, "
        f"version {source.versions.get('speskew', 'unknown')}"
    )

    def make(drawing: Drawing) -> Standing:
        said = alone.legend(result.scenario, drawing.title, drawing.reading, origin, drawing.notes)

        def made() -> tuple[Figure, alone.Legend] | None:
            figure = drawing.make()
            return None if figure is None else (figure, said)

        return made

    return {drawing.key: make(drawing) for drawing in drawings(result, source.tables)}
