"""Closed forms as curves, and beside what the arms of a run did.

`df_theory_*` are curves to draw under simulated points: row, quantity, x, theory. `df_theory` sets
every arm against the forms that apply to it; where one does not, the row says why and has no
number. Standard errors are between replications, so z is missing where they do not differ. The
forms are for long runs: an end effect of one gap per phase change or one window per run stays, and
with many replications z shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis import losses, profiles, theory
from analysis.stats import F64
from sim.columns import THEORY_TABLE
from sim.ledger import LOSS_LABELS, OpLabel
from sim.linux.driver import sanitise_period
from sim.spe.buffer import RECORD_BYTES

if TYPE_CHECKING:
    from sim.batch import ArmResult

CURVE_COLUMNS = ("row", "quantity", "x", "theory")
Expected = tuple[F64, F64]
"""Theory and simulated value of each replication."""


def _curve(row: str, quantity: str, x: ArrayLike, f: Callable[[float], float]) -> pd.DataFrame:
    points = np.asarray(x, np.float64).ravel()
    rows = [(row, quantity, float(v), f(float(v))) for v in points]
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))


def df_theory_collisions(
    periods: Sequence[int], lifetimes: ArrayLike, *, jitter: bool
) -> pd.DataFrame:
    """Row 4: fraction of selections that collide, by period (ops); lifetimes [n] in ops."""

    def collided(period: float) -> float:
        return theory.collision_fraction(theory.renewals(int(period), lifetimes, jitter=jitter))

    return _curve("4", "collided fraction by period (ops)", periods, collided)


def df_theory_full(windows: Sequence[int], gap: float, down: float) -> pd.DataFrame:
    """Row 5: fraction of ops lost to full buffers, by window (bytes); `down` ops a blackout."""

    def lost(window: float) -> float:
        up = theory.buffer_up_ops(int(window), RECORD_BYTES, gap)
        return 1 - theory.live_fraction(up, down)

    return _curve("5", "loss by window (bytes)", windows, lost)


def df_theory_cold(pages: Sequence[int], gap: float, down: float) -> pd.DataFrame:
    """Row 5b: fraction of ops lost if every page is cold again, by page size (bytes)."""

    def lost(page: float) -> float:
        return theory.cold_page_loss(theory.cold_page_up_ops(int(page) // RECORD_BYTES, gap), down)

    return _curve("5b", "loss by page (bytes)", pages, lost)


def df_theory_dispersion(periods: Sequence[int]) -> pd.DataFrame:
    """Row 7: variance over mean of a count with jitter, by period (ops)."""

    def dispersion(period: float) -> float:
        mean = float(theory.gaps(int(period), jitter=True).mean())
        return theory.count_dispersion(mean, theory.jitter_variance())

    return _curve("7", "dispersion of counts by period (ops)", periods, dispersion)


def df_theory(arms: Sequence[ArmResult]) -> pd.DataFrame:
    """arm, row, quantity, theory, simulated, z, n, condition: each form against each arm."""
    rows = [row for arm in arms for row in _rows(arm)]
    return pd.DataFrame(rows, columns=list(THEORY_TABLE))


def _rows(arm: ArmResult) -> Iterator[tuple[Any, ...]]:
    for row, quantity, why_not, values in (
        ("7", "selections", _no_counts, _counts),
        ("5", "loss to full buffers", _no_windows, _windows),
        ("12", "share of the most biased symbol", _no_bias, _biased_share),
    ):
        condition = why_not(arm)
        if condition:
            yield arm.arm.name, row, quantity, math.nan, math.nan, math.nan, 0, condition
            continue
        expected, found = values(arm)
        off = found - expected
        error = float(off.std(ddof=1)) / math.sqrt(off.size) if off.size > 1 else 0.0
        z = float(off.mean()) / error if error > 0 else math.nan
        yield (
            arm.arm.name,
            row,
            quantity,
            *map(float, (expected.mean(), found.mean())),
            z,
            off.size,
            "",
        )


def mean_gap(arm: ArmResult) -> float:
    """Mean effective gap of an arm's sampler, ops."""
    spe = arm.arm.settings.spe
    period = sanitise_period(spe.interval, spe.min_interval)
    return float(theory.gaps(period, jitter=spe.jitter == "on").mean())


