"""From a run's arms to its result.

Nothing in a result depends on the engine, the number of jobs, the host or the clock on the wall,
so equal input gives equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from analysis import frames, paired
from analysis.cost import edges, perturbation, rlimit
from analysis.decisions.regret import decisions
from analysis.fidelity import dying, errors, hottest, judging, losses, openness, profiles
from analysis.fidelity.distances import distances
from analysis.fidelity.remembering import remembering
from analysis.statistics.intervals import metric
from reports.results.compared import (
    Distances,
    Hottest,
    Levels,
    Paired,
    Profile,
    ShareError,
    Sides,
    Skew,
)
from reports.results.decision import of_decision
from reports.results.result import (
    RESULT_VERSION,
    Arm,
    Aux,
    Band,
    Blackouts,
    ComparedOn,
    Counts,
    Each,
    Ends,
    Ledger,
    Life,
    Loss,
    PerEnable,
    Replication,
    Result,
    Rlimit,
    Setup,
    SymbolLoss,
)
from sim.ledger import LOSS_LABELS
from sim.machine.effective import adjusted
from sim.scenario.models.quantities import UNLIMITED

if TYPE_CHECKING:
    from sim.results import Blackouts as Stops
    from sim.results import RunResult
    from sim.runs.batch import ArmResult
    from sim.scenario.models.decisions import Decisions
    from sim.scenario.models.scenario import Scenario, Verdicts

SYMBOLS_SHOWN = 12
REMEMBERED = 1 << 22
"""Numbers in the profiles of all arms up to which each is made once, not for each that asks."""
UPPER_BOUND_UNMAPS = ("per_window", "per_record")
"""Ways of unmapping that no host has been seen to use: arms that they hit bound the effect."""


def sharing(arms: Sequence[ArmResult]) -> AbstractContextManager[None]:
    """A block in which each profile of these is made once, if they are not too large to keep."""
    profiled = sum(arm.truth.size * len(arm.runs) for arm in arms)
    return remembering(worth=profiled <= REMEMBERED)


def build(scenario: Scenario, arms: Sequence[ArmResult], *, interrupted: bool) -> Result:
    """The result of a run; arms in the scenario's order, finished ones only."""
    with sharing(arms):
        return _build(scenario, arms, interrupted=interrupted)


def _build(scenario: Scenario, arms: Sequence[ArmResult], *, interrupted: bool) -> Result:
    reference = profiles.reference_arm(arms)
    return Result(
        result_version=RESULT_VERSION,
        kind="prediction",
        scenario=scenario.name,
        question=scenario.question,
        seed=scenario.seed,
        replications=scenario.replications,
        reference_arm=None if reference is None else reference.arm.name,
        interrupted=interrupted,
        arm_order=tuple(a.arm.name for a in arms),
        arms={
            a.arm.name: _arm(
                a, reference, _Judging(scenario.verdicts, len(arms)), scenario.decisions
            )
            for a in arms
        },
    )


class _Judging(NamedTuple):
    """What verdicts about profiles go by: settings, and how many arms are judged."""

    asked: Verdicts
    family: int


