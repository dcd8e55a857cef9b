"""Locked memory and KVM_EXIT_RLIMIT: how often, how much, and at which limits.

`exit_limits` answers which RLIMIT_MEMLOCK would have been enough, from the run's own trace of the
locked-memory account:

* *last-exit limit*: no enable edge exits at this limit or above it; any lower one has an exit. It
  is the largest amount that an enable edge charged.
* *first-exit limit*: below this limit already the first charge beyond what configuration
  reserved exits; from it on, only later ones do. It is the amount after that first charge.

Between the two the exits are counted by `limits_table`: one for each new maximum above the limit.
Conditions: the VMM raises the limit by the excess and charges are whole (`vmm: raise`,
`vmm_raise: excess`, `charge: whole`, a hard limit that allows it), no two vCPUs are over it at the
same time, and the VM stays on its host: after a live migration the limit is met again. With several
vCPUs the count is the fewest there can be: those that are over the limit at once are told one
excess and set one limit, so one fits and the others exit again (k of them up to k + (k - 1) + … + 1
times). Which of them are is not in the trace: an exit takes time,
and so moves the vCPU's later charges against the others'. The exact number is that of a run with
that limit. Other answers change the number of exits, never the last-exit limit. None where no limit
matters: nothing charged, CAP_IPC_LOCK, a configuration charge that covers every enable; and
where the VMM refused, because what it would have needed later was never asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.columns import LOCKED_TABLE, TABLES
from analysis.statistics.intervals import Metric, metric
from analysis.tables import Table, of_rows
from sim.results import MAX_POINTS
from sim.units import TICKS_PER_CYCLE

if TYPE_CHECKING:
    from sim.results import LockedPoint, RunResult
    from sim.runs.batch import ArmResult


_MIB_MS = 1e3 / (1 << 20)
"""In a byte second."""


def locked_table(arms: Sequence[ArmResult]) -> Table:
    """arm, replication, t (ticks), locked_bytes, limit_bytes: each change of an account."""
    rows = (
        (arm.arm.name, run.replication, p.t, p.locked_bytes, p.limit_bytes)
        for arm in arms
        for run in arm.runs
        for p in run.locked
    )
    return of_rows(rows, LOCKED_TABLE)


def locked_mean(run: RunResult) -> float:
    """Locked bytes averaged over the run's wall time; NaN if nothing ran or the trace was cut."""
    if not run.wall or truncated(run):
        return float("nan")
    until = [*(p.t for p in run.locked[1:]), run.wall]
    area = sum(p.locked_bytes * (t - p.t) for p, t in zip(run.locked, until, strict=False))
    return area / run.wall


def truncated(run: RunResult) -> bool:
    """True if the trace of the account is full, so that later changes may be missing."""
    return len(run.locked) >= MAX_POINTS


def growth(points: Sequence[LockedPoint]) -> tuple[int, list[int]]:
    """(bytes that configuration reserved, new maxima that enable edges charged, ascending).

    Configuration happens before the first tick; every path to an enable edge takes time.
    """
    reserved = max((p.locked_bytes for p in points if p.t == 0), default=0)
    steps: list[int] = []
    highest = reserved
    for point in points:
        if point.t > 0 and point.locked_bytes > highest:
            highest = point.locked_bytes
            steps.append(highest)
    return reserved, steps


@dataclass(frozen=True, slots=True)
class ExitLimits:
    """See the module; bytes, or None where no limit makes an enable edge exit."""

    first: int | None
    last: int | None


def exit_limits(arm: ArmResult, run: RunResult) -> ExitLimits:
    """First- and last-exit limit of one replication."""
    policies = arm.arm.policies.bundle
    bypassed = not policies.accounting.charges or arm.arm.settings.host.cap_ipc_lock
    _, steps = growth(run.locked)
    if bypassed or run.ended_because or not steps:
        return ExitLimits(None, None)
    return ExitLimits(steps[0], max(run.rlimit.locked_bytes_peak, steps[-1]))


def exits_at(run: RunResult, limit: int) -> int:
    """Exits that a VMM raising by the excess would have had with `limit` bytes; the fewest."""
    _, steps = growth(run.locked)
    return sum(step > limit for step in steps)


def limits_table(arms: Sequence[ArmResult]) -> Table:
    """arm, replication, limit_bytes, exits: exits at and above each limit, up to the next row."""
    rows = (row for arm in arms for run in arm.runs for row in _limit_rows(arm, run))
    return of_rows(rows, TABLES["limits.parquet"])


def _limit_rows(arm: ArmResult, run: RunResult) -> Iterator[tuple[Any, ...]]:
    if exit_limits(arm, run).last is None or truncated(run):
        return
    _, steps = growth(run.locked)
    for limit in (0, *steps):
        yield arm.arm.name, run.replication, limit, exits_at(run, limit)


def metrics(arm: ArmResult) -> dict[str, Metric]:
    """Contract names (`rlimit.<metric>`): rates and limits over replications."""
    runs, vcpus = arm.runs, len(arm.runs[0].vcpus)
    limits = [exit_limits(arm, run) for run in runs]
    seconds = [run.wall / (TICKS_PER_CYCLE * arm.clock_hz) for run in runs]
    return {
        "exits_per_enable": metric(
            [_ratio(r.rlimit.exits, r.rlimit.enables) for r in runs], "exits/enable"
        ),
        "exits_per_second": metric(
            [_ratio(r.rlimit.exits, s) for r, s in zip(runs, seconds, strict=True)], "1/s"
        ),
        "exits_per_run": metric([float(r.rlimit.exits) for r in runs], "exits/run"),
        "exits_per_vcpu": metric([r.rlimit.exits / vcpus for r in runs], "exits/vcpu"),
        "locked_bytes_mean": metric([locked_mean(r) for r in runs], "bytes"),
        "excess_bytes": metric([float(r.rlimit.excess_bytes_max) for r in runs], "bytes"),
        "first_exit_limit": metric([_or_nan(x.first) for x in limits], "bytes"),
        "last_exit_limit": metric([_or_nan(x.last) for x in limits], "bytes"),
        "locked_per_enable": metric(
            [
                _ratio(_MIB_MS * locked_mean(r) * s, r.rlimit.enables)
                for r, s in zip(runs, seconds, strict=True)
            ],
            "MiB*ms",
        ),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _or_nan(value: int | None) -> float:
    return float("nan") if value is None else float(value)
