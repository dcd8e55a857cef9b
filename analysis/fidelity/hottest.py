"""The ten hottest of a profile beside the truth's: the same ten in the same order, or who moved.

Of the mean profile over replications, and in how many of them one profile alone says so: a user has
one run, not their mean. Groups whose true shares are nearly equal may stand for each other, since
nobody acts on which of them comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analysis.fidelity import profiles
from analysis.fidelity.distances import TOP
from analysis.fidelity.skew import Level
from analysis.statistics.intervals import F64
from analysis.symbols import brief

if TYPE_CHECKING:
    from sim.runs.batch import ArmResult

TIED = 0.95
"""A true share of this part of another one, or more, is as good as that."""
NAME = 60
"""Characters of a name."""
NAMED = 3
"""Groups that are named; the others are counted."""


def order(p: F64) -> list[int]:
    """The largest groups that have a share, hottest first; ties go to the lower index."""
    ranked = np.argsort(-p, kind="stable")[:TOP]
    return [int(k) for k in ranked if p[k] > 0]


def moved(arm: ArmResult, by: Level) -> str:
    """``same ten, same order``, who changes places, or who comes and goes; empty if no samples.

    Ends in ``(so in 5 of 8 replications)`` where a profile alone does not always say so.
    """
    counts = profiles.sampled(arm, by)
    counts = counts[counts.sum(axis=1) > 0]
    if not counts.size:
        return ""
    true = profiles.true_shares(arm, by).mean(axis=0)
    each, names = profiles.shares(counts), profiles.names(arm, by)
    found = _compared(true, each.mean(axis=0), names)
    alike = sum(_compared(true, one, names) == found for one in each)
    return found if alike == len(each) else f"{found} (so in {alike} of {len(each)} replications)"


def _compared(true: F64, profile: F64, names: Sequence[str]) -> str:
    """Of one profile, shape (groups,), shares like the truth's."""
    truth, ours = order(true), order(profile)
    enough = TIED * min(true[truth])
    come = [names[k] for k in ours if true[k] < enough]
    if come:
        gone = [k for k in truth if k not in ours][: len(come)]
        return f"{_listed(come)} instead of {_listed([names[k] for k in gone])}"
    size = f"same {_number(len(truth))}"
    late = [names[b] for a, b in pairwise(ours) if true[a] < TIED * true[b]]
    if late:
        return f"{size}, another order: {_listed(late)} too far down"
    return f"{size}, same order"


def _number(size: int) -> str:
    return "ten" if size == TOP else str(size)


def _listed(names: list[str]) -> str:
    shown = ", ".join(brief(name, NAME) for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"
