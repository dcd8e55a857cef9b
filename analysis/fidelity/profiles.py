"""Profiles: counts per group of what was sampled, and of what a perfect profile would be.

A group is a symbol, an instruction (pc), an op class, a memory level or a bucket of latency. The
latency view exists only where records were kept. Arms are compared over equal executed ops: whole
streams, or, for an arm that ended early, exactly the ops that each of its replications executed,
against baremetal stopped at the same op (`pairs`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from analysis.fidelity.remembering import remembered
from analysis.statistics.intervals import F64
from sim.cache.identity import by_identity
from sim.runs import counterparts
from sim.runs.batch import Latency
from sim.workload.a64 import OpClass

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult, StreamTables

I64 = NDArray[np.int64]
By = Literal["symbol", "pc", "op_class", "mem_level", "latency"]
VIEWS: tuple[By, ...] = get_args(By)
STATIC_VIEWS = VIEWS[:4]
"""Views of the histogram by static op and level, which is always counted."""
LEVELS = 8
"""Levels per static op in every histogram: index static × 8 + level."""
LEVEL_NAMES = ("none", "L1", "L2", "SLC", "DRAM", "peer core", "peer cluster", "level 7")
CLASS_NAMES = tuple(op_class.name.lower() for op_class in OpClass)
UNKNOWN = "[unknown]"
_LOWER_BITS = 26
"""2^27 values below 2^26 add up to a float that is exact, and so does what is above them."""


def shares(counts: I64) -> F64:
    """Counts [..., groups] → shares; NaN where there are no samples."""
    total = counts.sum(axis=-1, keepdims=True)
    nothing = np.full(counts.shape, math.nan)
    return np.asarray(np.divide(counts, total, out=nothing, where=total > 0))


def group(counts: I64, stream: StreamTables, by: By) -> I64:
    """Histogram [static × 8 + level] → counts [groups]; see `labels` for what a group is.

    ValueError for the latency view, which no such histogram holds.
    """
    _static(by)
    table = counts.reshape(-1, LEVELS)
    if by == "mem_level":
        return np.asarray(table.sum(axis=0))
    # a sum along rows of eight takes four times as long
    per_static = np.asarray(np.einsum("ij->i", table), np.int64)
    if by == "pc":
        return per_static
    if by == "op_class":
        return _summed(per_static, stream.static_class, len(CLASS_NAMES))
    return _summed(per_static, _symbols(stream), len(stream.symbols) + 1)


@by_identity(16)
def _symbols(stream: StreamTables) -> NDArray[np.int32]:
    """Group of each static op by symbol: ops outside every symbol have the last one."""
    outside = np.int32(len(stream.symbols))
    return np.where(stream.static_symbol < 0, outside, stream.static_symbol)


@by_identity(16)
def _addresses(stream: StreamTables) -> tuple[str, ...]:
    return tuple(f"{pc:#x}" for pc in stream.static_pc.tolist())


def labels(stream: StreamTables, by: By) -> tuple[str, ...]:
    """Name of each group of `group`; symbols end with one for ops outside every symbol."""
    _static(by)
    if by == "mem_level":
        return LEVEL_NAMES
    if by == "op_class":
        return CLASS_NAMES
    if by == "pc":
        return _addresses(stream)
    return (*stream.symbols, UNKNOWN)


def _static(by: By) -> None:
    if by not in STATIC_VIEWS:
        raise ValueError(f"a histogram by static op and memory level has no view by {by}")


def _summed(values: I64, index: NDArray[np.integer], groups: int) -> I64:
    """Exact: `bincount` adds floats, so the upper and the lower bits are added on their own."""
    upper = np.bincount(index, values >> _LOWER_BITS, groups).astype(np.int64)
    lower = np.bincount(index, values & (1 << _LOWER_BITS) - 1, groups).astype(np.int64)
    return np.asarray((upper << _LOWER_BITS) + lower)


def latency_labels(buckets: int) -> tuple[str, ...]:
    """Cycles of each latency bucket; the last one holds saturated counters too."""
    return ("0", "1", *(f"{1 << k}-{(2 << k) - 1}" for k in range(1, buckets - 1)))


def names(arm: ArmResult, by: By) -> tuple[str, ...]:
    """Name of each group of an arm's view."""
    if by == "latency":
        return () if arm.latency is None else latency_labels(arm.latency.truth.shape[1])
    return labels(arm.stream, by)


def has(arm: ArmResult, by: By) -> bool:
    """True if the arm has this view."""
    return by != "latency" or arm.latency is not None


@remembered
def truth(arm: ArmResult, by: By) -> I64:
    """Population members per group [groups] of one replication (the first)."""
    if by == "latency":
        return np.zeros(0, np.int64) if arm.latency is None else arm.latency.truth[0]
    return group(arm.truth, arm.stream, by)


@remembered
def truths(arm: ArmResult, by: By) -> I64:
    """Population members among what each replication executed [replications, groups]."""
    if by == "latency":
        return np.zeros((len(arm.runs), 0), np.int64) if arm.latency is None else arm.latency.truth
    if arm.prefix is None:
        return np.tile(truth(arm, by), (len(arm.runs), 1))
    return np.stack([group(row, arm.stream, by) for row in arm.prefix.truth])


@remembered
def true_shares(arm: ArmResult, by: By) -> F64:
    """Shares of `truths` [replications, groups]."""
    return shares(truths(arm, by))


@remembered
def sampled(arm: ArmResult, by: By) -> I64:
    """Recorded samples per replication and group [replications, groups], all vCPUs together."""
    return _counts(arm, arm.runs, arm.latency, by)


