"""Hooks of policies, played as the hypervisor would play them."""

from __future__ import annotations

from typing import Any

from sim.ledger import TimeCause
from sim.policies.bundle import Bundle
from sim.policies.stages import Effect, KvmCosts, Outcome, Stages, View
from sim.scenario.models.scenario import DESIGNS

COSTS = KvmCosts(*(10**k for k in range(21)))  # any sum of costs is readable digit by digit


def bundle(design: str, **words: Any) -> Bundle:
    """A design's policies, some of them others."""
    return DESIGNS[design].policies.model_copy(update=words).bundle


V6 = bundle("v6")
UNPINNED = bundle("unpinned")
VIEW = View(
    window_pages=32, table_pages=5, unmapped_pages=7, pinned_pages=37, missing_pages=3, to_pin=36
)

Step = tuple[TimeCause, Effect, int]


def play(stages: Stages, charges: tuple[bool, ...] = (True,)) -> list[Step]:
    """Run a hook as the hypervisor would; `charges` are the outcomes of its charges."""
    outcomes, steps = iter(charges), []
    try:
        stage = next(stages)
        while True:
            steps.append((stage.cause, stage.effect, stage.ticks))
            done = stage.effect is not Effect.CHARGE or next(outcomes)
            stage = stages.send(Outcome.DONE if done else Outcome.AGAIN)
    except StopIteration:
        return steps


WALK: Step = (TimeCause.WALK, Effect.NONE, 5 * COSTS.walk_table)
CHARGE: Step = (TimeCause.PIN, Effect.CHARGE, COSTS.charge)
PIN: Step = (TimeCause.PIN, Effect.PIN, 36 * COSTS.pin)
MAP: Step = (TimeCause.MAP, Effect.MAP, 7 * COSTS.map_cold + (37 - 7) * COSTS.map_present)
