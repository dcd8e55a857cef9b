"""Bands over the UNVERIFIED times in a sweep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.results.metric import Metric
from reports.store.grid import grid
from reports.sweeps import bands
from reports.sweeps.bands import Band
from tests.rigs.swept_result import EVIL, made

ADDED = Metric(0.02, (0.019, 0.021), 4, "fraction")
TIMES: dict[str, Metric | float] = {
    "time_added": ADDED,
    "time_band.total.here_ms": 4.0,
    "time_band.total.low_ms": 2.0,
    "time_band.total.high_ms": 8.0,
}


def test_time_moves_with_its_milliseconds() -> None:
    """4 ms are 2 %, so 2 ms are 1 % and 8 ms 4 %; with unmapping more."""
    found = bands.of(TIMES, "time_added")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.01, 0.04))
    assert found.text == "1 to 4 %"
    more = bands.of({**TIMES, "time_band.total.unmapping_ms": 40.0}, "time_added")
    assert more is not None
    assert more.text == "1 to 20 %"


def test_loss_has_its_own() -> None:
    """Ends of loss are fractions already."""
    assert bands.of({"loss_band.low": 0.1, "loss_band.high": 0.3}, "loss.total") == Band(0.1, 0.3)


def test_without_ends_or_width_there_is_none() -> None:
    """A sweep without a band, a metric without one, nothing added, and ends that are equal."""
    assert bands.of({"time_added": ADDED}, "time_added") is None
    assert bands.of(TIMES, "rlimit.exits_per_run") is None
    assert (
        bands.of(TIMES | {"time_added": Metric(0.0, "exact", 4, "fraction")}, "time_added") is None
    )
    assert bands.of({"loss_band.low": 0.1, "loss_band.high": 0.1}, "loss.total") is None


def test_over_the_grid_cells_without_one_are_unknown() -> None:
    """An array for each end; None if no cell has any."""
    whole = grid(made())
    assert bands.over(whole, EVIL, "loss.total") is None
    result = made()
    ends: dict[str, Metric | float] = {"loss_band.low": 0.1, "loss_band.high": 0.3}
    banded = replace(result.cells[0], arms={EVIL: ends})
    whole = grid(replace(result, cells=(banded, *result.cells[1:])))
    place = next(place for place, row in whole.rows.items() if row is banded)
    found = bands.over(whole, EVIL, "loss.total")
    assert found is not None
    assert tuple(end[place] for end in found) == (0.1, 0.3)
    assert np.isfinite(found).sum() == 2
