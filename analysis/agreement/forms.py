"""What an arm of a run did, set against the closed form that applies to it.

Each `Form` is a row of the theory page with an abscissa on which every arm has its place, so that
one curve stands under the points of all arms. `why_not` names the condition that an arm breaks;
`points` gives abscissa, expectation and what was found, one value a replication. Forms are for long
runs: what the end of a run may add, half a gap or a cycle per vCPU, is allowed for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis import theory
from analysis.fidelity import losses, profiles
from analysis.statistics.intervals import F64
from sim import laws
from sim.ledger import LOSS_LABELS, OpLabel
from sim.machine.resolve import interval_of
from sim.scenario.models.quantities import ConstantLatency, ExponentialLatency
from sim.scenario.models.scenario import Settings
from sim.spe.buffer import RECORD_BYTES
from sim.units import TICKS_PER_CYCLE
from sim.workload.presets import get_preset

if TYPE_CHECKING:
    from sim.results import VcpuResult
    from sim.runs.batch import ArmResult

FEWEST_GAPS = 1000
"""Mean gaps from which the first and the last one do not matter."""
FEWEST_COUNTS = 8
"""Replications from which a variance of counts is worth a point."""


@dataclass(frozen=True, slots=True)
class Points:
    """Abscissa, expectation and finding of each replication, [n] each."""

    x: F64
    theory: F64
    found: F64
    end: float = 0.0
    """How far the end of a run may move the finding, besides chance."""


@dataclass(frozen=True, slots=True)
class Form:
    """A closed form that arms are set against; `abscissa` and `quantity` are in the dictionary.

    Arms that a form is `about` get a point, or `why_not`. Without `spread` the finding is the mean
    of `found`; with it `found` are squares whose mean is a variance, and its error is chi-squared.
    """

    row: str
    abscissa: str
    quantity: str
    why_not: Callable[[ArmResult], str]
    points: Callable[[ArmResult], Points]
    curve: Callable[[float], float]
    about: Callable[[ArmResult], bool] = lambda _: True
    spread: bool = False


def mean_gap(arm: ArmResult) -> float:
    """Mean effective gap of an arm's sampler, ops."""
    return float(theory.gaps(period_of(arm), jitter=_accumulates(arm)).mean())


def period_of(arm: ArmResult) -> int:
    """The programmed interval, ops."""
    return interval_of(arm.arm.settings)


def _accumulates(arm: ArmResult) -> bool:
    return arm.arm.settings.spe.jitter == "on"


def _profiled(arm: ArmResult) -> F64:
    ops = [[v.ledgers.ops.by_label[OpLabel.PROFILED] for v in run.vcpus] for run in arm.runs]
    return np.asarray(np.array(ops, np.float64).sum(axis=1))


def _selected(arm: ArmResult) -> F64:
    found = [[v.ledgers.selections.selected for v in run.vcpus] for run in arm.runs]
    return np.asarray(np.array(found, np.float64).sum(axis=1))


def _same(arm: ArmResult, value: float) -> F64:
    return np.full(len(arm.runs), value)


# --- row 7: gaps and counts --------------------------------------------------------------------


def no_counts(arm: ArmResult) -> str:
    """Why selections do not follow from profiled ops."""
    if arm.arm.settings.spe.population != "instructions":
        return "the population is micro-ops, and labels count ops"
    if arm.arm.settings.spe.restart != "hold":
        return "resync passes points over"
    if float(_profiled(arm).min()) < FEWEST_GAPS * mean_gap(arm):
        return f"fewer than {FEWEST_GAPS:,} mean gaps were profiled"
    return ""


def _beyond(arm: ArmResult) -> Points:
    """Profiled ops per selection beyond the period; the last gap of a vCPU is half done."""
    period, vcpus = period_of(arm), len(arm.runs[0].vcpus)
    found = _profiled(arm) / (_selected(arm) + vcpus / 2) - period
    expected, end = mean_gap(arm) - period, vcpus / 2 * mean_gap(arm) / float(_selected(arm).min())
    return Points(_same(arm, period), _same(arm, expected), found, end)


def no_dispersion(arm: ArmResult) -> str:
    """Why the variance of counts is not row 7's."""
    if not _accumulates(arm):
        return "without accumulating jitter counts have no variance but that of their ends"
    if len(arm.runs) < FEWEST_COUNTS:
        return f"fewer than {FEWEST_COUNTS} replications"
    return no_counts(arm)


def _dispersion(arm: ArmResult) -> Points:
    """Squares of counts about profiled ops over the mean gap, over the mean count."""
    selected, gap = _selected(arm), mean_gap(arm)
    off = selected - _profiled(arm) / gap
    n = off.size
    squares = (off - off.mean()) ** 2 * (n / (n - 1)) / selected.mean()
    expected = theory.count_dispersion(gap, theory.jitter_variance())
    return Points(_same(arm, period_of(arm)), _same(arm, expected), squares)


