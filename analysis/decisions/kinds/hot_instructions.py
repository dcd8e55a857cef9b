"""Hot instructions: where in the code does the time go? The first lines of `perf annotate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.decisions.choosing import I64, Question, listed
from analysis.fidelity import profiles

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult, StreamTables


def by_pc(stream: StreamTables) -> I64:
    """Which address each static op has [S], numbered from 0: blocks of a recording overlap."""
    return np.asarray(np.unique(stream.static_pc, return_inverse=True)[1], np.int64)


@dataclass(frozen=True, slots=True)
class HotInstructions:
    """The instructions with most samples; worth: how often each is executed."""

    name: str = "hot-instructions"
    asks: str = "which instructions to look at (perf annotate)"
    top: str = "20"

    def question(self, arm: ArmResult, top: str) -> Question | str:
        """By address."""
        assert arm.visits is not None
        truth = profiles.group(arm.visits.members, arm.stream, "pc")
        item = by_pc(arm.stream)
        return listed(self.name, "instructions", truth, 0, top, item=item)

    def seen(self, arm: ArmResult, question: Question, run: RunResult) -> I64:
        """Samples by static op."""
        return profiles.profile_of(arm, run, "pc")


KINDS = (HotInstructions(),)
