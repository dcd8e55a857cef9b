"""Slow loads: which loads does the program wait for? `perf mem report`, by total latency.

A load counts with the mean latency of its class and memory level, on both sides: how latencies
spread within a level is not in it. Latencies of presets are UNVERIFIED where the preset says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.decisions.choosing import I64, Question, listed
from analysis.decisions.kinds.hot_instructions import by_pc
from analysis.fidelity.profiles import LEVELS
from sim.workload.a64 import OpClass

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult


def _loads(arm: ArmResult) -> I64:
    """Cells of loads, static × 8 + level."""
    load = np.isin(arm.stream.static_class, (OpClass.LOAD, OpClass.ATOMIC))
    return np.flatnonzero(np.repeat(load, LEVELS))


@dataclass(frozen=True, slots=True)
class SlowLoads:
    """The loads with the largest sums of latency; worth: cycles that all their executions take."""

    name: str = "slow-loads"
    asks: str = "which loads to prefetch or to restructure (perf mem report)"
    top: str = "20"

    def question(self, arm: ArmResult, top: str) -> Question | str:
        """By address of the load; cells are (static op, memory level)."""
        assert arm.visits is not None
        cells = _loads(arm)
        truth = arm.visits.members[cells]
        if not truth.any():
            return "no load passes the filters"
        others = int(arm.visits.members.sum()) - int(truth.sum())
        item = np.unique(by_pc(arm.stream)[cells // LEVELS], return_inverse=True)[1]
        each = arm.visits.cycles[cells]
        return listed(self.name, "loads", truth, others, top, item=item, each=each)

    def seen(self, arm: ArmResult, question: Question, run: RunResult) -> I64:
        """Samples of loads by static op and level."""
        return np.asarray(sum(v.profile[_loads(arm)] for v in run.vcpus), np.int64)


KINDS = (SlowLoads(),)
