"""The hooks' stages are the event sequences of the design record, with itemised costs; and policies
are the only ones who know their values.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import analysis
import reports
import sim
from sim.ledger import TimeCause
from sim.policies.bundle import VALUES, Bundle
from sim.policies.stages import Effect, KvmCosts, Outcome, Stages, View
from sim.scenario.models.scenario import DESIGNS

COSTS = KvmCosts(*(10**k for k in range(20)))  # any sum of costs is readable digit by digit


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


def test_v6_enable_walks_charges_pins_and_maps() -> None:
    """6.2: walk the tables, charge, pin window and tables, map cold and present pages."""
    assert play(V6.on_enable(COSTS, VIEW)) == [WALK, CHARGE, PIN, MAP]


def test_reexecute_walks_again_after_each_failed_charge() -> None:
    """6.5: the trapped write is executed again, so walk and charge are redone."""
    steps = play(V6.on_enable(COSTS, VIEW), (False, False, True))
    assert steps == [WALK, CHARGE, WALK, CHARGE, WALK, CHARGE, PIN, MAP]


def test_pending_on_entry_only_charges_again() -> None:
    """The pending write is completed at entry: the walk is not repeated."""
    pending = bundle("v6", retry="pending_on_entry")
    steps = play(pending.on_enable(COSTS, VIEW), (False, False, True))
    assert steps == [WALK, CHARGE, CHARGE, CHARGE, PIN, MAP]


def test_pages_that_are_still_pinned_are_not_pinned_again() -> None:
    """With nothing to pin the pin stage is free; the walk and the charge are not."""
    view = View(32, 5, 0, 37, 0, to_pin=0)
    steps = play(V6.on_enable(COSTS, view))
    free = (TimeCause.PIN, Effect.PIN, 0)
    assert steps == [WALK, CHARGE, free, (TimeCause.MAP, Effect.MAP, 37 * COSTS.map_present)]


NOT_AT_ENABLE = [name for name, d in DESIGNS.items() if d.policies.backing != "on_enable"]


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


@pytest.mark.parametrize(
    ("notifiers", "pinned", "honoured"),
    [
        ("honour_all", True, True),
        ("honour_all", False, True),
        ("unmap_only", True, False),
        ("unmap_only", False, True),
    ],
)
def test_only_unmap_only_protects_and_only_pinned_pages(
    notifiers: str, pinned: bool, honoured: bool
) -> None:
    """6.7: an event that is no real unmap is ignored for pinned pages, if the design filters."""
    assert bundle("unpinned", notifiers=notifiers).on_invalidate(pinned=pinned) is honoured


def _compared(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.AST]]:
    """What a module compares, with what, or takes apart by cases."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            yield from ((one, other) for one in sides for other in sides if one is not other)
        elif isinstance(node, ast.Match):
            yield from ((node.subject, case.pattern) for case in node.cases)


def _words_compared(source: str) -> list[str]:
    """Policies, by attribute or key, that are compared with text."""
    found = []
    for side, other in _compared(ast.parse(source)):
        key = side.slice if isinstance(side, ast.Subscript) else None
        name = side.attr if isinstance(side, ast.Attribute) else getattr(key, "value", None)
        texts = (isinstance(getattr(x, "value", None), str) for x in ast.walk(other))
        if name in VALUES and any(texts):
            found.append(f"{name}, line {side.lineno}")
    return found


SOURCES = {
    f"{package.__name__}/{path.relative_to(root)}": path
    for package in (sim, analysis, reports)
    for root in [Path(str(package.__file__)).parent]
    for path in sorted(root.rglob("*.py"))
}


def test_nobody_compares_words() -> None:
    """A policy is asked, not recognised: a new value has no other file to change."""
    assert len(SOURCES) > 100
    found = {name: _words_compared(path.read_text("utf-8")) for name, path in SOURCES.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        'x = policies.backing == "none"',
        'x = arm["setup"]["backing"] in ("whole_vm", "guest_memfd")',
        'x = "on_disable" != policies.unpin',
        'match p.vmm:\n    case "raise" | "reenter":\n        pass',
    ],
)
def test_a_word_that_is_compared_is_seen(line: str) -> None:
    """The control."""
    assert _words_compared(line)