@remembered
def sampled_shares(arm: ArmResult, by: By) -> F64:
    """Shares of `sampled` [replications, groups]."""
    return shares(sampled(arm, by))


def _counts(arm: ArmResult, runs: Sequence[RunResult], latency: Latency | None, by: By) -> I64:
    if by == "latency":
        return np.zeros((len(runs), 0), np.int64) if latency is None else latency.sampled
    return np.stack([profile_of(arm, run, by) for run in runs])


def profile_of(arm: ArmResult, run: RunResult, by: By) -> I64:
    """Samples of one run, of the arm or of a counterpart of it [groups]."""
    return _profile(run, arm.stream, by)


@remembered
def _profile(run: RunResult, stream: StreamTables, by: By) -> I64:
    return group(_total(run, "profile"), stream, by)


def lost(arm: ArmResult, by: By) -> I64:
    """Population ops lost to the profile [replications, groups], all vCPUs together."""
    return np.stack([group(_total(run, "lost"), arm.stream, by) for run in arm.runs])


@remembered
def _total(run: RunResult, what: Literal["profile", "lost"]) -> I64:
    first, *others = (getattr(vcpu, what) for vcpu in run.vcpus)
    return np.asarray(sum(others, first))


def reference_arm(arms: Sequence[ArmResult]) -> ArmResult | None:
    """The reference arm: `baremetal` by name, else the first without a VM."""
    chosen = counterparts.reference_arm([a.arm for a in arms])
    return next((a for a in arms if a.arm is chosen), None)


def ended_early(arm: ArmResult) -> bool:
    """True if some vCPU stopped before the end of its stream."""
    return ended_at(arm) < arm.stream.ops


@remembered
def ended_at(arm: ArmResult) -> int:
    """First op that some vCPU did not execute; the stream's length if all executed all of theirs.

    A thread that is shorter than another, and ended where it ends, has missed nothing.
    """
    return min(
        arm.stream.ops if v.ended_at_op >= arm.stream.length(vcpu) else v.ended_at_op
        for run in arm.runs
        for vcpu, v in enumerate(run.vcpus)
    )


@remembered
def comparable(arm: ArmResult, reference: ArmResult | None) -> bool:
    """True if both arms executed the same ops of the same stream and counted the same truth."""
    if reference is None or ended_early(arm) or ended_early(reference):
        return False
    same = arm.stream.ops == reference.stream.ops and np.array_equal(arm.truth, reference.truth)
    return same and arm.stream.symbols == reference.stream.symbols


Basis = Literal["whole", "prefix"]
"""Equal executed ops: all of the stream, or those of an arm that ended early."""


def basis(arm: ArmResult, reference: ArmResult | None) -> Basis | None:
    """What an arm can be compared with baremetal on; None: not at all."""
    if comparable(arm, reference):
        return "whole"
    return "prefix" if reference is not None and arm.prefix is not None else None


@dataclass(frozen=True, slots=True)
class Pairs:
    """Runs to compare, replication by replication [R], over equal executed ops.

    `independent[r]` is baremetal's replication r + 1 over the ops of replication r; empty if there
    is but one.
    """

    arm: tuple[RunResult, ...]
    bare: tuple[RunResult, ...]
    independent: tuple[RunResult, ...]
    bare_latency: Latency | None
    independent_latency: Latency | None


@remembered
def pairs(arm: ArmResult, reference: ArmResult | None) -> Pairs | None:
    """What of an arm is compared with what of baremetal; None if nothing can be."""
    found = basis(arm, reference)
    if found is None or reference is None:
        return None
    if found == "prefix" and arm.prefix is not None:
        p = arm.prefix
        return Pairs(arm.runs, p.reference, p.independent, p.latency, p.independent_latency)
    n = min(len(arm.runs), len(reference.runs))
    turn = [(r + 1) % len(reference.runs) for r in range(n)]
    several = n > 1
    latency = reference.latency
    turned = None
    if latency is not None and several:
        turned = Latency(latency.sampled[turn], latency.truth[turn])
        latency = Latency(latency.sampled[:n], latency.truth[:n])
    return Pairs(
        arm=arm.runs[:n],
        bare=reference.runs[:n],
        independent=tuple(reference.runs[k] for k in turn) if several else (),
        bare_latency=latency,
        independent_latency=turned,
    )


@dataclass(frozen=True, slots=True)
class Profiles:
    """Samples to compare [R, groups]; `independent` has no row if there is one replication."""

    arm: I64
    bare: I64
    independent: I64


@remembered
def compared(arm: ArmResult, reference: ArmResult | None, by: By) -> Profiles | None:
    """An arm's samples beside baremetal's over equal executed ops; None if there are none."""
    found = pairs(arm, reference)
    if found is None or reference is None or not (has(arm, by) and has(reference, by)):
        return None
    mine = sampled(arm, by)[: len(found.arm)]
    bare = _counts(arm, found.bare, found.bare_latency, by)
    if not found.independent:
        return Profiles(mine, bare, np.zeros((0, mine.shape[1]), np.int64))
    other = _counts(arm, found.independent, found.independent_latency, by)
    return Profiles(mine, bare, other)


def share_differences(arm: ArmResult, reference: ArmResult, by: By) -> F64:
    """Share in the arm minus share in baremetal [replications, groups], paired by replication."""
    found = compared(arm, reference, by)
    if found is None:
        return np.zeros((0, 0))
    return shares(found.arm) - shares(found.bare)
