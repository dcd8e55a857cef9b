"""Sharing: which cache lines do cores contend for? `perf c2c report`, peer display.

Arm's records name who gave a load its line (data source). A workload of threads that share memory
has contended lines (`sim.workload.sharing`), as have captures (`speskew report spe`); a single
stream has none. An atomic counts as a load, as it does in a record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.decisions.choosing import I64, Question, aligned, listed
from sim.runs.seen.sightings import LINES
from sim.scenario.models.workloads import Threads
from sim.workload.presets import get_preset
from sim.workload.timing import PEERS

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
        """By line, of those that a peer gives to some load."""
        assert arm.visits is not None
        if isinstance(arm.arm.settings.workload, Threads) and not arm.stream.lengths:
            return "the group has one thread: there is none to share memory with"
        if not arm.stream.lengths:
            return "the workload is one stream: no memory is shared (see workload.kind: threads)"
        if not get_preset(arm.arm.settings.cpu.core).level_source()[list(PEERS)].any():
            return "records of this core do not say who gave a load its line"
        lines = arm.visits.lines
        if lines.shape[0] < 2:
            return "fewer than two cache lines come from a peer, or none such passes the filters"
        truth = lines[:, 1]
        others = int(arm.visits.members.sum()) - int(truth.sum())
        return listed(self.name, "contended lines", truth, others, top)

    def seen(self, arm: ArmResult, question: Question, run: RunResult) -> I64:
        """Sampled loads from a peer by line."""
        assert arm.visits is not None
        found = run.sightings[LINES]
        return aligned(arm.visits.lines[:, 0], found[:, 0], found[:, 1])


KINDS = (Sharing(),)
