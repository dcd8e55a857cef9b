"""Which setting matters: the exact decomposition against closed forms and against SALib."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from SALib.analyze import sobol as estimated
from SALib.sample import sobol as sampled

from analysis.sweeps.sensitivity import Decomposition, decompose

F64 = NDArray[np.float64]


def found(values: F64, error: float = 0.0) -> Decomposition:
    """The decomposition of a grid that has one."""
    made = decompose(values, np.full(values.shape, error))
    assert made is not None
    return made


def test_additive_response() -> None:
    """No interaction: alone and with others are equal and add up to one; weights as computed."""
    a, b = np.meshgrid([0.0, 1.0], [0.0, 3.0], indexing="ij")
    first, second = found(a + b).axes
    assert (first.first, first.total) == pytest.approx((0.1, 0.1))
    assert (second.first, second.total) == pytest.approx((0.9, 0.9))


def test_pure_interaction() -> None:
    """An exclusive or: no axis does anything alone, each everything together."""
    for axis in found(np.array([[0.0, 1.0], [1.0, 0.0]])).axes:
        assert (axis.first, axis.total) == pytest.approx((0, 1))


def test_idle_axis_has_no_weight() -> None:
    """Control: an axis that changes nothing is found to matter nothing."""
    values = np.repeat(np.array([[1.0, 2.0, 5.0]]), 4, axis=0)
    idle, active = found(values).axes
    assert (idle.first, idle.total) == (0, 0)
    assert (active.first, active.total) == pytest.approx((1, 1))


def test_noise_is_its_part_of_the_variance() -> None:
    """Standard error 0.5 where the means' variance is 0.25: as large as the whole."""
    assert found(np.array([0.0, 1.0]), 0.5).noise == pytest.approx(1.0)
    unknown = decompose(np.array([0.0, 1.0]), np.array([0.1, np.nan]))
    assert unknown is not None
    assert unknown.noise is None


def test_incomplete_or_constant_grids_have_none() -> None:
    """A missing cell, or nothing that varies: no indices rather than wrong ones."""
    assert decompose(np.array([1.0, np.nan, 2.0]), np.zeros(3)) is None
    assert decompose(np.full((2, 3), 0.1), np.zeros((2, 3))) is None


@given(st.lists(st.integers(-50, 50), min_size=12, max_size=12))
def test_bounds(numbers: list[int]) -> None:
    """0 <= alone <= with others <= 1, and what axes do alone is never more than everything."""
    made = decompose(np.array(numbers, float).reshape(2, 3, 2), np.zeros((2, 3, 2)))
    if made is None:
        assert len(set(numbers)) == 1
        return
    for axis in made.axes:
        assert -1e-12 <= axis.first <= axis.total + 1e-12
        assert axis.total <= 1 + 1e-12
    assert sum(axis.first for axis in made.axes) <= 1 + 1e-12


def test_agrees_with_salib() -> None:
    """SALib's Sobol' estimates, drawn from the grid, are our numbers within their own intervals."""
    shape = (3, 4, 5)
    grid = np.random.default_rng(5).random(shape) + np.arange(3)[:, None, None]
    problem = {"num_vars": 3, "names": ["a", "b", "c"], "bounds": [[0, 1]] * 3}
    points = sampled.sample(problem, 4096, calc_second_order=False, seed=1)
    at = np.minimum((points * shape).astype(int), np.array(shape) - 1)
    theirs = estimated.analyze(
        problem, grid[tuple(at.T)], calc_second_order=False, num_resamples=50, seed=1
    )
    for k, ours in enumerate(found(grid).axes):
        assert ours.first == pytest.approx(theirs["S1"][k], abs=2 * theirs["S1_conf"][k])
        assert ours.total == pytest.approx(theirs["ST"][k], abs=2 * theirs["ST_conf"][k])
        assert theirs["ST_conf"][k] < 0.05
