"""A made-up run for the tests of reports: five arms, hostile names among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reports import result
from sim.batch import ArmResult
from sim.scenario.model import Scenario
from tests.analysis.fakes import Plan, arm

EVIL = "<script>alert('$x^2$')</script>&\x1b[31m\u202e"
SYMBOLS = ("$alpha$", EVIL, "gamma_" + "g" * 300, "delta\nnewline")
UPPER: dict[str, object] = {"host": {"unmap": "per_window"}}

PLANS = (
    Plan(lost=100, symbols=SYMBOLS),
    Plan(name="v6", design="v6", lost=100, symbols=SYMBOLS, pin_ticks=10**6, exits=2),
    Plan(
        name="unpinned-cold", design="unpinned", lost=50_000, seed=2, symbols=SYMBOLS,
        shares=(0.42, 0.38, 0.15, 0.05), zap_rate=68_000.0, settings=UPPER,
    ),
    Plan(
        name="refused", design="v6", lost=5, symbols=SYMBOLS, ended_at=1000,
        verdict="the VMM refused",
    ),
    Plan(name="silent", design="unpinned-error", samples=0, symbols=SYMBOLS),
)  # fmt: skip


def arms(plans: Sequence[Plan] = PLANS) -> tuple[ArmResult, ...]:
    """The arms of a scenario."""
    return tuple(arm(plan) for plan in plans)


def scenario(found: Sequence[ArmResult]) -> Scenario:
    """A scenario that has these arms."""
    return Scenario(
        name="made <up>",
        question="Is it $so$?",
        replications=len(found[0].runs),
        arms=tuple(a.arm for a in found),
    )


def described(plans: Sequence[Plan] = PLANS, *, interrupted: bool = False) -> dict[str, Any]:
    """`result.json` of the made-up run."""
    found = arms(plans)
    return result.build(scenario(found), found, interrupted=interrupted)
