"""Verdicts about arms: the worst level decides, a run that met too little says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.fidelity.judging import Judged, full_buffers, judge
from analysis.statistics.answers import Kind
from sim.ledger import OpLabel
from sim.results import Blackouts
from sim.runs.batch import ArmResult
from sim.scenario.models.scenario import Verdicts
from tests.rigs.fakes import Plan, arm

MANY = 400_000


def met(made: ArmResult, full: int) -> ArmResult:
    """The arm with so many full buffers in its first replication."""
    stops = Blackouts()
    for _ in range(full):
        stops.add(10, 100)
    first, *others = made.runs
    vcpu = replace(first.vcpus[0], blackouts={"full": stops})
    return replace(made, runs=(replace(first, vcpus=(vcpu,)), *others))


def judged(plan: Plan, full: int = 20, events: int = 10) -> Judged:
    """Beside a baremetal arm; a margin of 1 %."""
    made = met(arm(plan), full)
    return judge(made, arm(Plan(samples=MANY)), Verdicts(events=events), 2)


def virtual(**values: object) -> Plan:
    """An arm that pins nothing and whose pages are unmapped, three in each replication."""
    plan = Plan(
        name="x", design="unpinned", samples=MANY, settings={"host": {"unmap": "published"}}
    )
    return replace(plan, **values)  # type: ignore[arg-type]


def test_the_reference_arm_is_judged_against_the_truth() -> None:
    """It may be skewed like any other: 8 points in the wrong symbol."""
    biased = arm(Plan(samples=MANY, shares=(0.42, 0.38, 0.15, 0.05)))
    found = judge(biased, biased, Verdicts(), 1)
    assert found.answer.kind is Kind.SKEWED
    assert found.answer.effect == pytest.approx(0.08, abs=0.003)
    assert found.baremetal["symbol"].mean is None


def test_the_worst_level_decides() -> None:
    """Right by symbol, half of it in the wrong instruction: that is the verdict."""
    made = arm(Plan(samples=MANY))
    table = made.runs[0].vcpus[0].profile.reshape(4, 5, 8)
    crowded = np.zeros_like(table)
    crowded[:, 0, 0] = table.sum(axis=(1, 2))
    runs = tuple(
        replace(r, vcpus=(replace(r.vcpus[0], profile=crowded.ravel()),)) for r in made.runs
    )
    found = judge(replace(made, runs=runs), None, Verdicts(), 1)
    assert found.level == "pc"
    assert found.answer_at("symbol").kind is Kind.SAME
    assert found.answer.kind is Kind.SKEWED
    assert found.answer.effect == pytest.approx(0.8, abs=0.01)


def test_too_few_events_are_too_short() -> None:
    """Of full buffers or unmapped pages; what would do; with enough of both it is the same."""
    assert judged(virtual()).answer.kind is Kind.SAME
    few = judged(virtual(), full=2)
    assert few.answer.kind is Kind.SHORT
    assert few.answer.words() == (
        "too short to tell (it met 2 full buffers and 30 unmapped pages, where 10 of each would "
        "tell; workload.repeat: 5 would do)"
    )
    unmet = judged(virtual(zaps=0))
    assert unmet.answer.kind is Kind.SHORT
    assert "0 unmapped pages" in unmet.short
    assert "many times as long" in unmet.short
    assert judged(virtual(zaps=0), events=0).answer.kind is Kind.SAME
    assert judged(virtual(zaps=0, settings={})).answer.kind is Kind.SAME
    assert judged(virtual(zaps=0, design="v6")).answer.kind is Kind.SAME  # its pages are held


def test_no_length_is_named_that_would_not_do() -> None:
    """Not that of this run, nor any where every event dies before its end."""
    enough = judged(virtual(), full=0).short  # what was written would have filled 20 buffers
    assert enough.endswith("tell; a run many times as long would do")
    dying = met(arm(virtual()), 2)
    for run in dying.runs:
        run.vcpus[0].ledgers.ops.by_label[OpLabel.EVENT_DISABLED] += 1
    found = judge(dying, None, Verdicts(), 1).short
    assert found.endswith("tell; a longer run would not, as every event dies before its end")


def test_certain_skew_needs_no_events() -> None:
    """A run that never filled a buffer may be skewed already."""
    found = judged(virtual(shares=(0.42, 0.38, 0.15, 0.05)), full=0)
    assert found.short
    assert found.answer.kind is Kind.SKEWED


def test_baremetal_needs_no_events() -> None:
    """It is not judged by what a design does at full buffers."""
    assert judge(arm(Plan(samples=MANY)), None, Verdicts(), 1).short == ""


def test_an_arm_that_ended_is_too_short() -> None:
    """At which operation and why, though what it ran was baremetal's own."""
    found = judge(
        arm(Plan(name="x", design="v6", ended_at=574, ended_because="no progress")),
        arm(Plan()),
        Verdicts(),
        2,
    )
    assert found.answer.kind is Kind.SHORT
    assert found.short == "it ended at operation 574 of 1,000,000: no progress"


def test_identical_samples_are_told() -> None:
    """Instruction by instruction; of one symbol it says nothing."""
    assert judged(virtual()).identical
    assert not judged(virtual(seed=3)).identical
    only: dict[str, object] = {"symbols": ("only",), "shares": (1.0,), "truth": (1.0,)}
    bare = arm(Plan(**only))  # type: ignore[arg-type]
    half = arm(Plan(name="x", design="v6", samples=500, seed=5, **only))  # type: ignore[arg-type]
    assert not judge(half, bare, Verdicts(), 2).identical


def test_full_buffers_of_every_kind_count() -> None:
    """The SPU's and KVM's own; other stops do not."""
    assert full_buffers(met(arm(Plan()), 7)) == 7
    assert full_buffers(arm(Plan(lost=5))) == 0
