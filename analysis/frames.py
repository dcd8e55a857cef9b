"""Frames: results in, tidy tables out. One row per (arm, replication, vCPU, thing).

Ticks are 1/64 core cycle; ops and counts are integers. Arms keep the order of the scenario.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis.fidelity import profiles
from analysis.fidelity.profiles import By
from analysis.tables import Table, concat, of_rows
from sim.results import Blackouts, log_linear_edge

if TYPE_CHECKING:
    from sim.results import VcpuResult
    from sim.runs.batch import ArmResult


class Key(NamedTuple):
    """What every row is about."""

    arm: str
    replication: int
    vcpu: int


KEY = Key._fields
PROFILE_COLUMNS = ("arm", "replication", "group", "samples", "share", "truth_share")


def _each(arms: Iterable[ArmResult]) -> Iterator[tuple[Key, VcpuResult]]:
    for arm in arms:
        for run in arm.runs:
            for number, vcpu in enumerate(run.vcpus):
                yield Key(arm.arm.name, run.replication, number), vcpu


def ledger_table(arms: Iterable[ArmResult]) -> Table:
    """arm, replication, vcpu, ledger, entry, amount (ops, selections or ticks): all ledgers."""
    rows = (
        (*key, ledger, entry, amount)
        for key, vcpu in _each(arms)
        for ledger, entries in vcpu.ledgers.as_dict().items()
        for entry, amount in entries.items()
    )
    return of_rows(rows, (*KEY, "ledger", "entry", "amount"))


def blackouts_table(arms: Iterable[ArmResult]) -> Table:
    """arm, replication, vcpu, cause, axis (ops or ticks), length, count: blackout histograms.

    `length` is the lower edge of a log-linear bin, at most 6.3 % below the true value.
    """
    rows = (
        (*key, cause, axis, log_linear_edge(index), count)
        for key, vcpu in _each(arms)
        for cause, blackouts in sorted(vcpu.blackouts.items())
        for axis, hist in (("ops", blackouts.ops_hist), ("ticks", blackouts.ticks_hist))
        for index, count in sorted(hist.items())
    )
    return of_rows(rows, (*KEY, "cause", "axis", "length", "count"))


def profile_table(arms: Sequence[ArmResult], by: By = "symbol") -> Table:
    """arm, replication, group, samples, share, truth_share; groups in neither are left out.

    `truth_share` is the exact share of executed ops that pass population and filter. Arms without
    the view (latency, if no records were kept) have no rows.
    """
    parts = [_profile_of(arm, by) for arm in arms if profiles.has(arm, by)]
    return concat(parts, PROFILE_COLUMNS)


def _profile_of(arm: ArmResult, by: By) -> Table:
    counts = profiles.sampled(arm, by)
    whole = profiles.truths(arm, by)
    present = np.flatnonzero((whole > 0).any(axis=0) | (counts > 0).any(axis=0))
    names = np.array(profiles.names(arm, by), dtype=object)[present]
    reps = len(arm.runs)
    return Table(
        {
            "arm": np.full(present.size * reps, arm.arm.name, dtype=object),
            "replication": np.repeat([run.replication for run in arm.runs], present.size),
            "group": np.tile(names, reps),
            "samples": counts[:, present].ravel(),
            "share": profiles.shares(counts)[:, present].ravel(),
            "truth_share": profiles.shares(whole)[:, present].ravel(),
        }
    )


def merged_blackouts(arm: ArmResult) -> dict[str, Blackouts]:
    """Blackouts by cause, all replications and vCPUs together, causes in alphabetical order."""
    out: dict[str, Blackouts] = {}
    for _, vcpu in _each([arm]):
        for cause, more in vcpu.blackouts.items():
            out.setdefault(cause, Blackouts()).merge(more)
    return dict(sorted(out.items()))


def hist_quantile(hist: dict[int, int], probability: float) -> int:
    """Lower edge of the log-linear bin that holds a quantile; 0 for an empty histogram."""
    total = sum(hist.values())
    seen = 0
    for index in sorted(hist):
        seen += hist[index]
        if seen >= probability * total:
            return log_linear_edge(index)
    return 0
