"""Loss and skew as bands over what nobody has measured, as `analysis.cost.perturbation` for time.

Ends of a band: replication 0 run again with every UNVERIFIED time at the low, then at the high end
of its plausible range (`sim.runs.counterparts`): the interrupt's latency, on which all blackouts
hang, with the tail of a distribution at the high end. What that changes is added to the mean over
replications. An arm that ends at another op there has no band.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.fidelity import losses, profiles
from analysis.fidelity.distances import tvd
from analysis.statistics.intervals import F64
from sim.ledger import LOSS_LABELS

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult


@dataclass(frozen=True, slots=True)
class Ends:
    """The least and the most that a fraction may be."""

    low: float
    high: float


def loss(arm: ArmResult) -> Ends | None:
    """Ops lost of population ops, over the UNVERIFIED times; None without a band."""
    return _ends(arm, _lost)


def skew(arm: ArmResult) -> Ends | None:
    """TVD of the symbol profile from the truth, over the UNVERIFIED times; None without a band."""
    truth = profiles.true_shares(arm, "symbol")[0]

    def distance(run: RunResult) -> float:
        return tvd(profiles.shares(profiles.profile_of(arm, run, "symbol")), truth)

    return _ends(arm, distance)


def _lost(run: RunResult) -> float:
    population = losses.population_ops(run)
    lost = sum(losses.lost_ops(run, label) for label in LOSS_LABELS)
    return lost / population if population else float("nan")


def _ends(arm: ArmResult, value: Callable[[RunResult], float]) -> Ends | None:
    runs = list(_runs_at_the_ends(arm))
    if not runs:
        return None
    here = np.array([value(run) for run in arm.runs])
    found: F64 = here.mean() + np.array([0.0, *(value(run) - here[0] for run in runs)])
    if not np.isfinite(found).all():
        return None
    low, high = np.clip([found.min(), found.max()], 0.0, 1.0)
    return Ends(float(low), float(high))


def _runs_at_the_ends(arm: ArmResult) -> Iterator[RunResult]:
    """Replication 0 at each end; none if one of them executed other ops."""
    if arm.band is None:
        return
    runs = [run for run in (arm.band.low, arm.band.high, arm.band.unmapping) if run is not None]
    here = [v.ended_at_op for v in arm.runs[0].vcpus]
    if all([v.ended_at_op for v in run.vcpus] == here for run in runs):
        yield from runs
