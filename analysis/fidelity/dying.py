"""How long an event lives, where it can die: loss then depends on how long the run is.

An event that a fault or a buffer size event has disabled stays off, unless perf's reader enables it
again. With a constant hazard the mean life is the time profiled over the deaths, and the deaths are
Poisson: the exact 95 % interval has the quantiles of χ². Runs that end alive count with their time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.statistics.tails import chi2_exceeded
from sim.ledger import OpLabel
from sim.units import TICKS_PER_CYCLE

if TYPE_CHECKING:
    from sim.results import VcpuResult
    from sim.runs.batch import ArmResult


@dataclass(frozen=True, slots=True)
class Life:
    """`died` of `events` (one per vCPU and replication), after `mean` seconds of profiling."""

    died: int
    events: int
    mean: float
    low: float
    high: float


def life(arm: ArmResult) -> Life | None:
    """The life of an arm's events; None if none died, or if the reader enables them again."""
    if arm.arm.settings.driver.reader.kind != "keeps_up":
        return None
    vcpus = [v for run in arm.runs for v in run.vcpus]
    died = sum(_disabled(v) > 0 for v in vcpus)
    if not died:
        return None
    lived = sum(_alive_ticks(vcpus)) / (TICKS_PER_CYCLE * arm.clock_hz)
    low, high = (2 * lived / chi2_exceeded(2 * k, p) for k, p in ((died + 1, 0.025), (died, 0.975)))
    return Life(died, len(vcpus), lived / died, low, high)


def _disabled(vcpu: VcpuResult) -> int:
    return vcpu.ledgers.ops.by_label[OpLabel.EVENT_DISABLED]


def _alive_ticks(vcpus: list[VcpuResult]) -> Iterator[float]:
    """Running time before the event is disabled; code takes as long before that as after."""
    for v in vcpus:
        ops = v.ledgers.ops
        yield v.ledgers.time.running * (1 - _disabled(v) / max(1, ops.executed))
