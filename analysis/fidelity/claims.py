"""The claim that an arm samples like baremetal: every group's share within a margin.

Paired and signed, replication by replication; an arm that ended early is held against baremetal on
the ops that both executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.fidelity import profiles
from analysis.fidelity.profiles import By
from analysis.statistics.intervals import F64, t_interval
from analysis.statistics.verdicts import Status, Verdict, skip, status_of, tost

if TYPE_CHECKING:
    from sim.runs.batch import ArmResult

SHARE_MARGIN = 0.5
"""Percentage points: a change of a symbol's share that no reader acts on."""
SMALL_SHARE = 0.001
"""Symbols below this share on both sides are judged together."""


def same_shares(
    arm: ArmResult,
    reference: ArmResult | None,
    *,
    by: By = "symbol",
    margin: float = SHARE_MARGIN,
    alpha: float = 0.05,
) -> Verdict:
    """Does every group have baremetal's share within ± margin (percentage points, paired, signed)?

    PASS needs every group to pass at `alpha` (intersection-union: no correction); FAIL needs one
    group beyond the margin in a two-sided interval at `alpha` over the number of groups.
    """
    unit = "pp"
    if reference is None:
        return skip(margin, unit, "no baremetal arm to compare with")
    if arm is reference:
        return skip(margin, unit, "this is the reference arm")
    basis = profiles.basis(arm, reference)
    if basis is None:
        return skip(margin, unit, "not the same ops of the same stream (an arm ended early?)")
    names, columns = _columns(arm, reference, by)
    if not columns.size:
        return skip(margin, unit, "no samples")
    every = [
        tost(column, margin, unit=unit, what=f"share of {name}", alpha=alpha)
        for name, column in zip(names, columns.T, strict=True)
    ]
    found = _family(every, columns, margin, alpha)
    return found if basis == "whole" else _with(found, found.status, _prefix_note(arm))


def _prefix_note(arm: ArmResult) -> str:
    ops = [v.ended_at_op for run in arm.runs for v in run.vcpus]
    shown = f"{min(ops):,}" if min(ops) == max(ops) else f"{min(ops):,} to {max(ops):,}"
    return f"on the common prefix: baremetal stopped where this arm ended, {shown} ops"


def _columns(arm: ArmResult, reference: ArmResult, by: By) -> tuple[list[str], F64]:
    """Names and differences [replications, groups], pp; small groups are added up into one."""
    differences = 100 * profiles.share_differences(arm, reference, by)
    differences = differences[np.isfinite(differences).all(axis=1)]
    total = profiles.truths(arm, by).sum(axis=0)
    share = total / max(1, int(total.sum()))
    large = share >= SMALL_SHARE
    names = profiles.names(arm, by)
    chosen = [names[i] for i in np.flatnonzero(large)]
    if not differences.size:
        return [], np.zeros((0, 0))
    columns = differences[:, large]
    if large.all() or not differences[:, ~large].any():
        return chosen, columns
    rest = differences[:, ~large].sum(axis=1, keepdims=True)
    return [*chosen, "all smaller ones"], np.hstack([columns, rest])


def _family(every: list[Verdict], columns: F64, margin: float, alpha: float) -> Verdict:
    """One verdict for all groups: the one whose difference is largest speaks."""
    worst = max(every, key=lambda v: abs(v.effect or 0.0))
    if all(v.interval == "exact" for v in every):
        return worst
    open_ones = [v for v in every if v.interval != "exact" or abs(v.effect or 0.0) >= margin]
    if all(v.status is Status.PASS for v in open_ones):
        return _with(worst, Status.PASS, f"largest shift of {len(every)}")
    for k in np.argsort(-np.abs(columns.mean(axis=0)), kind="stable"):
        if every[k].interval == "exact" or every[k].n < 2:
            continue
        low, high = t_interval(columns[:, k], 1 - alpha / len(every))
        if status_of(low, high, margin) is Status.FAIL:
            return _with(every[k], Status.FAIL, f"{len(every)} tested")
    undecided = [v for v in every if v.status not in (Status.PASS, Status.SKIP)]
    if not undecided:
        return worst
    return _with(max(undecided, key=lambda v: abs(v.effect or 0.0)), Status.UNDECIDED, "")


def _with(verdict: Verdict, status: Status, note: str) -> Verdict:
    sentence = f"{verdict.sentence} ({note})" if note else verdict.sentence
    return Verdict(
        status, verdict.effect, verdict.interval, verdict.margin, verdict.n, verdict.unit, sentence
    )