def _profiled(arm: ArmResult) -> F64:
    ops = [[v.ledgers.ops.by_label[OpLabel.PROFILED] for v in run.vcpus] for run in arm.runs]
    return np.asarray(np.array(ops, np.float64).sum(axis=1))


def _no_counts(arm: ArmResult) -> str:
    if arm.arm.settings.spe.population != "instructions":
        return "the population is micro-ops, and labels count ops"
    if arm.arm.settings.spe.restart != "hold":
        return "resync passes points over"
    if float(_profiled(arm).min()) < theory.LONG * mean_gap(arm):
        return f"fewer than {theory.LONG} mean gaps were profiled"
    return ""


def _counts(arm: ArmResult) -> Expected:
    """Selections against profiled ops over the mean gap; the last gap of a vCPU is half done."""
    found = [[v.ledgers.selections.selected for v in run.vcpus] for run in arm.runs]
    gap = mean_gap(arm)
    unfinished = len(arm.runs[0].vcpus) / 2
    expected = np.array([theory.count_mean(p, gap) - unfinished for p in _profiled(arm)])
    return expected, np.array(found, np.float64).sum(axis=1)


def _no_windows(arm: ArmResult) -> str:
    settings = arm.arm.settings
    if settings.switch is not None:
        return "context switches end windows before they are full"
    if settings.records == "packed":
        return "packed records have two lengths"
    others = [x for x in LOSS_LABELS if x is not OpLabel.IRQ_DELIVERY_FULL]
    if any(losses.lost_ops(run, label) for run in arm.runs for label in others):
        return "full buffers are not the only cause of loss"
    counted = [v.blackouts.get("full") for run in arm.runs for v in run.vcpus]
    if any(b is None or b.count < theory.LONG for b in counted):
        return f"fewer than {theory.LONG} full buffers on a vCPU"
    return ""


def _windows(arm: ArmResult) -> Expected:
    """Loss against that of the complete cycles U + D in the profiled ops, D the mean blackout."""
    driver = arm.arm.settings.driver
    window, gap = driver.watermark or driver.aux // 2, mean_gap(arm)
    expected, found = [], []
    for run in arm.runs:
        lost = 0.0
        for v in run.vcpus:
            s, full = v.ledgers.selections, v.blackouts["full"]
            up = theory.buffer_up_ops(window, RECORD_BYTES, gap, s.written / s.selected)
            lost += v.ledgers.ops.by_label[OpLabel.PROFILED] // up * full.ops / full.count
        profiled = sum(v.ledgers.ops.by_label[OpLabel.PROFILED] for v in run.vcpus)
        expected.append(1 - theory.live_fraction(profiled, lost))
        gone = losses.lost_ops(run, OpLabel.IRQ_DELIVERY_FULL)
        found.append(1 - theory.live_fraction(profiled, gone))
    return np.array(expected), np.array(found)


def _no_bias(arm: ArmResult) -> str:
    if arm.arm.settings.spe.restart != "hold":
        return "resync: a blackout begins at a selection and passes over fewer points than its ops"
    if not losses.explained(arm):
        return "a filter depends on the single op, so loss has no symbol"
    if not losses.loss_by_symbol(arm):
        return "nothing was executed"
    if not profiles.sampled(arm, "symbol").sum(axis=1).all():
        return "a replication without samples"
    return ""


def _biased_share(arm: ArmResult) -> Expected:
    """Share of the symbol whose loss biases it most, against its truth plus that bias."""
    worst = losses.loss_by_symbol(arm)[0]
    index = profiles.names(arm, "symbol").index(worst.label)
    found = profiles.shares(profiles.sampled(arm, "symbol"))[:, index]
    return np.full(found.size, worst.share + worst.bias), found
