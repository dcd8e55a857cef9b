"""The tables behind the page: one per figure, and those that the text needs.

This is the only place that knows where a figure's numbers come from: `result.json` for what is
published there, the arms themselves for histograms and histories, logs for timelines. Figures and
page take tables and `result.json` only, so a page can be built again from a run directory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import frames
from analysis.agreement import curves
from analysis.columns import THEORY_TABLE
from analysis.cost import rlimit
from analysis.cost.perturbation import TOTAL
from analysis.decisions.regret import random_curve
from analysis.fidelity import losses, profiles
from analysis.statistics.intervals import Metric, metric
from analysis.sweeps.pareto import Offer, front
from reports.pages import parameters
from reports.perf.command import perf_command
from reports.results import shapes
from reports.results.arms import several_designs
from reports.results.result import Arm, Result
from reports.store.csvdata import SHAPES, Cell, Table
from reports.traces import timeline
from sim.results import log_linear_edge
from sim.scenario.models.quantities import UNLIMITED
from sim.units import TICKS_PER_CYCLE

if TYPE_CHECKING:
    from sim.results import LockedPoint
    from sim.runs.batch import ArmResult
    from sim.scenario.models.scenario import Scenario

SYMBOLS = 200
"""Symbols of an arm in the table, those with the largest shares."""
MAX_STEPS = 1500
"""Points of an arm's history of locked memory."""
Rows = list[tuple[Cell, ...]]


def collect(
    scenario: Scenario,
    arms: Sequence[ArmResult],
    result: Result,
    timelines: Mapping[str, timeline.Timeline],
) -> dict[str, Table]:
    """Every table of a run; `timelines` by arm, for the arms that have one."""
    rows: dict[str, Rows] = {
        "ledgers": _ledgers(result),
        "symbols": [row for arm in arms for row in _symbols(arm)],
        "distances": _distances(result),
        "blackouts": [row for arm in arms for row in _blackouts(arm)],
        "timeline": [r for a in arms if a.arm.name in timelines for r in _timeline(a, timelines)],
        "perturbation": _perturbation(result),
        "locked": [row for arm in arms for row in _locked(arm)],
        "theory": _theory(arms),
        "designs": _designs(result),
        "limits": _limits(arms, result),
        "decisions": _decisions(scenario, arms, result),
        "parameters": parameters.rows(scenario),
        "commands": [(arm.name, arm.design, perf_command(arm.settings)) for arm in scenario.arms],
    }
    return {name: Table(name, SHAPES[name], tuple(found)) for name, found in rows.items()}


_UNITS = {"ops": "ops", "selections": "selections", "delivery": "records", "time": "ticks"}
_WHOLES = {"ops": "executed", "selections": "selected", "delivery": "", "time": "wall"}


def _ledgers(result: Result) -> Rows:
    rows: Rows = []
    for name in result.arm_order:
        for ledger, entries in shapes.items(result.arms[name].ledger):
            whole = entries.get(_WHOLES[ledger], sum(entries.values()))
            for entry, amount in entries.items():
                share = 100 * amount / whole if whole else None
                rows.append((name, ledger, entry, _UNITS[ledger], amount, share))
    return rows


def _symbols(arm: ArmResult) -> Rows:
    """Largest first: share in the truth, loss inside, what the loss alone moves, actual error."""
    whole = profiles.truth(arm, "symbol")
    if not whole.any():
        return []
    order = np.argsort(-whole, kind="stable")[:SYMBOLS]
    names = profiles.labels(arm.stream, "symbol")
    lost = {s.label: s for s in losses.loss_by_symbol(arm)}
    true = profiles.shares(whole)
    errors = 100 * (profiles.shares(profiles.sampled(arm, "symbol")) - true)
    rows: Rows = []
    for k in (int(k) for k in order if whole[k]):
        found, error = lost.get(names[k]), metric(errors[:, k], "pp")
        moved = (100 * found.loss, 100 * found.bias) if found else (None, None)
        share = 100 * float(true[k])
        rows.append(
            (arm.arm.name, names[k], share, *moved, error.mean, error.low, error.high, error.n),
        )
    return rows


def _distances(result: Result) -> Rows:
    return [
        (name, view, which, found.mean, found.low, found.high, found.exact)
        for name in result.arm_order
        for view, metrics in shapes.items(result.arms[name].profile)
        for which, found in shapes.items(metrics)
    ]


def _blackouts(arm: ArmResult) -> Rows:
    rows: Rows = []
    for cause, found in frames.merged_blackouts(arm).items():
        seen = 0
        for index in sorted(found.ops_hist):
            count = found.ops_hist[index]
            seen += count
            edge = log_linear_edge(index)
            rows.append((arm.arm.name, cause, edge, count, seen / found.count))
    return rows


def _timeline(arm: ArmResult, timelines: Mapping[str, timeline.Timeline]) -> Rows:
    found = timelines[arm.arm.name]
    per_us = TICKS_PER_CYCLE * arm.clock_hz / 1e6
    window = timeline.Span("window", "", found.begin, found.end)
    return [
        (
            arm.arm.name,
            found.replication,
            found.vcpu,
            s.lane,
            s.state,
            s.begin / per_us,
            s.end / per_us,
            s.value if s.lane in ("memory", "VMM") else None,
        )
        for s in (window, *found.close_ups, *found.spans)
    ]


