"""The whole table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reports.validation.losing import (
    biases,
    cold_pages,
    full_buffers,
    knee,
    noise_floors,
    thresholds,
)
from reports.validation.rows import Row
from reports.validation.sampling import accumulation, collisions, dispersions, gap_laws, gap_means

EXPERIMENTS: tuple[Callable[[], Iterator[Row]], ...] = (
    gap_means,
    gap_laws,
    dispersions,
    accumulation,
    collisions,
    full_buffers,
    cold_pages,
    biases,
    noise_floors,
    thresholds,
    knee,
)


def table() -> list[Row]:
    """Every row of every experiment, in order."""
    return [row for experiment in EXPERIMENTS for row in experiment()]