def _dispersion_at(period: float) -> float:
    gap = float(theory.gaps(max(1, round(period)), jitter=True).mean())
    return theory.count_dispersion(gap, theory.jitter_variance())


# --- row 4: collisions -------------------------------------------------------------------------


def no_lifetimes(arm: ArmResult) -> str:
    """Why a sample's time in flight is not a known number of ops, independent of the code."""
    if arm.arm.settings.spe.jitter == "ernd":
        return "FEAT_SPE_ERnd: gaps depend on each other"
    if arm.arm.settings.spe.in_flight > 1:
        return "more than one operation may be in flight"
    if not one_loop(arm.arm.settings):
        return "the form needs constant CPI, so that times in flight are numbers of ops"
    if _renewals(arm) is None:
        return "times in flight depend on the op, and some reach the next selection"
    return no_counts(arm)


def one_loop(settings: Settings) -> bool:
    """True if CPI is constant: a synthetic workload of one phase."""
    return settings.workload.kind == "synthetic" and len(settings.workload.phases) == 1


def _renewals(arm: ArmResult) -> float | None:
    """Mean selections in a time in flight of the only loop; None if that depends on the op.

    Those of the core depend on it, but where the longest one is over before the next selection
    there are none in any.
    """
    settings = arm.arm.settings
    assert settings.workload.kind == "synthetic"  # one_loop
    (phase,) = settings.workload.phases
    per_op, period, jitter = phase.cpi_millis / 1000, period_of(arm), _accumulates(arm)
    match phase.latency:
        case ConstantLatency(value=cycles):
            return theory.renewals(period, [cycles / per_op], jitter=jitter)
        case ExponentialLatency(mean=cycles):
            return theory.renewals_exponential(period, cycles / per_op, jitter=jitter)
        case _:
            law = get_preset(settings.cpu.core).latency_laws()
            return 0.0 if laws.longest(law) < (period + 1) * per_op * TICKS_PER_CYCLE else None


def _collided(arm: ArmResult) -> Points:
    """Collided over selected, by mean selections in a lifetime."""
    renewals = _renewals(arm)
    assert renewals is not None  # no_lifetimes
    collided = [sum(v.ledgers.selections.collided for v in r.vcpus) for r in arm.runs]
    expected = theory.collision_fraction(renewals)
    found = np.array(collided, np.float64) / _selected(arm)
    return Points(_same(arm, renewals), _same(arm, expected), found)


# --- rows 5 and 5b: live fractions -------------------------------------------------------------


def no_windows(arm: ArmResult) -> str:
    """Why full buffers are not the whole of the loss."""
    others = [x for x in LOSS_LABELS if x is not OpLabel.IRQ_DELIVERY_FULL]
    if arm.arm.settings.records == "packed":
        return "packed records have two lengths"
    if arm.arm.settings.switch is not None:
        return "context switches end windows before they are full"
    if any(losses.lost_ops(run, label) for run in arm.runs for label in others):
        return "full buffers are not the only cause of loss"
    return _too_few(arm, "full", "full buffers")


def no_cold_pages(arm: ArmResult) -> str:
    """Why a fault per page is not the whole of the loss."""
    settings, policies = arm.arm.settings, arm.arm.policies
    known = (OpLabel.IRQ_DELIVERY_FULL, OpLabel.IRQ_DELIVERY_FAULT)
    if not policies.virtual:
        return "there is no stage 2"
    if not _always_cold(arm):
        return "not every page is cold on every pass"
    if settings.records == "packed":
        return "packed records have two lengths"
    if settings.spe.data_loss_per_mille:
        return "some faults lose more than one record"
    if settings.switch is not None:
        return "context switches end pages before they are full"
    if not one_loop(settings):
        return "the form needs constant CPI"
    others = [x for x in LOSS_LABELS if x not in known]
    if any(losses.lost_ops(run, label) for run in arm.runs for label in others):
        return "faults and full buffers are not the only causes of loss"
    return _too_few(arm, "fault", "faults")


def _always_cold(arm: ArmResult) -> bool:
    held = arm.arm.policies.bundle.backing.holds
    return arm.arm.settings.host.unmap == "per_window" and not held


def _records_of_page(arm: ArmResult) -> int:
    return arm.arm.settings.vm.page_bytes // RECORD_BYTES


def _too_few(arm: ArmResult, cause: str, words: str) -> str:
    counted = [v.blackouts.get(cause) for run in arm.runs for v in run.vcpus]
    if any(b is None or b.count < theory.LONG for b in counted):
        return f"fewer than {theory.LONG} {words} on a vCPU"
    return ""


def _full(arm: ArmResult) -> Points:
    window, gap = _window(arm), mean_gap(arm)

    def cycle(v: VcpuResult) -> tuple[float, float]:
        s, full = v.ledgers.selections, v.blackouts["full"]
        up = theory.buffer_up_ops(window, RECORD_BYTES, gap, s.written / s.selected)
        return up, full.ops / full.count

    return _live(arm, cycle)


