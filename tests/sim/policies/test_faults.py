"""Answers to a stage 2 fault, as stages with their costs."""

from __future__ import annotations

import pytest

from sim.ledger import TimeCause
from sim.policies.stages import Effect, View
from tests.sim.policies.played import (
    COSTS,
    UNPINNED,
    VIEW,
    bundle,
    play,
)


@pytest.mark.parametrize(("missing", "walk", "page"), [(0, 0, 0), (1, 1, 1), (3, 3, 1), (5, 5, 1)])
def test_a_fix_maps_the_walk_or_one_page(missing: int, walk: int, page: int) -> None:
    """6.4a: scope `walk` maps every page that is missing on the way, scope `page` the first."""
    view = View(32, 5, 7, 0, missing_pages=missing, to_pin=0)
    one = bundle("unpinned", fix_scope="page")
    for policies, pages in ((UNPINNED, walk), (one, page)):
        assert play(policies.on_stage2_fault(COSTS, view)) == [
            (TimeCause.FAULT, Effect.MAP_FAULTING, pages * COSTS.fault)
        ]


def test_error_injection_maps_nothing() -> None:
    """6.4c: one injection, no fix."""
    policies = bundle("unpinned-error")
    assert play(policies.on_stage2_fault(COSTS, VIEW)) == [
        (TimeCause.INJECT, Effect.INJECT_ERROR, COSTS.inject)
    ]
