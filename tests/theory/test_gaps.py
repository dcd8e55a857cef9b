"""Gaps between selections and counts of them, against rows 1 and 7 of the theory page.

Gaps are taken from the ops of the kept records of baremetal arms that never stop: one window holds
all records, no op is filtered, and a latency of two ops cannot reach the next selection. Unless a
test says otherwise: 40 replications of 5,000 selections, z = 4 standard errors between them.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from analysis import theory
from analysis.statistics.intervals import F64
from sim.machine.machine import simulate
from sim.machine.resolve import machine_spec, stream_of
from sim.machine.run import Run
from sim.results import VcpuResult
from sim.scenario.models.scenario import DESIGNS, Arm, Settings

Z = 4
SEED = 20260101
REPLICATIONS = 40
LOOP = 64
JITTER_SD = math.sqrt(theory.jitter_variance())


def settings(period: int, jitter: str, ops: int, **changes: object) -> Settings:
    """One loop at one op a cycle, every op in flight for two cycles."""
    phase = {
        "name": "loop",
        "length": LOOP,
        "iterations": ops // LOOP,
        "cpi_millis": 1000,
        "latency": {"kind": "constant", "value": "2cycles"},
    }
    return Settings.model_validate(
        {
            "workload": {"kind": "synthetic", "phases": [phase]},
            "spe": {"interval": f"{period}ops", "min_interval": "256ops", "jitter": jitter},
            "driver": {"aux": "4MiB"},
            "vm": {"exits": "0/s"},
        }
        | changes
    )


def runs(given: Settings, replications: int, design: str = "baremetal") -> list[VcpuResult]:
    """Replications of one design, records kept."""
    stream = stream_of(given)
    arm = Arm(name=design, design=design, policies=DESIGNS[design][0], settings=given)
    spec = machine_spec(arm, stream)
    return [
        simulate(spec, (stream,), Run(design, SEED, r, keep_records=True)).vcpus[0]
        for r in range(replications)
    ]


@cache
def gap_runs(period: int, jitter: str) -> tuple[F64, tuple[int, ...]]:
    """(gaps [replication, selection], first selection's rank since the event's start)."""
    n = 5000
    given = settings(period, jitter, (n + 2) * (period + 256))
    gaps, firsts = [], []
    for result in runs(given, REPLICATIONS):
        assert result.stops == 0
        assert result.ledgers.selections.collided == 0
        ops = result.written[:, 0]
        gaps.append(np.diff(ops[: n + 1]).astype(np.float64))
        started = result.ledgers.ops.as_dict()["before_start"]
        firsts.append(int(ops[0]) - started + 1)
    return np.array(gaps), tuple(firsts)


def standard_error(values: F64) -> float:
    """Of the mean of one value per replication."""
    return float(values.std(ddof=1)) / math.sqrt(values.size)


PERIODS = (256, 1024, 4096)


@pytest.mark.parametrize("period", PERIODS)
def test_without_jitter_every_gap_counts_the_reload(period: int) -> None:
    """N + 1, always; nothing to estimate."""
    gaps, _ = gap_runs(period, "off")
    assert (gaps == theory.gaps(period, jitter=False)[0]).all()


@pytest.mark.parametrize(
    ("jitter", "offset", "sd"), [("on", 128.5, 73.9), ("ernd", 1, 104.5)], ids=["on", "ernd"]
)
@pytest.mark.parametrize("period", PERIODS)
def test_mean_and_deviation_of_gaps(period: int, jitter: str, offset: float, sd: float) -> None:
    """Means N + 128.5 and N + 1; deviations 73.9 and √2 times that, as squares about the mean."""
    gaps, _ = gap_runs(period, jitter)
    exact_sd = JITTER_SD * (1 if jitter == "on" else math.sqrt(2))
    assert exact_sd == pytest.approx(sd, abs=0.05)
    means = gaps.mean(axis=1)
    assert abs(means.mean() - (period + offset)) < Z * standard_error(means)
    squares = ((gaps - period - offset) ** 2).mean(axis=1)
    assert abs(squares.mean() - exact_sd**2) < Z * standard_error(squares)


@pytest.mark.parametrize("period", PERIODS)
def test_mean_gap_error_is_that_of_the_theory(period: int) -> None:
    """Spread of replication means: σ/√n accumulating; a grid only has its two ends, σ√2/n."""
    n = gap_runs(period, "on")[0].shape[1]
    relative = Z / math.sqrt(2 * (REPLICATIONS - 1))  # of a standard deviation
    for jitter, error in (("on", JITTER_SD / math.sqrt(n)), ("ernd", JITTER_SD * math.sqrt(2) / n)):
        spread = float(gap_runs(period, jitter)[0].mean(axis=1).std(ddof=1))
        assert spread == pytest.approx(error, rel=relative)


@pytest.mark.parametrize("period", PERIODS)
def test_range_of_gaps(period: int) -> None:
    """RND: N + 1 to N + 256, ends reached; ERnd: within 255 of N + 1, on both sides."""
    on, ernd = gap_runs(period, "on")[0], gap_runs(period, "ernd")[0]
    assert (on.min(), on.max()) == (period + 1, period + 256)
    assert (np.abs(ernd - (period + 1)) <= 255).all()
    assert ernd.min() < period + 1 - 240
    assert ernd.max() > period + 1 + 240


@pytest.mark.parametrize("period", PERIODS)
def test_distribution_of_gaps(period: int) -> None:
    """KS with n = 200,000 gaps: √n·D below 1.95 (0.1 %), conservative as the law is discrete."""
    gaps = gap_runs(period, "on")[0].ravel()
    law = theory.gaps(period, jitter=True)
    found = np.searchsorted(np.sort(gaps), law, side="right") / gaps.size
    distance = float(np.abs(found - np.arange(1, law.size + 1) / law.size).max())
    assert math.sqrt(gaps.size) * distance < 1.95


@pytest.mark.parametrize("period", PERIODS)
def test_gaps_of_a_grid_are_dependent(period: int) -> None:
    """Lag-1 correlation: 0 with RND, −1/2 with ERnd (a byte enters two gaps)."""
    for jitter, offset, expected in (("on", 128.5, 0.0), ("ernd", 1.0, -0.5)):
        deviations = gap_runs(period, jitter)[0] - period - offset
        found = (deviations[:, 1:] * deviations[:, :-1]).mean(axis=1)
        variance = theory.jitter_variance() * (1 if jitter == "on" else 2)
        assert abs(found.mean() - expected * variance) < Z * standard_error(found)


@pytest.mark.parametrize("jitter", ["off", "on", "ernd"])
def test_first_gap_is_the_sample_period(jitter: str) -> None:
    """PMSICR = attr.sample_period at a new event; ERnd adds its byte when COUNT reaches 0."""
    _, firsts = gap_runs(1024, jitter)
    if jitter == "ernd":
        assert all(1024 <= first <= 1024 + 255 for first in firsts)
        assert len(set(firsts)) > 1
    else:
        assert set(firsts) == {1024}


def test_period_is_rounded_down() -> None:
    """5,000 → 4,864 in the register (gap 4,865), but the first interval is 5,000."""
    result = runs(settings(5000, "off", 200_000), 1)[0]
    ops = result.written[:, 0]
    assert set(np.diff(ops)) == {4865}
    assert ops[0] - result.ledgers.ops.as_dict()["before_start"] + 1 == 5000


# --- row 7: counts -----------------------------------------------------------------------------

WINDOW = 2000
"""Mean gaps per window."""
WINDOWS = 50


@cache
def window_counts(period: int, jitter: str) -> F64:
    """Selections in [replication, window], adjoining windows of WINDOW mean gaps."""
    mean = period + (128.5 if jitter == "on" else 1)
    width = round(WINDOW * mean)
    given = settings(period, jitter, width * (WINDOWS + 1) + LOOP, driver={"aux": "16MiB"})
    counts = []
    for result in runs(given, REPLICATIONS):
        assert result.stops == 0
        first = result.ledgers.ops.as_dict()["before_start"] + period
        edges = first + width * np.arange(WINDOWS + 1)
        counts.append(np.diff(np.searchsorted(result.written[:, 0], edges)))
    return np.array(counts, np.float64)


@pytest.mark.parametrize(("period", "dispersion"), [(1024, 4.1e-3), (4096, 3.1e-4)])
def test_dispersion_of_counts(period: int, dispersion: float) -> None:
    """Row 7: variance σ²T/μ³, n = 40 × 50 windows, z = 4, plus an end term of at most 1/4."""
    mean = period + 128.5
    counts = window_counts(period, "on")
    per_replication = ((counts - WINDOW) ** 2).mean(axis=1)
    error = standard_error(per_replication)
    expected = theory.count_variance(WINDOW * mean, mean, theory.jitter_variance())
    assert expected / WINDOW == pytest.approx(dispersion, rel=0.02)
    found = float(per_replication.mean())
    assert expected - Z * error < found < expected + 0.25 + Z * error
    assert found < counts.mean() / 100  # nothing like Poisson


@pytest.mark.parametrize("jitter", ["off", "ernd"])
def test_counts_without_accumulating_jitter_are_almost_exact(jitter: str) -> None:
    """A grid has one selection per N + 1 ops: counts are off by the ends only."""
    assert (np.abs(window_counts(1024, jitter) - WINDOW) <= 1).all()


# --- SAMPLE_POP cross-check --------------------------------------------------------------------

AUX = 16 << 10


@pytest.mark.parametrize("mode", ["cpu", "task"])
@pytest.mark.parametrize("jitter", ["off", "on", "ernd"])
@pytest.mark.parametrize(
    ("design", "unmap"), [("baremetal", "never"), ("v6", "never"), ("unpinned", "per_window")]
)
def test_population_predicts_selections(design: str, unmap: str, jitter: str, mode: str) -> None:
    """selected = profiled/(mean gap) within one gap per restart plus 4 σ; and much closer.

    PMSICR survives a stop, so a restart costs one op at most (a counter that stopped at 0).
    """
    period = 1024
    given = settings(
        period,
        jitter,
        4_000_000,
        driver={"aux": f"{AUX}B", "mode": mode},
        host={"unmap": unmap},
        **({"switch": {"every": "40us", "away": "10us"}} if mode == "task" else {}),
    )
    mean = period + (128.5 if jitter == "on" else 1)
    variance = theory.jitter_variance() if jitter == "on" else 0.0
    for result in runs(given, 30, design):
        selections, ops = result.ledgers.selections, result.ledgers.ops.as_dict()
        switches = (4_000_000 // 120_000 + 1) if mode == "task" else 0
        restarts = result.stops + switches
        assert result.stops > 20
        sigma = math.sqrt(theory.count_variance(ops["profiled"], mean, variance))
        off = abs(selections.selected - theory.count_mean(ops["profiled"], mean))
        assert off < restarts + Z * sigma + 1
        assert off < 1.5 + restarts / mean + Z * sigma


def test_cross_check_notices_lost_counters() -> None:
    """Control: an off-by-one gap is far outside the close tolerance on the same runs."""
    given = settings(1024, "off", 4_000_000, driver={"aux": f"{AUX}B", "mode": "cpu"})
    result = runs(given, 1)[0]
    profiled = result.ledgers.ops.as_dict()["profiled"]
    off = abs(result.ledgers.selections.selected - theory.count_mean(profiled, 1024))
    assert off > 1.5 + result.stops / 1025


def test_windows_hold_every_record() -> None:
    """Control: the runs above that must not stop do stop when the window is smaller."""
    assert runs(settings(1024, "off", 1_000_000, driver={"aux": "64KiB"}), 1)[0].stops > 0
