"""Figures of a folder, be it a run's or a sweep's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.figures.alone import Standing


def standing(folder: Path) -> dict[str, Standing]:
    """What makes each figure, by its name; raises RunDirError."""
    from reports.runs import rebuilding
    from reports.store.read import read
    from reports.sweeps import page, sweeping

    if (folder / sweeping.MANIFEST).is_file():
        return page.standing(sweeping.read_result(folder))
    return rebuilding.standing(read(folder))