def _cold(arm: ArmResult) -> Points:
    gap, pages = mean_gap(arm), _window(arm) // arm.arm.settings.vm.page_bytes

    def cycle(v: VcpuResult) -> tuple[float, float]:
        s, fault, full = v.ledgers.selections, v.blackouts["fault"], v.blackouts.get("full")
        up = theory.cold_page_up_ops(
            _records_of_page(arm),
            gap,
            collided=s.collided / s.selected,
            filtered=s.filtered / s.completed,
        )
        down = fault.ops / fault.count
        return up, down + (full.ops / full.count / pages if full and full.count else 0.0)

    return _live(arm, cycle)


def _window(arm: ArmResult) -> int:
    driver = arm.arm.settings.driver
    return driver.watermark or driver.aux // 2


def _live(arm: ArmResult, cycle: Callable[[VcpuResult], tuple[float, float]]) -> Points:
    """Loss of the complete cycles U + D in the profiled ops, D the mean blackout found."""
    x, found, ends = [], [], []
    for run in arm.runs:
        profiled = sum(v.ledgers.ops.by_label[OpLabel.PROFILED] for v in run.vcpus)
        lost = sum(losses.lost_ops(run, label) for label in LOSS_LABELS)
        expected = end = 0.0
        for v in run.vcpus:
            up, down = cycle(v)
            expected += v.ledgers.ops.by_label[OpLabel.PROFILED] // up * down
            end += down
        ends.append(end / profiled)
        x.append(expected / profiled)
        found.append(1 - theory.live_fraction(profiled, lost))
    at = np.array(x)
    return Points(at, np.array([lost_at(v) for v in x]), np.array(found), max(ends))


def lost_at(down_per_up: float) -> float:
    """Fraction of ops lost where each profiled op is followed by so many lost ones."""
    return 1 - theory.live_fraction(1, down_per_up)


# --- row 12: bias ------------------------------------------------------------------------------


def no_bias(arm: ArmResult) -> str:
    """Why the loss does not say what becomes of shares."""
    if arm.arm.settings.spe.restart != "hold":
        return "resync: a blackout begins at a selection and passes over fewer points than its ops"
    if arm.arm.settings.spe.target_bias_per_mille:
        return "the sampler itself is biased (erratum 1694299)"
    if not losses.explained(arm):
        return "a filter depends on the single op, so loss has no symbol"
    if not losses.loss_by_symbol(arm):
        return "nothing was executed"
    if losses.loss_by_symbol(arm)[0].share == 1:
        return "one symbol is the whole program"
    if not profiles.sampled(arm, "symbol").sum(axis=1).all():
        return "a replication without samples"
    if 100 * _lost_singly(arm) > abs(100 * losses.loss_by_symbol(arm)[0].bias) > 0:
        return "collisions and faults lose single records, which may move shares more than that"
    return ""


def _biased_share(arm: ArmResult) -> Points:
    """Error of the share of the symbol that the loss biases most, pp, by each replication's own."""
    index = profiles.names(arm, "symbol").index(losses.loss_by_symbol(arm)[0].label)
    bias = 100 * losses.biases(arm, "symbol")[:, index]
    true = profiles.shares(profiles.truths(arm, "symbol"))
    found = profiles.shares(profiles.sampled(arm, "symbol"))
    return Points(bias, bias, 100 * (found - true)[:, index], 100 * _lost_singly(arm))


def _lost_singly(arm: ArmResult) -> float:
    """Records lost one by one, of those written: which code they prefer no form says, so this is
    how far they may move a share. What cold pages lose, one in n + 1, prefers none."""
    lost = written = 0.0
    for v in (v for run in arm.runs for v in run.vcpus):
        s = v.ledgers.selections
        even = s.passed / (_records_of_page(arm) + 1) if _always_cold(arm) else 0.0
        lost += s.collided + v.ledgers.delivery.voided_by_DL + abs(s.lost_at_fault - even)
        written += s.written
    return lost / written


def _gap_with_jitter(_: float) -> float:
    return float(theory.gaps(1, jitter=True).mean()) - 1


def _gap_without(_: float) -> float:
    return 1.0


FORMS = (
    Form("7", "interval_ops", "gap_beyond_ops", no_counts, _beyond, _gap_with_jitter, _accumulates),
    Form(
        "9",
        "interval_ops",
        "gap_beyond_ops",
        no_counts,
        _beyond,
        _gap_without,
        lambda arm: not _accumulates(arm),
    ),
    Form(
        "7",
        "interval_ops",
        "count_dispersion",
        no_dispersion,
        _dispersion,
        _dispersion_at,
        spread=True,
    ),
    Form("4", "renewals", "collided_fraction", no_lifetimes, _collided, theory.collision_fraction),
    Form("5", "lost_per_profiled", "lost_fraction", no_windows, _full, lost_at),
    Form("5b", "lost_per_profiled", "lost_fraction", no_cold_pages, _cold, lost_at),
    Form("12", "bias_pp", "biased_share_error_pp", no_bias, _biased_share, float),
)
"""Every form that arms are set against."""
