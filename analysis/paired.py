"""Paired differences from baremetal, with `restart: hold` and `resync` side by side.

Replication r of an arm minus replication r of baremetal over equal executed ops. `hold` is the
architecture. `resync` re-aligns the jitter stream at a restart, which shrinks the variance of a
difference and is an aid of the experiment only, so no number of it stands without its twin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.columns import TABLES
from analysis.cost.perturbation import walls_ms
from analysis.fidelity import losses, profiles
from analysis.fidelity.distances import tvd
from analysis.statistics.intervals import F64, Metric, metric
from analysis.tables import Table, of_rows
from sim.ledger import LOSS_LABELS

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult

RESTARTS = ("hold", "resync")

Values = Callable[["ArmResult", Sequence["RunResult"]], F64]


def _loss(arm: ArmResult, runs: Sequence[RunResult]) -> F64:
    whole = [losses.population_ops(run) for run in runs]
    gone = [sum(losses.lost_ops(run, label) for label in LOSS_LABELS) for run in runs]
    return np.array([a / b if b else math.nan for a, b in zip(gone, whole, strict=True)])


def _delivered(arm: ArmResult, runs: Sequence[RunResult]) -> F64:
    return np.array([float(sum(v.ledgers.delivery.delivered for v in run.vcpus)) for run in runs])


def _wall(arm: ArmResult, runs: Sequence[RunResult]) -> F64:
    return walls_ms(runs, arm.clock_hz)


def _tvd(arm: ArmResult, runs: Sequence[RunResult]) -> F64:
    """Symbol profile against the truth; `arm` gives the truth, which both sides share."""
    p = profiles.true_shares(arm, "symbol")[: len(runs)]
    q = [profiles.shares(profiles.profile_of(arm, run, "symbol")) for run in runs]
    return np.array([tvd(a, b) for a, b in zip(q, p, strict=True)])


QUANTITIES: dict[str, tuple[Values, str]] = {
    "loss": (_loss, "fraction"),
    "delivered": (_delivered, "records"),
    "wall": (_wall, "ms"),
    "tvd_vs_truth": (_tvd, "fraction"),
}


def twin(arm: ArmResult | None, restart: str) -> ArmResult | None:
    """The arm with this `restart`: itself, or the twin that was run beside it."""
    if arm is None or arm.arm.settings.spe.restart == restart:
        return arm
    return arm.hold if restart == "hold" else None


def differences(arm: ArmResult, reference: ArmResult | None) -> dict[str, dict[str, Metric]]:
    """Contract names (`paired.<quantity>.<restart>`); a metric without a mean was not run."""
    out: dict[str, dict[str, Metric]] = {}
    for name, (values, unit) in QUANTITIES.items():
        out[name] = {
            r: _difference(twin(arm, r), twin(reference, r), values, unit) for r in RESTARTS
        }
    return out


def _difference(
    arm: ArmResult | None, reference: ArmResult | None, values: Values, unit: str
) -> Metric:
    found = None if arm is None else profiles.pairs(arm, reference)
    if arm is None or found is None or arm is reference:
        return metric([], unit)
    return metric(values(arm, found.arm) - values(arm, found.bare), unit)


def paired_table(arms: Sequence[ArmResult], reference: ArmResult | None) -> Table:
    """arm, quantity, restart, unit, mean, low, high, n: `differences` of every arm that has one."""
    rows = []
    for arm in arms:
        for quantity, sides in differences(arm, reference).items():
            for restart, m in sides.items():
                if m.mean is not None:
                    row = (arm.arm.name, quantity, restart, m.unit, m.mean, *m.ends(), m.n)
                    rows.append(row)
    return of_rows(rows, TABLES["paired.parquet"])
