"""Fitting weights to counts: recovered within their errors, and the errors are true."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.fidelity.selection import Loop, chances, fit, weights_with_errors

TRUE = np.log([1.0, 2.0, 0.3])
DESIGNS = [np.eye(3)[[0, 1, 2, 0, 1]], np.eye(3)[[2, 2, 1, 0]]]
"""Two loops of three kinds of op."""


def _loops(rng: np.random.Generator, samples: int) -> list[Loop]:
    return [
        Loop(
            design,
            np.arange(len(design)),
            rng.multinomial(samples, chances(design, TRUE)).astype(float),
        )
        for design in DESIGNS
    ]


def _true_weights() -> np.ndarray:
    return np.asarray(np.exp(TRUE) / np.exp(np.concatenate(DESIGNS) @ TRUE).mean())


def test_weights_are_recovered_and_errors_cover() -> None:
    """200 draws: standardised errors have mean 0 and deviation 1, to within 4 standard errors.

    A χ²/df above 1 widens an error, by 1.2 in the mean at 5 degrees: the deviation is below 1.
    """
    rng = np.random.default_rng(5)
    z, chi2 = [], []
    for _ in range(200):
        loops = _loops(rng, 4000)
        found = fit(loops)
        weights, errors = weights_with_errors(found, np.eye(3), loops)
        z.append((weights - _true_weights()) / errors)
        chi2.append(found.chi2)
        assert found.degrees == 4 + 3 - 2
    assert np.abs(np.mean(z, axis=0)).max() < 4 / np.sqrt(200)
    assert 0.75 < np.std(z) < 1.1
    assert np.mean(chi2) == pytest.approx(5, abs=4 * np.sqrt(2 * 5 / 200))


def test_ops_that_are_not_told_apart_share_a_count() -> None:
    """A group of two ops gets the sum of their chances: exact counts give the weights exactly."""
    design = DESIGNS[0]
    due = 1e6 * chances(design, TRUE)
    group = np.array([0, 1, 2, 0, 3])
    loop = Loop(design, group, np.bincount(group, due, 4).astype(float))
    found = fit([loop])
    weights, _ = weights_with_errors(found, np.eye(3), [loop])
    assert weights[1:] / weights[0] == pytest.approx(np.exp(TRUE[1:] - TRUE[0]), rel=1e-4)
    assert found.chi2 < 1e-3


def test_an_op_without_samples_is_never_chosen() -> None:
    """Its weight is next to nothing, and the others keep their ratio."""
    loop = Loop(np.eye(3), np.arange(3), np.array([1000.0, 2000.0, 0.0]))
    weights, errors = weights_with_errors(fit([loop]), np.eye(3), [loop])
    assert weights[2] < 1e-3
    assert np.isfinite(errors).all()
    assert weights[1] / weights[0] == pytest.approx(2, rel=1e-3)


def test_loops_that_disagree_widen_the_errors() -> None:
    """The same two ops at 1 to 1 and at 1 to 3: no weight explains both, and the errors say so."""
    loops = [
        Loop(np.eye(2), np.arange(2), np.array(counts))
        for counts in ([500.0, 500.0], [250.0, 750.0])
    ]
    found = fit(loops)
    assert found.dispersion > 50
    alone = fit(loops[:1])
    assert found.covariance[0, 0] > 20 * alone.covariance[0, 0]
