"""Fewer figures, for tests that look at files, folders and keys: drawing takes most of their time.

What is drawn, all of it, is looked at in `tests/reports/figures/` and `tests/reports/pages/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from reports import figures
from reports.figures import Drawing
from reports.results.result import Result
from reports.results.sweep_result import SweepResult
from reports.runs import rebuilding
from reports.store.rows import Tables
from reports.sweeps import page
from reports.sweeps.page import Section


def only(patch: pytest.MonkeyPatch, *keys: str) -> None:
    """A run has these figures only, on its page and as files."""
    every = figures.drawings

    def chosen(result: Result, tables: Tables) -> Iterator[Drawing]:
        return (drawing for drawing in every(result, tables) if drawing.key in keys)

    for module in (figures, rebuilding):
        patch.setattr(module, "drawings", chosen)


def of_sweep(patch: pytest.MonkeyPatch, most: int) -> None:
    """A sweep has so many figures for each of its metrics."""
    every = page.sections

    def shortened(result: SweepResult) -> list[Section]:
        return [replace(section, pictures=section.pictures[:most]) for section in every(result)]

    patch.setattr(page, "sections", shortened)
