"""Profiles, distances between them, and how much of a distance is only noise.

A profile is a count per group (symbol, pc, op class or memory level). Distances are total
variation: half the sum of absolute differences of shares, 1 − overlap. Any distance is biased
upwards by sampling noise, so each is given with a floor:

* against the truth, the expected distance of a perfect n-sample profile (multinomial);
* against baremetal, the distance of two *independent* baremetal replications, the first thinned
  to the arm's number of samples. Replication r of an arm is compared with baremetal's r + 1, and
  so is baremetal's r: the difference of the two has mean zero if the arm samples like baremetal,
  and is 0 exactly if its samples are baremetal's.

The floor covers loss that falls on random code and makes a profile noisier. A bias shows more
sharply in signed shares, replication by replication: `share_differences`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from analysis.stats import F64, SHARE, Metric, metric

if TYPE_CHECKING:
    from sim.batch import ArmResult, StreamTables

I64 = NDArray[np.int64]
By = Literal["symbol", "pc", "op_class", "mem_level"]
VIEWS: tuple[By, ...] = get_args(By)
LEVELS = 8
"""Levels per static op in every histogram: index static × 8 + level."""
LEVEL_NAMES = ("none", "L1", "L2", "SLC", "DRAM", "level 5", "level 6", "level 7")
CLASS_NAMES = ("other", "load", "store", "atomic", "branch")
UNKNOWN = "[unknown]"


def tvd(p: F64, q: F64) -> float:
    """Total variation distance of two share vectors [groups], in [0, 1]."""
    return float(np.abs(p - q).sum() / 2)


def tvd_floor(p: F64, n1: float, n2: float = math.inf) -> float:
    """Expected distance of an n1-sample profile of `p` from `p`, or from an n2-sample one.

    Multinomial samples; shares neither tiny nor few (n·p large). Conservative for jittered
    selection, which is less noisy than that on long phases.
    """
    if n1 <= 0 or n2 <= 0:
        return math.nan
    return float(np.sqrt(p * (1 - p) * (1 / n1 + 1 / n2) / (2 * math.pi)).sum())


def shares(counts: I64) -> F64:
    """Counts [..., groups] → shares; NaN where there are no samples."""
    total = counts.sum(axis=-1, keepdims=True).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(counts / np.where(total > 0, total, math.nan), np.float64)


def group(counts: I64, stream: StreamTables, by: By) -> I64:
    """Histogram [static × 8 + level] → counts [groups]; see `labels` for what a group is."""
    table = counts.reshape(-1, LEVELS)
    if by == "mem_level":
        return np.asarray(table.sum(axis=0))
    per_static = np.asarray(table.sum(axis=1))
    if by == "pc":
        return per_static
    if by == "op_class":
        return _summed(per_static, stream.static_class, len(CLASS_NAMES))
    symbol = np.where(stream.static_symbol < 0, len(stream.symbols), stream.static_symbol)
    return _summed(per_static, symbol, len(stream.symbols) + 1)


def labels(stream: StreamTables, by: By) -> tuple[str, ...]:
    """Name of each group of `group`; symbols end with one for ops outside every symbol."""
    if by == "mem_level":
        return LEVEL_NAMES
    if by == "op_class":
        return CLASS_NAMES
    if by == "pc":
        return tuple(f"{int(pc):#x}" for pc in stream.static_pc)
    return (*stream.symbols, UNKNOWN)


def _summed(values: I64, index: NDArray[np.integer], groups: int) -> I64:
    out = np.zeros(groups, np.int64)
    np.add.at(out, index, values)
    return out


def truth(arm: ArmResult, by: By) -> I64:
    """Population members per group [groups] of one replication."""
    return group(arm.truth, arm.stream, by)


def sampled(arm: ArmResult, by: By) -> I64:
    """Recorded samples per replication and group [replications, groups], all vCPUs together."""
    return np.stack([group(_total(arm, r, "profile"), arm.stream, by) for r in _reps(arm)])


def lost(arm: ArmResult, by: By) -> I64:
    """Population ops lost to the profile [replications, groups], all vCPUs together."""
    return np.stack([group(_total(arm, r, "lost"), arm.stream, by) for r in _reps(arm)])


def _reps(arm: ArmResult) -> range:
    return range(len(arm.runs))


def _total(arm: ArmResult, replication: int, what: Literal["profile", "lost"]) -> I64:
    out = np.zeros_like(arm.truth)
    for vcpu in arm.runs[replication].vcpus:
        out += getattr(vcpu, what)
    return out


def baseline_of(arms: Sequence[ArmResult]) -> ArmResult | None:
    """The arm that others are compared with: `baremetal` by name, else the first without a VM."""
    bare = [a for a in arms if not a.arm.policies.virtual]
    named = [a for a in bare if a.arm.name == "baremetal"]
    return next(iter(named or bare), None)


def ended_early(arm: ArmResult) -> bool:
    """True if some vCPU stopped before the end of its stream."""
    return any(v.ended_at_op < arm.stream.ops for run in arm.runs for v in run.vcpus)


def comparable(arm: ArmResult, baseline: ArmResult | None) -> bool:
    """True if both arms executed the same ops of the same stream and counted the same truth."""
    if baseline is None or ended_early(arm) or ended_early(baseline):
        return False
    same = arm.stream.ops == baseline.stream.ops and np.array_equal(arm.truth, baseline.truth)
    return same and arm.stream.symbols == baseline.stream.symbols


@dataclass(frozen=True, slots=True)
class Distances:
    """Total variation distances of one arm in one view; fractions in [0, 1].

    `tvd_excess` is the part of `tvd_vs_baremetal` above `tvd_noise_floor`, per replication, signed.
    """

    tvd_vs_truth: Metric
    tvd_truth_floor: Metric
    tvd_vs_baremetal: Metric
    tvd_noise_floor: Metric
    tvd_excess: Metric

    def as_dict(self) -> dict[str, dict[str, object]]:
        """Contract names (`profile.<view>`)."""
        return {name: getattr(self, name).as_dict() for name in self.__slots__}


def distances(arm: ArmResult, baseline: ArmResult | None, by: By) -> Distances:
    """How far an arm's profile is from the truth and from baremetal's, with noise floors."""
    counts = sampled(arm, by)
    p_hat, p = shares(counts), shares(truth(arm, by))
    n = counts.sum(axis=1)
    to_truth = [tvd(row, p) for row in p_hat]
    truth_floor = [tvd_floor(p, float(k)) for k in n]
    bare = sampled(baseline, by) if baseline is not None and comparable(arm, baseline) else None
    to_bare, floor = ([], []) if bare is None else _against(counts, bare)
    excess = np.array(to_bare) - np.array(floor)
    return Distances(
        tvd_vs_truth=metric(to_truth, "fraction", SHARE),
        tvd_truth_floor=metric(truth_floor, "fraction", SHARE),
        tvd_vs_baremetal=metric(to_bare, "fraction", SHARE),
        tvd_noise_floor=metric(floor, "fraction", SHARE),
        tvd_excess=metric(excess, "fraction"),
    )


def _against(arm: I64, bare: I64) -> tuple[list[float], list[float]]:
    """Per replication: distance of the arm, and of thinned baremetal, from an independent one.

    Both [replications, groups]. With one replication there is no independent one: NaN.
    """
    if min(len(arm), len(bare)) < 2:
        return [math.nan] * len(arm), [math.nan] * len(arm)
    to_bare, floor = [], []
    for r in range(min(len(arm), len(bare))):
        other = shares(bare[(r + 1) % len(bare)])
        to_bare.append(tvd(shares(arm[r]), other))
        floor.append(tvd(shares(thinned(bare[r], int(arm[r].sum()), r)), other))
    return to_bare, floor


def thinned(counts: I64, n: int, key: int) -> I64:
    """`n` samples of `counts` [groups] drawn without replacement; all if there are fewer."""
    if n >= counts.sum():
        return counts
    rng = np.random.default_rng([key, n])
    return np.asarray(rng.multivariate_hypergeometric(counts, n, method="marginals"))


def share_differences(arm: ArmResult, baseline: ArmResult, by: By) -> F64:
    """Share in the arm minus share in baremetal [replications, groups], paired by replication."""
    a, b = shares(sampled(arm, by)), shares(sampled(baseline, by))
    n = min(len(a), len(b))
    return a[:n] - b[:n]
