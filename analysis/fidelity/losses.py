"""Loss: population ops that no sample can stand for, by cause and by symbol.

Loss is not skew. Skew needs loss that is correlated with code; `loss_skew` says how far a perfect,
noise-free profile of what was left would be from the truth, and `predicted_bias` in which symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis import theory
from analysis.columns import LOSS_TABLE
from analysis.fidelity import profiles
from analysis.fidelity.profiles import I64, By
from analysis.fidelity.remembering import remembered
from analysis.statistics.intervals import F64, SHARE, Metric, metric
from analysis.tables import Table, of_rows
from sim.ledger import LOSS_LABELS, OpLabel

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult

NEAR = 10**0.5
"""Two losses are of one order if they differ by less than this factor."""


def population_ops(run: RunResult) -> int:
    """Executed ops of the population, all vCPUs of a replication."""
    outside = OpLabel.NOT_IN_POPULATION
    return sum(v.ledgers.ops.executed - v.ledgers.ops.by_label[outside] for v in run.vcpus)


def lost_ops(run: RunResult, label: OpLabel) -> int:
    """Ops of one label, all vCPUs of a replication."""
    return sum(v.ledgers.ops.by_label[label] for v in run.vcpus)


def loss_fraction(arm: ArmResult, label: OpLabel) -> Metric:
    """Ops of one loss label as a fraction of population ops."""
    values = [_ratio(lost_ops(r, label), population_ops(r)) for r in arm.runs]
    return metric(values, "fraction", SHARE)


def total_loss(arm: ArmResult) -> Metric:
    """Ops lost for any cause as a fraction of population ops."""
    values = [
        _ratio(sum(lost_ops(r, label) for label in LOSS_LABELS), population_ops(r))
        for r in arm.runs
    ]
    return metric(values, "fraction", SHARE)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def same_order(loss: float, reference: float) -> bool:
    """True if `loss` is at most of the order of `reference` (both fractions)."""
    return loss <= reference * NEAR


@dataclass(frozen=True, slots=True)
class SymbolLoss:
    """Loss inside one group: ops lost of ops in the truth, mean over replications."""

    label: str
    share: float
    loss: float
    bias: float
    """Predicted share minus true share if only the loss acted; mean over replications."""
    ops: float
    """Ops of the group in one replication, all vCPUs."""


def explained(arm: ArmResult) -> bool:
    """True if lost ops can be set against the truth: no filter that depends on the single op."""
    spe_filter = arm.arm.settings.spe.filter
    levels = (spe_filter.event_filter, spe_filter.inv_data_src_filter)
    return spe_filter.min_latency == 0 and not any(levels)


@remembered
def _lost_cells(arm: ArmResult) -> I64:
    """Ops lost [replications, cells], but for cells of which nothing passes the filter."""
    passing = arm.truth if arm.prefix is None else arm.prefix.truth
    lost = np.stack([sum(v.lost for v in run.vcpus) for run in arm.runs])
    return np.where(passing > 0, lost, 0)


@remembered
def _kept(arm: ArmResult, by: By) -> tuple[F64, F64]:
    """(truth, lost), both [replications, groups], over cells that pass the filter."""
    rows = (profiles.group(row, arm.stream, by) for row in _lost_cells(arm))
    grouped = np.stack(list(rows)).astype(np.float64)
    whole = profiles.truths(arm, by).astype(np.float64)
    return whole, np.minimum(grouped, whole)


@remembered
def biases(arm: ArmResult, by: By) -> F64:
    """Predicted minus true share [replications, groups] if only each replication's loss acted."""
    rows = zip(*_kept(arm, by), strict=True)
    return np.stack([theory.loss_bias(w / w.sum(), _fractions(gone, w)) for w, gone in rows])


def loss_skew(arm: ArmResult, by: By) -> Metric:
    """Total variation from the truth of a noise-free profile of the ops that were not lost."""
    if not explained(arm) or not arm.truth.any():
        return metric([], "fraction")
    moved = np.abs(biases(arm, by)).sum(axis=1) / 2
    return metric([float(x) for x in moved], "fraction", SHARE)


def loss_by_symbol(arm: ArmResult, by: By = "symbol") -> list[SymbolLoss]:
    """Loss and predicted bias of every group in the truth, largest absolute bias first.

    The bias is the mean of the replications' own: one that loses more is biased more, and a mean
    profile counts it like any other. Replications that keep nothing have no profile, so no bias.
    """
    if not explained(arm) or not arm.truth.any():
        return []
    whole, lost = _kept(arm, by)
    ops = whole.mean(axis=0)
    p = ops / ops.sum()
    loss = _fractions(lost.mean(axis=0), ops)
    some_left = (lost < whole).any(axis=1)
    bias = biases(arm, by)[some_left].mean(axis=0) if some_left.any() else np.zeros_like(p)
    names = profiles.labels(arm.stream, by)
    rows = [
        SymbolLoss(names[i], float(p[i]), float(loss[i]), float(bias[i]), float(ops[i]))
        for i in np.flatnonzero(ops)
    ]
    return sorted(rows, key=lambda row: (-abs(row.bias), row.label))


def _fractions(lost: F64, whole: F64) -> F64:
    return np.divide(lost, whole, out=np.zeros_like(whole), where=whole > 0)


def loss_table(arms: Sequence[ArmResult], by: By = "symbol") -> Table:
    """arm, by, group, truth_share, truth_ops, lost_ops, loss, bias: where the loss falls.

    One row per arm and group of the truth, largest absolute bias first; arms with a filter that
    depends on the single op have none (see `explained`).
    """
    rows = (
        (a.arm.name, by, s.label, s.share, s.ops, s.loss * s.ops, s.loss, s.bias)
        for a in arms
        for s in loss_by_symbol(a, by)
    )
    return of_rows(rows, LOSS_TABLE)
