"""Verdicts of checks: PASS or FAIL, or a plain statement that the data cannot decide.

A verdict carries effect, interval, margin, n and one sentence, never a bare bool; SKIP and
UNDECIDED are not PASS. `analysis.statistics.families` decides; what is said of a profile without a
check is an `analysis.statistics.answers.Answer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from analysis.statistics.intervals import Interval


class Status(StrEnum):
    """The four answers."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer. `interval` is the one that the decision goes by."""

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