def _perturbation(result: Result) -> Rows:
    """Time added to baremetal's by cause, ms per vCPU, with its band over UNVERIFIED times."""
    rows: Rows = []
    for name in result.arm_order:
        arm = result.arms[name]
        if name == result.reference_arm or TOTAL not in arm.time_band:
            continue
        wall = arm.wall.mean
        for cause, band in arm.time_band.items():
            if cause != TOTAL and band.here_ms:
                rows.append((name, cause, band.here_ms, *band.ends, wall))
        total = arm.time_band[TOTAL]
        rows.append((name, "all", total.here_ms, *total.ends, wall))
    return rows


def _locked(arm: ArmResult) -> Rows:
    """The first replication's history, and where it ends."""
    run = arm.runs[0]
    if not any(p.locked_bytes for p in run.locked):
        return []
    per_us = TICKS_PER_CYCLE * arm.clock_hz / 1e6
    points = [(p.t, p) for p in _thinned(run.locked)]
    last = points[-1][1]
    return [
        (
            arm.arm.name,
            t / per_us,
            p.locked_bytes,
            p.limit_bytes if p.limit_bytes < UNLIMITED else None,
        )
        for t, p in (*points, (max(run.wall, last.t), last))
    ]


def _thinned(points: Sequence[LockedPoint]) -> list[LockedPoint]:
    """At most MAX_STEPS points, with the highest of each stretch kept."""
    stride = -(-len(points) // MAX_STEPS)
    if stride <= 1:
        return list(points)
    chunks = (points[k : k + stride] for k in range(0, len(points), stride))
    return [max(chunk, key=lambda p: p.locked_bytes) for chunk in chunks]


def _designs(result: Result) -> Rows:
    """Virtual arms that ran through, if there are several designs: loss, memory, time, fronts."""
    if not several_designs(result):
        return []
    found = [
        (name, arm)
        for name in result.arm_order
        if (arm := result.arms[name]).setup.virtual
        and arm.ended_at_op >= arm.setup.stream_ops
        and arm.loss.total.mean is not None
    ]
    rows = [_design(name, arm) for name, arm in found]
    memory, time = (
        front([Offer(r[k] if r[k] is not None else math.inf, r[3], r[4]) for r in rows])
        for k in (5, 6)
    )
    return [
        (*row, memory[k], time[k] and row[6] is not None, *_exit_limits(arm))
        for k, (row, (_, arm)) in enumerate(zip(rows, found, strict=True))
    ]


def _design(name: str, arm: Arm) -> tuple[Any, ...]:
    """Columns up to the fronts; without an interval the mean stands for its ends."""
    total, band = arm.loss.total, arm.time_band.get(TOTAL)
    ends: tuple[float | None, float | None] = (None, None)
    added = arm.time_added.mean
    if band is not None and added and band.here_ms:
        per_ms = added / band.here_ms
        ends = tuple(None if e is None else 100 * per_ms * e for e in band.ends)  # type: ignore[assignment]
    mean = total.value
    return (
        name,
        arm.design,
        100 * mean,
        100 * (mean if total.low is None else total.low),
        100 * (mean if total.high is None else total.high),
        arm.rlimit.locked_bytes_peak,
        None if added is None else 100 * added,
        *ends,
    )


def _exit_limits(arm: Arm) -> tuple[float | None, float | None]:
    return arm.rlimit.first_exit_limit.mean, arm.rlimit.last_exit_limit.mean


def _limits(arms: Sequence[ArmResult], result: Result) -> Rows:
    """Exits of the first replication at and above each limit, of the arms that can exit."""
    if not several_designs(result):
        return []
    first = {arm.arm.name: arm.runs[0].replication for arm in arms}
    return [
        (arm, limit, exits)
        for arm, replication, limit, exits in rlimit.limits_table(arms).rows()
        if replication == first[arm]
    ]


def _decisions(scenario: Scenario, arms: Sequence[ArmResult], result: Result) -> Rows:
    """Each kind: the arms that have samples, then the curve of random ones."""
    base, asked = profiles.reference_arm(arms) or arms[0], scenario.decisions
    rows: Rows = []
    for kind in () if asked is None else asked.kinds:
        found = [(a.arm.name, result.arms[a.arm.name].decisions[kind]) for a in arms]
        shown = [(n, d) for n, d in found if d.regret.mean is not None and d.samples.mean]
        rows += [
            (name, kind, d.samples.mean, *_percents(d.regret), d.words if d.why else d.answer)
            for name, d in shown
        ]
        most = max((d.samples.value for _, d in shown), default=0)
        assert asked is not None
        curve = random_curve(kind, base, asked, round(most))
        pairs = zip(curve.samples.tolist(), curve.regret.tolist(), strict=True)
        rows += [("", kind, n, 100 * regret, None, None, "") for n, regret in pairs]
    return rows


def _percents(found: Metric) -> tuple[float | None, ...]:
    ends = (found.mean, found.low, found.high)
    return tuple(None if x is None else 100 * x for x in ends)


def _theory(arms: Sequence[ArmResult]) -> Rows:
    """A point or a condition for each arm and form; then the curves, whose arm is empty."""
    points = curves.theory_table(arms)
    drawn = curves.curves_table(points)
    same = {"arm": "", "n": 0, "condition": ""}
    curve = [
        tuple({**dict(zip(drawn.columns, row, strict=True)), **same}.get(n) for n in THEORY_TABLE)
        for row in drawn.rows()
    ]
    rows = [*points.rows(), *curve]
    return [tuple(None if cell != cell else cell for cell in row) for row in rows]
