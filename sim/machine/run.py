"""One run of a machine: which replication it is, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sim import draws
from sim.results import Watch


@dataclass(frozen=True, slots=True)
class Run:
    """Which replication, with which draws, and what to keep."""

    arm: str
    seed: int
    replication: int
    keep_records: bool = False
    keep_log: bool = False
    stop_at: tuple[int, ...] = ()
    """First op that a vCPU does not execute, per vCPU; empty: the stream's end."""
    locate_losses: bool = True
    """Count lost ops by where they are in the code, besides how many."""
    watch: Callable[[int], Watch] | None = None
    """Who is told the op of each record of a vCPU."""

    def key(self, vcpu: int, component: str) -> int:
        """Of the draws of one of a vCPU's components."""
        return draws.key(self.seed, self.replication, vcpu, component)
