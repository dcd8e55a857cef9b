"""What a sweep is judged by, replication by replication.

Cells share their seed, so replication r of two cells draws the same random numbers: a difference
between cells is to be taken within a replication, where most of the noise cancels. The mean and
interval of a cell alone do not allow that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from analysis.cost import perturbation, rlimit
from analysis.fidelity import losses, profiles, skew
from analysis.statistics.intervals import Metric

if TYPE_CHECKING:
    from sim.runs.batch import ArmResult

Response = Callable[["ArmResult", "ArmResult | None"], Metric]

RESPONSES: dict[str, Response] = {
    "loss.total": lambda arm, _: losses.total_loss(arm),
    "time_added": perturbation.time_added,
    "rlimit.exits_per_run": lambda arm, _: rlimit.metrics(arm)["exits_per_run"],
    "skew.truth.symbol": lambda arm, _: skew.against_truth(arm, "symbol"),
}
"""Metrics by their name in `result.json`."""


def each(arms: Sequence[ArmResult]) -> dict[str, dict[str, list[float]]]:
    """Arm → metric → its value in each replication; a metric that has none somewhere is left out.

    For the metrics of `RESPONSES`, in their units.
    """
    base = profiles.reference_arm(arms)
    found = {
        arm.arm.name: {name: list(of(arm, base).values) for name, of in RESPONSES.items()}
        for arm in arms
    }
    return {
        arm: {name: row for name, row in rows.items() if row and all(map(math.isfinite, row))}
        for arm, rows in found.items()
    }
