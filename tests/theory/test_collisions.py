"""Collisions against row 4 of the theory page: 1 − 1/(1 + E[M_X(L)]).

The expectation is that of the law, an exponential, and not of the simulator's table of it. One op a
cycle: cycles in flight are ops. 40 replications of 8,000 selections, z = 4 standard errors between
replications.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from analysis import theory
from analysis.statistics.intervals import F64
from sim import laws
from sim.machine.machine import simulate
from sim.machine.resolve import machine_spec, stream_of
from sim.machine.run import Run
from sim.results import VcpuResult
from sim.scenario.models.scenario import DESIGNS, Arm, Settings

Z = 4
SEED = 20260101
REPLICATIONS = 40
SELECTIONS = 8000
LOOP = 64
TICKS_PER_OP = 64


def settings(period: int, jitter: str, latency: dict[str, str], **changes: object) -> Settings:
    """One loop at one op a cycle."""
    phase = {
        "name": "loop",
        "length": LOOP,
        "iterations": SELECTIONS * (period + 128) // LOOP,
        "cpi_millis": 1000,
        "latency": latency,
    }
    return Settings.model_validate(
        {
            "workload": {"kind": "synthetic", "phases": [phase]},
            "spe": {"interval": f"{period}ops", "min_interval": "256ops", "jitter": jitter},
            "driver": {"mode": "cpu"},
            "vm": {"exits": "0/s"},
        }
        | changes
    )


def exponential(mean: int) -> dict[str, str]:
    """Latency law of a phase."""
    return {"kind": "exponential", "mean": f"{mean}cycles"}


def constant(cycles: int) -> dict[str, str]:
    """Latency law of a phase."""
    return {"kind": "constant", "value": f"{cycles}cycles"}


def runs(given: Settings, design: str = "baremetal") -> list[VcpuResult]:
    """All replications of one design."""
    stream = stream_of(given)
    arm = Arm(name=design, design=design, policies=DESIGNS[design][0], settings=given)
    spec = machine_spec(arm, stream)
    return [simulate(spec, (stream,), Run(design, SEED, r)).vcpus[0] for r in range(REPLICATIONS)]


def fractions(results: list[VcpuResult]) -> F64:
    """Collided over selected, per replication."""
    ledgers = [result.ledgers.selections for result in results]
    return np.array([ledger.collided / ledger.selected for ledger in ledgers])


def collided_fraction(period: int, mean: int, *, jitter: bool) -> float:
    """Row 4 for an exponential latency."""
    return theory.collision_fraction(theory.renewals_exponential(period, mean, jitter=jitter))


POINTS = [
    *[(256, 100), (256, 600), (512, 300), (1024, 200), (1024, 600), (2048, 600), (4096, 1500)],
    *[(1024, 120), (1024, 150), (1024, 300)],  # 7 to 9 means, which the tail alone makes
]


@pytest.mark.parametrize("jitter", [False, True], ids=["periodic", "jitter"])
@pytest.mark.parametrize(("period", "mean"), POINTS)
def test_the_simulator_draws_from_the_law(period: int, mean: int, jitter: bool) -> None:
    """E[M(L)] over a million lifetimes that the simulator draws: within 5 standard errors."""
    values = np.random.default_rng(period + mean).integers(0, 1 << 64, 1 << 20, dtype=np.uint64)
    drawn = laws.drawn_array(
        laws.exponential(mean * TICKS_PER_OP), np.zeros(values.size, np.int64), values
    )
    closed = theory.renewals_exponential(period, mean, jitter=jitter)
    found = theory.renewals(period, drawn / TICKS_PER_OP, jitter=jitter)
    assert abs(found - closed) < 5 * math.sqrt(closed * (1 + 2 * closed) / values.size) + 1e-6


@pytest.mark.parametrize(("period", "mean"), POINTS)
def test_the_two_ways_to_count_renewals_agree(period: int, mean: int) -> None:
    """No jitter: Σ_k P(S_k < L) is E[⌊L/(P + 1)⌋] where no lifetime is a multiple of the gap."""
    lifetimes = np.random.default_rng(mean).exponential(mean, 10_000)
    assert (lifetimes % (period + 1) != 0).all()
    assert theory.renewals(period, lifetimes, jitter=False) == pytest.approx(
        theory.renewals_periodic(period, lifetimes)
    )


@pytest.mark.parametrize("jitter", ["off", "on"])
@pytest.mark.parametrize(("period", "mean"), POINTS)
def test_collision_fraction(period: int, mean: int, jitter: str) -> None:
    """Row 4 on baremetal, one window for all records."""
    found = fractions(runs(settings(period, jitter, exponential(mean))))
    expected = collided_fraction(period, mean, jitter=jitter == "on")
    error = float(found.std(ddof=1)) / math.sqrt(REPLICATIONS)
    assert 0 < error < 0.005
    assert abs(float(found.mean()) - expected) < Z * error


@pytest.mark.parametrize("jitter", ["off", "on"])
@pytest.mark.parametrize(
    ("period", "granule", "aux"), [(1024, "4KiB", "64KiB"), (256, "16KiB", "128KiB")]
)
def test_collision_fraction_when_always_cold(
    period: int, granule: str, aux: str, jitter: str
) -> None:
    """Row 4 with a fault in every page: the counter is frozen in a blackout, so nothing changes."""
    given = settings(
        period,
        jitter,
        exponential(600),
        vm={"exits": "0/s", "granule": granule},
        driver={"aux": aux, "mode": "cpu"},
        host={"unmap": "per_window"},
    )
    results = runs(given, "unpinned")
    assert all(result.blackouts["fault"].count > 10 for result in results)
    found = fractions(results)
    error = float(found.std(ddof=1)) / math.sqrt(REPLICATIONS)
    expected = collided_fraction(period, 600, jitter=jitter == "on")
    assert abs(float(found.mean()) - expected) < Z * error


@pytest.mark.parametrize("jitter", ["off", "on", "ernd"])
@pytest.mark.parametrize("design", ["baremetal", "unpinned"])
def test_no_collision_while_lifetimes_are_shorter_than_the_gap(design: str, jitter: str) -> None:
    """max L < P + 1: none, always cold or not; ERnd's shortest gap is 255 ops shorter."""
    longest = 1024 - 255 if jitter == "ernd" else 1024
    given = settings(1024, jitter, constant(longest), host={"unmap": "per_window"})
    for result in runs(given, design)[:30]:
        assert result.ledgers.selections.collided == 0
        assert result.ledgers.selections.selected > SELECTIONS / 2


