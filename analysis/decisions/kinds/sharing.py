"""Sharing: which cache lines do cores contend for? `perf c2c report`, peer display.

Arm's records name who gave a load its line (data source). The streams of one scenario share no
memory, so no simulated stream has contended lines; captures have (`speskew report spe`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.decisions.choosing import I64, Question

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult


@dataclass(frozen=True, slots=True)
class Sharing:
    """The lines with most loads from a peer; worth: such loads."""

    name: str = "sharing"
    asks: str = "which cache lines to pad (perf c2c report)"
    top: str = "10"

    def question(self, arm: ArmResult, top: str) -> Question | str:
        """None: threads of a scenario share no memory."""
        return "not in this stream: its threads share no memory, so no data source is a peer"

    def seen(self, arm: ArmResult, question: Question, run: RunResult) -> I64:
        """Nothing: there are no cells."""
        return np.zeros(0, np.int64)


KINDS = (Sharing(),)
