"""What deciding by an arm's profile costs: regret, and whether bias or too few samples is why.

Regret is the part of the best choice's worth that the choice by a profile does not catch. Baremetal
thinned to the arm's number of samples has as much noise and no bias: regret of the arm minus that
of thinned baremetal is *bias*, of thinned minus whole baremetal *sampling*. Both are judged against
a margin, replication by replication. An arm that ended early is judged like the others: whoever
decides by it decides for the whole program.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.decisions.chance import Curve, curve, thinned
from analysis.decisions.choosing import I64, Question
from analysis.decisions.kinds import Kind, kinds
from analysis.statistics import answers
from analysis.statistics.answers import Answer, Terms
from analysis.statistics.intervals import F64, Metric, finite, metric
from analysis.statistics.needed import replications

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult
    from sim.scenario.models.decisions import Decisions

WORSE = Terms("worse by", "the same within")
ANSWER_ALPHA = 0.025
"""What an interval of 95 % leaves out at either end."""
REFERENCE = "it is what the others are compared with"
INCOMPARABLE = "no baremetal arm samples the same operations"
THINNINGS = 8
"""Times that baremetal is thinned, of which the mean counts."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One kind of decision by one arm's profile; metrics over replications."""

    kind: str
    chosen: str
    """What the choice takes; or, if there is nothing to decide, why."""
    best: float | None
    """Part of all worth that the best choice catches."""
    regret: Metric
    bias: Metric
    sampling: Metric
    worse: Metric
    """Regret beyond baremetal's: bias and sampling together."""
    effective_samples: Metric
    samples: Metric
    answer: Answer
    """Would one decide the same as on baremetal?"""
    why: str
    """What makes it worse, if it is for certain."""
    unjudged: str
    """Why it has no answer; empty if it has one."""


def decisions(arm: ArmResult, reference: ArmResult | None, asked: Decisions) -> list[Decision]:
    """Every kind that was asked for."""
    return [_decision(kinds()[k], arm, reference, asked) for k in asked.kinds]


@dataclass(frozen=True, slots=True)
class _Runs:
    """What runs saw: cells [R, c] and samples in all [R]."""

    cells: I64
    samples: I64

    def regrets(self, question: Question) -> F64:
        return np.array([_regret(question, row) for row in self.cells])


def _regret(question: Question, cells: I64) -> float:
    return 1 - question.quality(cells)


def question_of(kind: Kind, arm: ArmResult, asked: Decisions) -> Question | str:
    """The question of a kind about an arm's stream, or why there is none."""
    if arm.visits is None or not arm.visits.members.any():
        return "no operation of the stream passes the filters"
    return kind.question(arm, asked.top or kind.top)


def random_curve(kind: str, arm: ArmResult, asked: Decisions, most: int) -> Curve:
    """What up to `most` random samples of an arm's stream would do; empty without a question."""
    question = question_of(kinds()[kind], arm, asked)
    if isinstance(question, str):
        return Curve(np.zeros(0), np.zeros(0))
    return curve(question, most)


def _decision(
    kind: Kind, arm: ArmResult, reference: ArmResult | None, asked: Decisions
) -> Decision:
    question = question_of(kind, arm, asked)
    if isinstance(question, str):
        return _nothing(kind, question, asked.margin)
    mine = _seen(kind, arm, question, arm.runs)
    regrets = mine.regrets(question)
    bias, sampling = _parts(kind, question, arm, reference, mine, regrets)
    found = _answer(bias + sampling, asked.margin)
    regret = metric(regrets, "fraction", (-1.0, 1.0))
    samples = metric(mine.samples.astype(np.float64), "samples", (0.0, math.inf))
    return Decision(
        kind=kind.name,
        chosen=question.chosen,
        best=question.best_share,
        regret=regret,
        bias=metric(bias, "fraction"),
        sampling=metric(sampling, "fraction"),
        worse=metric(bias + sampling, "fraction"),
        effective_samples=_effective(question, regret, samples),
        samples=samples,
        answer=found,
        why=reason(metric(bias, "fraction"), metric(sampling, "fraction"), asked.margin)
        if found.kind is answers.Kind.SKEWED
        else "",
        unjudged=REFERENCE if arm is reference else "" if bias.size else INCOMPARABLE,
    )