@pytest.mark.parametrize(
    ("cycles", "per_sample"), [(1024, 0), (1025, 0), (1026, 1), (2050, 1), (2051, 2)]
)
def test_periodic_constant_lifetime(cycles: int, per_sample: int) -> None:
    """Each sample is followed by the selections strictly within its lifetime, and no others.

    At L = P + 1 the record is written first: that order of an instant is the model's.
    """
    lifetimes = np.array([float(cycles)])
    assert theory.renewals(1024, lifetimes, jitter=False) == per_sample
    result = runs(settings(1024, "off", constant(cycles)))[0].ledgers.selections
    samples = result.selected - result.collided
    assert abs(result.collided - per_sample * samples) <= per_sample


def test_collisions_have_a_knee() -> None:
    """Target 2: with a memory-bound tail the fraction falls monotonically with the period."""
    found = [
        float(fractions(runs(settings(period, "on", exponential(400)))[:10]).mean())
        for period in (256, 512, 1024, 2048, 4096)
    ]
    assert all(a > b for a, b in pairwise(found))
    assert found[0] > 0.3 > 0.001 > found[-1]


def test_a_wrong_gap_is_noticed() -> None:
    """Control: the tolerance tells P = 256 with jitter from a mean gap one part in twenty off."""
    found = fractions(runs(settings(256, "on", exponential(600))))
    error = float(found.std(ddof=1)) / math.sqrt(REPLICATIONS)
    wrong = collided_fraction(275, 600, jitter=True)
    assert abs(float(found.mean()) - wrong) > Z * error
