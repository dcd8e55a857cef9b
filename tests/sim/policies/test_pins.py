"""Pins at an enable edge and at a disable edge, as stages with their costs."""

from __future__ import annotations

import pytest

from sim.ledger import TimeCause
from sim.policies.stages import Effect, View
from sim.scenario.models.scenario import DESIGNS
from tests.sim.policies.played import (
    CHARGE,
    COSTS,
    MAP,
    PIN,
    V6,
    VIEW,
    WALK,
    bundle,
    play,
)

NOT_AT_ENABLE = [name for name, d in DESIGNS.items() if d.policies.backing != "on_enable"]


def test_v6_enable_walks_charges_pins_and_maps() -> None:
    """6.2: walk the tables, charge, pin window and tables, map cold and present pages."""
    assert play(V6.on_enable(COSTS, VIEW)) == [WALK, CHARGE, PIN, MAP]


def test_pages_that_are_still_pinned_are_not_pinned_again() -> None:
    """With nothing to pin the pin stage is free; the walk and the charge are not."""
    view = View(32, 5, 0, 37, 0, to_pin=0)
    steps = play(V6.on_enable(COSTS, view))
    free = (TimeCause.PIN, Effect.PIN, 0)
    assert steps == [WALK, CHARGE, free, (TimeCause.MAP, Effect.MAP, 37 * COSTS.map_present)]


@pytest.mark.parametrize("design", NOT_AT_ENABLE)
def test_designs_that_pin_nothing_do_nothing_at_enable(design: str) -> None:
    """No backing, no stage: the guest's enable costs its traps only."""
    assert play(bundle(design).on_enable(COSTS, VIEW)) == []


def test_v6_disable_unpins_what_is_pinned() -> None:
    """6.8: the disable edge unpins the window; stage 2 stays mapped."""
    assert play(V6.on_disable(COSTS, VIEW)) == [
        (TimeCause.UNPIN, Effect.UNPIN, 37 * COSTS.unpin),
    ]


def test_unmap_on_unpin_takes_stage_2_away_after_unpinning() -> None:
    """The expensive variant: unpin, then unmap as many pages."""
    policies = bundle("v6", unmap_on_unpin=True)
    assert play(policies.on_disable(COSTS, VIEW)) == [
        (TimeCause.UNPIN, Effect.UNPIN, 37 * COSTS.unpin),
        (TimeCause.UNPIN, Effect.UNMAP, 37 * COSTS.unmap),
    ]


def test_disable_has_nothing_to_do_without_pins() -> None:
    """Nothing is pinned (unpinned designs, a refused enable): no stage."""
    view = View(32, 5, 0, pinned_pages=0, missing_pages=0, to_pin=37)
    assert play(V6.on_disable(COSTS, view)) == []


def test_unpin_never_keeps_the_pins() -> None:
    """unpin: never makes the disable edge free."""
    policies = bundle("v6", unpin="never", unmap_on_unpin=True)
    assert play(policies.on_disable(COSTS, VIEW)) == []
