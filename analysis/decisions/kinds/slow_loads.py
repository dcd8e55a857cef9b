"""Slow loads: which loads does the program wait for? `perf mem report`, by total latency.

A sample counts with its own latency counter, to within a tenth (`sim.runs.seen.waits`), and the
truth with what all executions take, whose latencies follow the law of their class and memory level.
Latencies of presets are UNVERIFIED where the preset says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.decisions.choosing import I64, Question, aligned, listed
from analysis.decisions.kinds.hot_instructions import by_pc
from analysis.fidelity.profiles import LEVELS
from sim.runs.seen.sightings import WAITS
from sim.runs.seen.waits import CLASSES, LOADS
from sim.units import TICKS_PER_CYCLE

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult


def _keys(rows: I64) -> I64:
    """One number for each cell and class of rows."""
    return np.asarray(rows[:, 0] * CLASSES.size + rows[:, 1], np.int64)


@dataclass(frozen=True, slots=True)
class SlowLoads:
    """The loads with the largest sums of latency; worth: cycles that all their executions take."""

    name: str = "slow-loads"
    asks: str = "which loads to prefetch or to restructure (perf mem report)"
    top: str = "20"

    def question(self, arm: ArmResult, top: str) -> Question | str:
        """By address of the load; cells are (static op, memory level, class of latency)."""
        assert arm.visits is not None
        members, waits = arm.visits.members, arm.visits.waits
        if not waits.size:
            return "no load passes the filters"
        loads = np.repeat(np.isin(arm.stream.static_class, LOADS), LEVELS)
        others = int(members.sum()) - int(members[loads].sum())
        cell, _, draws, ticks = waits.T
        first = np.r_[0, np.flatnonzero(np.diff(cell)) + 1]
        passing = np.repeat(np.add.reduceat(draws, first), np.diff(np.r_[first, cell.size]))
        truth = members[cell] * (draws / passing)
        item = np.unique(by_pc(arm.stream)[cell // LEVELS], return_inverse=True)[1]
        each = ticks / TICKS_PER_CYCLE
        return listed(self.name, "loads", truth, others, top, item=item, each=each)

    def seen(self, arm: ArmResult, question: Question, run: RunResult) -> I64:
        """Samples of loads by static op, level and class of latency."""
        assert arm.visits is not None
        found = run.sightings[WAITS]
        return aligned(_keys(arm.visits.waits), _keys(found), found[:, 2])


KINDS = (SlowLoads(),)
