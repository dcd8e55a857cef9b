"""Hot functions: what does whoever optimises look at first? The top of `perf report`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.decisions.choosing import I64, Question, listed
from analysis.fidelity import profiles

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult


@dataclass(frozen=True, slots=True)
class HotFunctions:
    """The functions with most samples; worth: operations executed in them."""

    name: str = "hot-functions"
    asks: str = "which functions to optimise (perf report)"
    top: str = "5"

    def question(self, arm: ArmResult, top: str) -> Question | str:
        """By symbol; a stream of one symbol leaves no choice."""
        assert arm.visits is not None
        truth = profiles.group(arm.visits.members, arm.stream, "symbol")
        if int((truth > 0).sum()) < 2:
            return "the stream has fewer than two functions"
        return listed(self.name, "functions", truth, 0, top)

    def seen(self, arm: ArmResult, question: Question, run: RunResult) -> I64:
        """Samples by symbol."""
        return profiles.profile_of(arm, run, "symbol")


KINDS = (HotFunctions(),)
