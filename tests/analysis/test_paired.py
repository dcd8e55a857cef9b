"""Differences by replication: what pairing shows, and `hold` beside `resync`."""

from __future__ import annotations

import pytest

from analysis import paired
from sim.runs.batch import ArmResult
from tests.rigs.fakes import OPS, Plan, arm


def test_hold_and_resync_stand_side_by_side(arms: tuple[ArmResult, ...]) -> None:
    """Both are there for a resync arm; hold only for a hold arm."""
    sides = paired.differences(arms[2], arms[0])["loss"]
    assert sides["hold"].mean is not None
    assert sides["resync"].mean is not None
    assert sides["hold"].n == sides["resync"].n == 4
    assert arms[2].hold is not None
    hold = paired.differences(arms[2].hold, arms[0].hold)["loss"]
    assert hold["hold"] == sides["hold"]
    assert hold["resync"].mean is None
    frame = paired.paired_table(arms[1:], arms[0]).frame()
    assert set(frame["restart"]) == {"hold", "resync"}
    assert len(frame) == 2 * 4 * 2


def test_differences_are_paired_by_replication() -> None:
    """An arm with the same samples and no more loss differs by exactly nothing."""
    same = paired.differences(arm(Plan(name="x")), arm(Plan()))
    for name in paired.QUANTITIES:
        assert (same[name]["hold"].mean, same[name]["hold"].ci95) == (0, "exact")
    lossy = paired.differences(arm(Plan(name="x", lost=500)), arm(Plan()))
    assert lossy["loss"]["hold"].mean == pytest.approx(500 / OPS)
