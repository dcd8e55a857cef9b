"""Verdicts: an equivalence claim, or a plain statement that the data cannot decide.

"This arm samples like baremetal" is the alternative of two one-sided t-tests (TOST) against a
margin. A verdict carries effect, interval, margin, n and one sentence, never a bare bool; SKIP
and UNDECIDED are not PASS.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from numpy.typing import ArrayLike

from analysis.statistics.intervals import (
    F64,
    Interval,
    finite,
    no_variance,
    t_interval,
)
from analysis.statistics.needed import replications


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
    status = status_of(low, high, margin)
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


def status_of(low: float, high: float, margin: float) -> Status:
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
    room = abs(margin - abs(float(values.mean())))
    needed = replications(float(values.std(ddof=1)), room, alpha=alpha, at_least=values.size + 1)
    if needed is None:
        return f"too close to ±{margin:g} to tell"
    return f"cannot tell for ±{margin:g}; about {needed} replications would"