def _arm(arm: ArmResult, reference: ArmResult | None, by: _Judging, asked: Decisions | None) -> Arm:
    differences = paired.differences(arm, reference)
    return Arm(
        design=arm.arm.design,
        setup=setup(arm),
        ledger=ledger(arm.runs),
        replications=tuple(_replication(run) for run in arm.runs),
        loss=Loss(
            total=losses.total_loss(arm),
            **{x.value: losses.loss_fraction(arm, x) for x in LOSS_LABELS},
        ),
        loss_skew=losses.loss_skew(arm, "symbol"),
        loss_by_symbol=_loss_by_symbol(arm),
        blackouts={k: _blackouts(v) for k, v in frames.merged_blackouts(arm).items()},
        rlimit=_rlimit(arm),
        profile=Profile(**{v: Distances(**distances(arm, reference, v)) for v in profiles.VIEWS}),
        share_errors=_share_errors(arm, reference),
        skew=_skew(arm, judging.judge(arm, reference, by.asked, by.family)),
        compared_on=_compared_on(arm, reference),
        wall=metric(perturbation.walls_ms(arm.runs, arm.clock_hz), "ms"),
        time_added=perturbation.time_added(arm, reference),
        time_band=_time_band(arm, reference),
        time_band_moved=() if arm.band is None else tuple(arm.band.moved),
        paired=Paired(**{quantity: Sides(**sides) for quantity, sides in differences.items()}),
        counts=_counts(arm),
        unmap_rate_per_s=perturbation.unmap_rate(arm),
        ended_at_op=profiles.ended_at(arm),
        ended_because="; ".join(sorted({r.ended_because for r in arm.runs} - {""})),
        hold=None
        if arm.hold is None
        else _arm(arm.hold, paired.twin(reference, "hold"), by, asked),
        aux=_aux(arm.runs),
        loss_band=_ends(openness.loss(arm)),
        skew_band=_ends(openness.skew(arm)),
        life=_life(arm),
        per_enable={
            part: PerEnable(edge.here_us, edge.low_us, edge.high_us)
            for part, edge in edges.per_enable(arm, perturbation.added(arm, reference)).items()
        },
        decisions={}
        if asked is None
        else {d.kind: of_decision(d) for d in decisions(arm, reference, asked)},
    )


def _life(arm: ArmResult) -> Life | None:
    found = dying.life(arm)
    if found is None:
        return None
    return Life(found.died, found.events, found.mean, found.low, found.high)


def _ends(found: openness.Ends | None) -> Ends | None:
    return None if found is None else Ends(found.low, found.high)


def _compared_on(arm: ArmResult, reference: ArmResult | None) -> ComparedOn:
    found = profiles.basis(arm, reference)
    return ComparedOn(found, None if found is None else profiles.ended_at(arm))


def _skew(arm: ArmResult, found: judging.Judged) -> Skew:
    answer = found.answer
    return Skew(
        answer=answer.kind.value,
        level=found.level,
        words=answer.words(),
        margin=found.margin,
        needed=answer.needed,
        truth=Levels(**found.truth),
        baremetal=Levels(**found.baremetal),
        identical=found.identical,
        hottest=Hottest(hottest.moved(arm, "symbol"), hottest.moved(arm, "pc")),
        short=found.short,
        causes=found.causes,
    )


def _time_band(arm: ArmResult, reference: ArmResult | None) -> dict[str, Band]:
    return {
        cause: Band(x.here_ms, x.low_ms, x.high_ms, x.unmapping_ms)
        for cause, x in perturbation.added(arm, reference).items()
    }


def _share_errors(arm: ArmResult, reference: ArmResult | None) -> tuple[ShareError, ...]:
    """The symbols that are largest in the truth; intervals are per symbol, verdicts per family."""
    whole = profiles.truths(arm, "symbol").sum(axis=0)
    share = profiles.shares(whole)
    names = profiles.names(arm, "symbol")
    order = (-whole).argsort(kind="stable")
    present = order[whole[order] > 0]
    samples = errors.samples_of(arm)
    to_truth = errors.metrics(errors.against_truth(arm, "symbol")[:, present], samples)
    to_bare = errors.metrics(
        errors.against_baremetal(arm, reference, "symbol")[:, present], samples
    )
    every = zip(present, to_truth, to_bare, strict=True)
    return tuple(
        ShareError(names[k], float(share[k]), a, b, a_differs, b_differs)
        for k, (a, a_differs), (b, b_differs) in islice(every, SYMBOLS_SHOWN)
    )


def setup(arm: ArmResult) -> Setup:
    """What a reader needs of an arm's settings to read its numbers; bytes, Hz, ops."""
    s, policies = arm.arm.settings, arm.arm.policies
    unmap = s.host.unmap
    limit = s.host.memlock
    return Setup(
        virtual=policies.virtual,
        backing=policies.backing,
        clock_hz=arm.clock_hz,
        vcpus=len(arm.runs[0].vcpus),
        stream=arm.stream.name,
        stream_kind=cast("Any", arm.stream.kind),
        stream_ops=arm.stream.ops,
        interval_ops=s.spe.interval,
        jitter=s.spe.jitter,
        restart=s.spe.restart,
        aux_bytes=s.driver.aux,
        page_bytes=s.vm.page_bytes,
        limit_bytes=None if limit >= UNLIMITED or s.host.cap_ipc_lock else limit,
        unmap=unmap if isinstance(unmap, str) else "poisson",
        pressure=", ".join(p.kind for p in s.host.pressure),
        upper_bound=unmap in UPPER_BOUND_UNMAPS and any(run.zaps for run in arm.runs),
        adjusted=adjusted(arm.arm),
        remarks=arm.stream.remarks,
        selection=s.spe.selection.source if s.spe.selection else "",
    )


