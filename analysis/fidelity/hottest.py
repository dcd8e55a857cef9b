"""The ten hottest of a profile beside the truth's: the same ten in the same order, or who moved.

Of the mean profile over replications: what a reader of many runs would see. A single run has more
noise, which `profile.<view>.top10_vs_truth` measures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.fidelity import profiles
from analysis.fidelity.distances import TOP
from analysis.fidelity.skew import Level
from analysis.statistics.intervals import F64

if TYPE_CHECKING:
    from sim.runs.batch import ArmResult

NAMED = 3
"""Groups that are named; the others are counted."""


def order(p: F64) -> list[int]:
    """The largest groups that have a share, hottest first; ties go to the lower index."""
    ranked = np.argsort(-p, kind="stable")[:TOP]
    return [int(k) for k in ranked if p[k] > 0]


def moved(arm: ArmResult, by: Level) -> str:
    """``same ten, same order``, who changes places, or who comes and goes; empty if no samples."""
    counts = profiles.sampled(arm, by)
    counts = counts[counts.sum(axis=1) > 0]
    if not counts.size:
        return ""
    truth = order(profiles.shares(profiles.truths(arm, by)).mean(axis=0))
    ours = order(profiles.shares(counts).mean(axis=0))
    names = profiles.names(arm, by)
    size = f"same {_number(len(truth))}"
    if ours == truth:
        return f"{size}, same order"
    gone = [names[k] for k in truth if k not in ours]
    come = [names[k] for k in ours if k not in truth]
    if not gone and not come:
        shifted = [names[k] for k, other in zip(ours, truth, strict=True) if k != other]
        return f"{size}, another order: {_listed(shifted)}"
    return f"{_listed(come) or 'none'} instead of {_listed(gone) or 'none'}"


def _number(size: int) -> str:
    return "ten" if size == TOP else str(size)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"
