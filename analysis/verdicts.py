"""Verdicts: an equivalence claim, or a plain statement that the data cannot decide.

"This arm samples like baremetal" is the alternative of two one-sided t-tests (TOST) against a
margin. A verdict carries effect, interval, margin, n and one sentence, never a bare bool; SKIP
and UNDECIDED are not PASS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from analysis import profiles
from analysis.profiles import By
from analysis.stats import F64, Interval, finite, no_variance, t_cdf, t_interval, t_quantile

if TYPE_CHECKING:
    from sim.runs.batch import ArmResult

SHARE_MARGIN = 0.5
"""Percentage points: a change of a symbol's share that no reader acts on."""
SMALL_SHARE = 0.001
"""Symbols below this share on both sides are judged together."""


class Status(StrEnum):
    """The four answers."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer. `interval` has level 1 − 2α (90 % by default), the one TOST goes by."""

    status: Status
    effect: float | None
    interval: Interval
    margin: float
    n: int
    unit: str
    sentence: str

    def as_dict(self) -> dict[str, object]:
        """Plain values for `result.json`."""
        given = self.interval
        return {
            "status": self.status.value,
            "effect": self.effect,
            "interval": list(given) if isinstance(given, tuple) else given,
            "margin": self.margin,
            "n": self.n,
            "unit": self.unit,
            "sentence": self.sentence,
        }


def skip(margin: float, unit: str, why: str) -> Verdict:
    """The check makes no sense here."""
    return Verdict(Status.SKIP, None, None, margin, 0, unit, why)


def tost_p(values: F64, margin: float) -> float:
    """p-value of two one-sided t-tests that the mean of `values` [n ≥ 2] lies within ± margin."""
    se = float(values.std(ddof=1)) / math.sqrt(values.size)
    mean, df = float(values.mean()), values.size - 1
    return max(t_cdf((mean - margin) / se, df), t_cdf(-(mean + margin) / se, df))


def tost(
    differences: ArrayLike, margin: float, *, unit: str, what: str, alpha: float = 0.05
) -> Verdict:
    """Is the mean of per-replication `differences` [n] within ± margin?

    Wrong PASS: at most `alpha`. Wrong FAIL: at most `alpha`, up to 2 `alpha` if the margin is far
    below the standard error.
    """
    values = finite(differences)
    n = int(values.size)
    if n == 0:
        return skip(margin, unit, f"{what}: no replication has a value")
    effect = float(values.mean())
    if n < 2:
        return Verdict(
            Status.SKIP,
            effect,
            None,
            margin,
            n,
            unit,
            f"{what}: one replication has no spread; run 2 or more",
        )
    if no_variance(values):
        return Verdict(
            Status.SKIP,
            effect,
            "exact",
            margin,
            n,
            unit,
            f"{what}: all {n} replications differ by {effect:+.3g} {unit}; "
            "no variance, so nothing to test",
        )
    low, high = t_interval(values, 1 - 2 * alpha)
    status = _status(low, high, margin)
    return Verdict(
        status,
        effect,
        (low, high),
        margin,
        n,
        unit,
        f"{what}: {effect:+.3g} {unit}, interval {low:+.3g} to {high:+.3g}, {n} replications: "
        + _reading(status, values, margin, alpha),
    )


def _status(low: float, high: float, margin: float) -> Status:
    if -margin < low and high < margin:
        return Status.PASS
    if low > margin or high < -margin:
        return Status.FAIL
    return Status.UNDECIDED


def _reading(status: Status, values: F64, margin: float, alpha: float) -> str:
    if status is Status.PASS:
        return f"within ±{margin:g}"
    if status is Status.FAIL:
        return f"beyond ±{margin:g}"
    needed = replications_needed(values, margin, alpha)
    if needed is None:
        return f"too close to ±{margin:g} to tell"
    return f"cannot tell for ±{margin:g}; about {needed} replications would"


def replications_needed(
    values: F64, margin: float, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Replications for a decision with `power`, if effect and spread are what `values` show."""
    room = abs(margin - abs(float(values.mean())))
    sd = float(values.std(ddof=1))
    if room < 1e-3 * sd:
        return None
    df = values.size - 1
    quantiles = t_quantile(1 - alpha, df) + t_quantile(power, df)
    return max(values.size + 1, math.ceil((quantiles * sd / room) ** 2))


def same_shares(
    arm: ArmResult,
    baseline: ArmResult | None,
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
    if baseline is None:
        return skip(margin, unit, "no baremetal arm to compare with")
    if arm is baseline:
        return skip(margin, unit, "this is the baseline")
    basis = profiles.basis(arm, baseline)
    if basis is None:
        return skip(margin, unit, "not the same ops of the same stream (an arm ended early?)")
    names, columns = _columns(arm, baseline, by)
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


def _columns(arm: ArmResult, baseline: ArmResult, by: By) -> tuple[list[str], F64]:
    """Names and differences [replications, groups], pp; small groups are added up into one."""
    differences = 100 * profiles.share_differences(arm, baseline, by)
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
        if _status(low, high, margin) is Status.FAIL:
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