def ledger(runs: Sequence[RunResult]) -> Ledger:
    """Integer totals of the three ledgers over replications and vCPUs."""
    total: dict[str, dict[str, int]] = {}
    for run in runs:
        for vcpu in run.vcpus:
            for part, entries in vcpu.ledgers.as_dict().items():
                into = total.setdefault(part, {})
                for entry, amount in entries.items():
                    into[entry] = into.get(entry, 0) + int(amount)
    return Ledger(**total)


def _replication(run: RunResult) -> Replication:
    population = losses.population_ops(run)
    lost = sum(losses.lost_ops(run, label) for label in LOSS_LABELS)
    return Replication(
        replication=run.replication,
        ledger=ledger([run]),
        metrics=Each(
            loss=lost / population if population else None,
            wall_ticks=run.wall,
            locked_bytes_peak=run.rlimit.locked_bytes_peak,
            rlimit_exits=run.rlimit.exits,
            zaps=run.zaps,
        ),
        ended_at_op=tuple(v.ended_at_op for v in run.vcpus),
        ended_because=run.ended_because,
    )


def _blackouts(b: Stops) -> Blackouts:
    return Blackouts(
        count=b.count,
        ops=b.ops,
        ticks=b.ticks,
        ops_mean=b.ops / b.count if b.count else None,
        ops_p50=frames.hist_quantile(b.ops_hist, 0.5),
        ops_p99=frames.hist_quantile(b.ops_hist, 0.99),
        ops_max=b.ops_max,
        ticks_mean=b.ticks / b.count if b.count else None,
        ticks_p50=frames.hist_quantile(b.ticks_hist, 0.5),
        ticks_p99=frames.hist_quantile(b.ticks_hist, 0.99),
        ticks_max=b.ticks_max,
    )


def _rlimit(arm: ArmResult) -> Rlimit:
    runs = arm.runs
    return Rlimit(
        exits=sum(r.rlimit.exits for r in runs),
        enables=sum(r.rlimit.enables for r in runs),
        pinned_pages=sum(r.rlimit.pinned_pages for r in runs),
        config_enomem=sum(r.rlimit.config_enomem for r in runs),
        oversize_windows=sum(r.rlimit.oversize_windows for r in runs),
        excess_bytes_max=max(r.rlimit.excess_bytes_max for r in runs),
        locked_bytes_peak=max(r.rlimit.locked_bytes_peak for r in runs),
        **rlimit.metrics(arm),
    )


def _counts(arm: ArmResult) -> Counts:
    vcpus = [v for run in arm.runs for v in run.vcpus]
    return Counts(
        stops=sum(v.stops for v in vcpus),
        traps=sum(v.traps for v in vcpus),
        ordinary_exits=sum(v.ordinary_exits for v in vcpus),
        zaps=judging.unmapped(arm),
        full_buffers=judging.full_buffers(arm),
    )


def _aux(runs: Sequence[RunResult]) -> Aux:
    found = [v.aux_counts for run in runs for v in run.vcpus]
    return Aux(
        records=sum(c.records for c in found),
        lost=sum(c.lost for c in found),
        gaps=sum(c.gaps for c in found),
        collisions=sum(c.collisions for c in found),
    )


def _loss_by_symbol(arm: ArmResult) -> tuple[SymbolLoss, ...]:
    """The symbols whose share the loss alone would change most."""
    return tuple(
        SymbolLoss(s.label, s.share, s.loss, s.bias)
        for s in losses.loss_by_symbol(arm)[:SYMBOLS_SHOWN]
    )