def _effective(question: Question, regret: Metric, samples: Metric) -> Metric:
    """How many random samples have the mean regret, on average; ends by the regret's own.

    Of the mean, not of each replication: a single choice is right or wrong, whatever it is from.
    """
    if regret.mean is None or samples.mean is None:
        return metric([], "samples")
    had = round(samples.mean)
    random = curve(question, had)
    found = random.as_many_as(regret.mean, had)
    if not isinstance(regret.ci95, tuple):
        return Metric(found, regret.ci95, regret.n, "samples")
    low, high = (random.as_many_as(end, had) for end in reversed(regret.ci95))
    return Metric(found, (low, high), regret.n, "samples")


def _answer(worse: F64, margin: float) -> Answer:
    m = metric(worse, "fraction")
    needed = _needed(finite(worse), margin) if isinstance(m.ci95, tuple) else None
    found = answers.answer(m.mean, m.ci95, margin, n=m.n, terms=WORSE)
    return replace(found, needed=needed) if found.kind is answers.Kind.OPEN else found


def _needed(worse: F64, margin: float) -> int | None:
    room = abs(margin - abs(float(worse.mean())))
    return replications(float(worse.std(ddof=1)), room, alpha=ANSWER_ALPHA, at_least=worse.size + 1)


def reason(bias: Metric, sampling: Metric, margin: float) -> str:
    """Why it is worse: what is beyond the margin for certain, else the larger part."""
    parts = {"bias": bias, "too few samples": sampling}
    certain = [
        name
        for name, m in parts.items()
        if answers.answer(m.mean, m.ci95, margin, n=m.n).kind is answers.Kind.SKEWED
    ]
    if certain:
        return " and ".join(certain)
    return "mostly " + max(parts, key=lambda name: parts[name].mean or 0.0)


def _seen(kind: Kind, arm: ArmResult, question: Question, runs: Sequence[RunResult]) -> _Runs:
    cells = np.array([kind.seen(arm, question, run) for run in runs], np.int64)
    samples = [sum(int(v.profile.sum()) for v in run.vcpus) for run in runs]
    return _Runs(cells.reshape(len(runs), -1), np.array(samples, np.int64))


def _parts(
    kind: Kind,
    question: Question,
    arm: ArmResult,
    reference: ArmResult | None,
    mine: _Runs,
    regrets: F64,
) -> tuple[F64, F64]:
    """Bias and sampling by replication [n]; none without a baremetal arm of the same stream."""
    if reference is None or not _same_stream(arm, reference):
        return np.zeros(0), np.zeros(0)
    n = min(len(arm.runs), len(reference.runs))
    bare = _seen(kind, reference, question, reference.runs[:n])
    whole = bare.regrets(question)
    fewer = np.array([_thinned_regret(question, bare, int(mine.samples[r]), r) for r in range(n)])
    return regrets[:n] - fewer, fewer - whole


def _thinned_regret(question: Question, bare: _Runs, n: int, r: int) -> float:
    """Mean regret of baremetal's replication `r` with `n` of its samples."""
    cells, samples = bare.cells[r], int(bare.samples[r])
    if n >= samples:
        return _regret(question, cells)
    rng = np.random.default_rng([r, n, len(cells)])
    drawn = [thinned(cells, samples, n, rng) for _ in range(THINNINGS)]
    return float(np.mean([_regret(question, counts) for counts in drawn]))


def _same_stream(arm: ArmResult, reference: ArmResult) -> bool:
    """Do both sample the same ops?"""
    if arm.visits is None or reference.visits is None:
        return False
    return np.array_equal(arm.visits.members, reference.visits.members)


def _nothing(kind: Kind, why: str, margin: float) -> Decision:
    fraction, samples = metric([], "fraction"), metric([], "samples")
    return Decision(
        kind=kind.name,
        chosen=why,
        best=None,
        regret=fraction,
        bias=fraction,
        sampling=fraction,
        worse=fraction,
        effective_samples=samples,
        samples=samples,
        answer=answers.answer(None, None, margin, n=0, terms=WORSE, why=why),
        why="",
        unjudged=why,
    )
