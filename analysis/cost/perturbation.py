"""Perturbation: wall time that a design adds, by cause, as a band over what nobody has measured.

Ends of the band: replication 0 of the arm and of baremetal run again with every UNVERIFIED time at
the low, then at the high end of its plausible range (`sim.runs.counterparts`). What that changes is
added to the mean over replications. Running again is exact where a cost changes what happens
(ordinary exits in the added time, pages unmapped meanwhile), which counts times costs are not; one
replication is enough, since costs are integers and their counts hardly differ between replications.
The third end also removes the stage 2 entries at every unpin (`t_unmap` each): nobody has published
whether v6 does. Times that a scenario sets itself are taken as known and not moved.

Populating guest memory before the guest first runs (`prefault`) is listed as a cause but is in no
total: it is paid once per VM, not per profile.

Loss is not in here: a perturbation is time, never an op.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.columns import TABLES
from analysis.fidelity import profiles
from analysis.fidelity.remembering import remembered
from analysis.statistics.intervals import F64, Metric, metric
from analysis.tables import Table, of_rows
from sim.ledger import TimeCause, TimeLedger
from sim.units import TICKS_PER_CYCLE

if TYPE_CHECKING:
    from sim.results import RunResult
    from sim.runs.batch import ArmResult

TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Added:
    """Time added by a cause, ms per vCPU and replication; None: not run, or nothing to move."""

    here_ms: float
    low_ms: float | None
    high_ms: float | None
    unmapping_ms: float | None


@remembered
def times_ms(run: RunResult, clock_hz: int) -> F64:
    """ms by cause [causes + 1], mean over vCPUs; the last is wall time after `prefault`."""
    causes = [[v.ledgers.time.stopped[c] for c in TimeCause] for v in run.vcpus]
    walls = [[_wall(v.ledgers.time)] for v in run.vcpus]
    ticks = np.hstack([np.array(causes, np.float64), np.array(walls, np.float64)])
    return np.asarray(ticks.mean(axis=0) / (TICKS_PER_CYCLE * clock_hz / 1e3))


def _wall(time: TimeLedger) -> int:
    return time.wall - time.stopped[TimeCause.PREFAULT]


def walls_ms(runs: Sequence[RunResult], clock_hz: int) -> F64:
    """Wall time of each run [R] once its guest runs, ms, mean over vCPUs."""
    return np.array([times_ms(run, clock_hz)[-1] for run in runs])


@remembered
def added(arm: ArmResult, reference: ArmResult | None) -> dict[str, Added]:
    """Time added to baremetal's over equal ops, by cause and in all; empty if not comparable.

    Causes that add nothing anywhere in the band are left out.
    """
    found = profiles.pairs(arm, reference)
    if found is None or reference is None or arm is reference:
        return {}
    mine = [times_ms(run, arm.clock_hz) for run in found.arm]
    bare = [times_ms(run, reference.clock_hz) for run in found.bare]
    here = np.mean(np.array(mine) - np.array(bare), axis=0)
    shifts = _shifts(arm, reference)
    out = {}
    for k, cause in enumerate([*(c.value for c in TimeCause), TOTAL]):
        ends = {end: None if s is None else float(here[k] + s[k]) for end, s in shifts.items()}
        if cause == TOTAL or here[k] or any(ends.values()):
            out[cause] = Added(float(here[k]), ends["low"], ends["high"], ends["unmapping"])
    return out


def _shifts(arm: ArmResult, reference: ArmResult) -> dict[str, F64 | None]:
    """How the time added to replication 0 moves at each end [causes + 1]."""
    if arm.band is None or reference.band is None or not profiles.comparable(arm, reference):
        return {"low": None, "high": None, "unmapping": None}
    low = _moved(arm, arm.band.low), _moved(reference, reference.band.low)
    high = _moved(arm, arm.band.high), _moved(reference, reference.band.high)
    unmapping = None if arm.band.unmapping is None else _moved(arm, arm.band.unmapping)
    return {
        "low": _minus(*low),
        "high": _minus(*high),
        "unmapping": _minus(unmapping, high[1]),
    }


def _moved(arm: ArmResult, end: RunResult) -> F64 | None:
    """Times at an end minus those of the scenario; None if the end executed other ops."""
    here = arm.runs[0]
    if [v.ended_at_op for v in end.vcpus] != [v.ended_at_op for v in here.vcpus]:
        return None
    return times_ms(end, arm.clock_hz) - times_ms(here, arm.clock_hz)


def _minus(a: F64 | None, b: F64 | None) -> F64 | None:
    return None if a is None or b is None else a - b


def time_added(arm: ArmResult, reference: ArmResult | None) -> Metric:
    """Wall time above baremetal's over equal ops, paired by replication, fraction of it."""
    found = profiles.pairs(arm, reference)
    if found is None or reference is None:
        return metric([], "fraction")
    mine = walls_ms(found.arm, arm.clock_hz)
    bare = walls_ms(found.bare, reference.clock_hz)
    return metric(
        np.divide(mine, bare, out=np.full_like(mine, np.nan), where=bare > 0) - 1, "fraction"
    )


def unmap_rate(arm: ArmResult) -> float | None:
    """Pages that the host took per second of a running guest and vCPU; None if it never does."""
    settings = arm.arm.settings
    if not arm.arm.policies.virtual or settings.host.unmap == "never":
        return None
    times = [vcpu.ledgers.time for run in arm.runs for vcpu in run.vcpus]
    ticks = sum(time.wall - time.stopped[TimeCause.PREFAULT] for time in times)
    seconds = ticks / (settings.cpu.clock * TICKS_PER_CYCLE)
    return sum(run.zaps for run in arm.runs) / seconds if seconds else None


def time_band_table(arms: Sequence[ArmResult], reference: ArmResult | None) -> Table:
    """arm, cause, low_ms, here_ms, high_ms, unmapping_ms: `added` of every arm, `total` last."""
    rows = [
        (a.arm.name, cause, x.low_ms, x.here_ms, x.high_ms, x.unmapping_ms)
        for a in arms
        for cause, x in added(a, reference).items()
    ]
    return of_rows(rows, TABLES["time_band.parquet"])
