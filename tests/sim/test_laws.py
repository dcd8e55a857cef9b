"""Laws of times in flight: against the distribution that they are of, in all forms of a draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sim import draws, laws
from sim.draws import njit

CYCLE = 64


@njit
def _compiled(table: NDArray[np.int64], values: NDArray[np.uint64], out: NDArray[np.int64]) -> None:
    for j in range(values.size):
        out[j] = laws.drawn(table, np.uint64(0), values[j])


def _exponential(mean: int) -> Callable[[float], float]:
    return lambda x: math.exp(-x / mean)


def _lognormal(floor: int, median: int, p99: int) -> Callable[[float], float]:
    sigma = math.log(p99 / median) / NormalDist().inv_cdf(0.99)
    return lambda x: 1 - NormalDist().cdf(math.log(max(1e-9, x - floor) / median) / sigma)


LAWS = {
    "exponential of 120 cycles": (laws.exponential(120 * CYCLE), _exponential(120 * CYCLE)),
    "exponential of 600 cycles": (laws.exponential(600 * CYCLE), _exponential(600 * CYCLE)),
    "memory": (
        laws.lognormal(200 * CYCLE, 150 * CYCLE, 700 * CYCLE),
        _lognormal(200 * CYCLE, 150 * CYCLE, 700 * CYCLE),
    ),
}


@pytest.mark.parametrize("name", LAWS)
def test_the_tail_is_that_of_the_distribution(name: str) -> None:
    """From its middle on: right to 2e-5 in all and to 0.2 % of what is beyond, down to 1e-6."""
    table, survival = LAWS[name]
    tick = next(x for x in range(1 << 24) if survival(x) < 0.5)
    while (exact := survival(tick)) > 1e-6:
        found = laws.at_least(table, tick)[0] / laws.DRAWS
        assert abs(found - exact) < 2e-5 + survival(tick - 1) - survival(tick), tick
        assert found == pytest.approx(exact, rel=2e-3), tick
        tick += max(1, tick // 50)
    assert survival(laws.longest(table)) < 1e-6


def test_collisions_that_the_tail_alone_makes() -> None:
    """N = 1024, CPI 1, no jitter: e^(-1025/mean) of the samples last to the next selection."""
    for mean, due in ((120, 228), (150, 1_261), (300, 38_424)):
        lasting = laws.at_least(laws.exponential(mean * CYCLE), 1025 * CYCLE)[0] / laws.DRAWS
        assert 1_170_692 * lasting == pytest.approx(due, rel=0.003)


@pytest.mark.parametrize("mean", [5, 64, 600, 1_000_000])
def test_a_cell_keeps_its_mean(mean: int) -> None:
    """The mean of an exponential, to half a tick and its rounding; never 0."""
    table = laws.exponential(mean * CYCLE)
    values = np.random.default_rng(mean).integers(0, 1 << 64, 1 << 20, dtype=np.uint64)
    drawn = laws.drawn_array(table, np.zeros(values.size, np.int64), values)
    error = 5 * drawn.std() / math.sqrt(values.size)
    assert abs(drawn.mean() - mean * CYCLE) < 1 + error
    assert laws.shortest(table) >= 1


@settings(deadline=None)
@given(st.integers(0, (1 << 64) - 1), st.integers(0, 1 << 40), st.sampled_from(sorted(LAWS)))
def test_three_forms_of_a_draw_agree(key: int, ordinal: int, name: str) -> None:
    """Compiled, plain and vectorised."""
    table = LAWS[name][0]
    value = np.array([draws.splitmix64(key, ordinal)], np.uint64)
    out = np.empty(1, np.int64)
    _compiled(table, value, out)
    assert out[0] == laws.draw(table.tolist(), 0, key, ordinal)
    assert out[0] == laws.drawn_array(table, np.zeros(1, np.int64), value)[0]


@pytest.mark.parametrize("name", [*LAWS, "measured", "constant"])
def test_what_a_law_says_is_what_it_draws(name: str) -> None:
    """`at_least` against the share of a million draws, ends included."""
    seen = np.sort(np.random.default_rng(1).integers(500, 90_000, 256))
    table = {
        **{known: law for known, (law, _) in LAWS.items()},
        "measured": laws.measured(seen),
        "constant": laws.constant(900 * CYCLE),
    }[name]
    values = np.random.default_rng(2).integers(0, 1 << 64, 1 << 20, dtype=np.uint64)
    drawn = laws.drawn_array(table, np.zeros(values.size, np.int64), values)
    for tick in (0, laws.shortest(table), *np.quantile(drawn, [0.1, 0.5, 0.9, 0.99]).astype(int)):
        share = laws.at_least(table, int(tick))[0] / laws.DRAWS
        found = (drawn >= tick).mean()
        assert abs(found - share) < 5 * math.sqrt(max(share * (1 - share), 1e-12) / values.size)
    assert laws.at_least(table, laws.longest(table) + 1)[0] == 0
    assert laws.shortest(table) <= drawn.min() <= drawn.max() <= laws.longest(table)


@pytest.mark.parametrize("name", [*LAWS, "measured", "constant"])
@pytest.mark.parametrize("most", [60, 4095])
def test_a_law_by_cycles(name: str, most: int) -> None:
    """As `at_least` has it at either end of each cycle, what is beyond the counter in the last."""
    seen = np.sort(np.random.default_rng(1).integers(500, 90_000, 256))
    table = {
        **{known: law for known, (law, _) in LAWS.items()},
        "measured": laws.measured(seen),
        "constant": laws.constant(900 * CYCLE + 5),
    }[name]
    found = laws.by_unit(table, CYCLE, most)
    assert found.sum() == laws.DRAWS
    reach = np.array([int(laws.at_least(table, k * CYCLE)[0]) for k in range(most + 1)])
    assert found.tolist() == [*(reach[:-1] - reach[1:]).tolist(), int(reach[-1])]


def test_a_measured_law_has_no_values_of_its_own() -> None:
    """Steps: two modes stay two, and nothing is beyond the last quantile."""
    seen = np.array([100] * 200 + [9_000] * 56)
    values = np.random.default_rng(3).integers(0, 1 << 64, 100_000, dtype=np.uint64)
    drawn = laws.drawn_array(laws.measured(seen), np.zeros(values.size, np.int64), values)
    assert set(drawn.tolist()) == {100, 9_000}
    with pytest.raises(ValueError, match="a measured law has 256"):
        laws.measured(seen[:10])


def test_a_time_beyond_the_word_is_refused() -> None:
    """31 bits of ticks, which no latency of a scenario reaches."""
    laws.exponential(1_000_000 * CYCLE)
    with pytest.raises(ValueError, match="is beyond the largest"):
        laws.constant(1 << 31)
