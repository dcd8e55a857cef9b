"""Weights of hardware-like selection from counts: how often each op of a loop was sampled.

A loop without a taken branch but its last shares its selections out among its ops in proportion to
their weights (`sim.spe.selection`), so counts of one loop are multinomial: no period, no number of
iterations and no lost time is needed. Logarithms of weights are linear in parameters, and several
loops share them; the likelihood is maximised by Fisher scoring (Luce's choice model, a conditional
logit). Only ratios of weights are known: the mean over all ops is put at 1.

Errors are standard errors of the weights, widened by the square root of Pearson's χ²/df where that
exceeds 1: the table does not explain what two loops say differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
MAX_STEPS = 100
LARGEST_LOG = 12.0
"""Weights are within e^±12 of the middle: an op without a sample has none that is finite."""
_CLOSE = 1e-10


@dataclass(frozen=True, slots=True)
class Loop:
    """What was seen of one loop.

    `design` [ops, parameters]: the logarithm of each op's weight is its row × parameters.
    `group` [ops]: which of `counts` [groups] an op was counted in; ops that were not told apart
    share one.
    """

    design: F64
    group: I64
    counts: F64


@dataclass(frozen=True, slots=True)
class Fit:
    """Parameters [p] with their covariance [p, p], and how well they explain the counts."""

    parameters: F64
    covariance: F64
    chi2: float
    degrees: int

    @property
    def dispersion(self) -> float:
        """χ²/df; 1 if nothing is left to test."""
        return self.chi2 / self.degrees if self.degrees > 0 else 1.0


def chances(design: F64, parameters: F64) -> F64:
    """Chance of each op [ops] that a selection within the loop samples it."""
    weights = np.exp(np.clip(design @ parameters, -LARGEST_LOG, LARGEST_LOG))
    return np.asarray(weights / weights.sum())


def fit(loops: Sequence[Loop]) -> Fit:
    """The parameters under which the counts of all loops are likeliest."""
    parameters = np.zeros(loops[0].design.shape[1])
    value = _likelihood(loops, parameters)
    information = np.zeros((parameters.size, parameters.size))
    for _ in range(MAX_STEPS):
        gradient, information = _derivatives(loops, parameters)
        step = np.linalg.pinv(information, hermitian=True) @ gradient
        parameters, gained = _climb(loops, parameters, step, value)
        value += gained
        if gained < _CLOSE * max(1.0, abs(value)):
            break
    _, information = _derivatives(loops, parameters)
    chi2, degrees = _pearson(loops, parameters)
    degrees -= int(np.linalg.matrix_rank(information, hermitian=True))
    widened = max(1.0, chi2 / degrees) if degrees > 0 else 1.0
    covariance = np.asarray(widened * np.linalg.pinv(information, hermitian=True), np.float64)
    return Fit(parameters, covariance, chi2, degrees)


def weights_with_errors(found: Fit, rows: F64, loops: Sequence[Loop]) -> tuple[F64, F64]:
    """(weight, standard error) [k] of ops whose design is `rows` [k, parameters].

    The mean weight over all ops of the loops is 1.
    """
    every = np.concatenate([loop.design for loop in loops])
    raw = np.exp(np.clip(every @ found.parameters, -LARGEST_LOG, LARGEST_LOG))
    mean_row = raw @ every / raw.sum()  # gradient of the mean's logarithm
    weights = np.exp(np.clip(rows @ found.parameters, -LARGEST_LOG, LARGEST_LOG)) / raw.mean()
    gradient = rows - mean_row
    variance = np.einsum("ij,jk,ik->i", gradient, found.covariance, gradient)
    return weights, weights * np.sqrt(np.maximum(variance, 0.0))


def _climb(loops: Sequence[Loop], at: F64, step: F64, value: float) -> tuple[F64, float]:
    """As far along `step` as makes the counts likelier: (parameters, what that gains)."""
    length = 1.0
    while length > 1e-6:
        there = np.clip(at + length * step, -LARGEST_LOG, LARGEST_LOG)
        gained = _likelihood(loops, there) - value
        if gained > 0:
            return there, gained
        length /= 2
    return at, 0.0


def _grouped(loop: Loop, parameters: F64) -> tuple[F64, F64]:
    """Chance of each op, and of each group."""
    chance = chances(loop.design, parameters)
    return chance, np.bincount(loop.group, chance, loop.counts.size).astype(np.float64)


def _likelihood(loops: Sequence[Loop], parameters: F64) -> float:
    """Logarithm of the likelihood, without what does not depend on the parameters."""
    total = 0.0
    for loop in loops:
        _, groups = _grouped(loop, parameters)
        total += float(loop.counts @ np.log(np.maximum(groups, 1e-300)))
    return total


def _derivatives(loops: Sequence[Loop], parameters: F64) -> tuple[F64, F64]:
    """Gradient [p] and Fisher information [p, p]."""
    size = parameters.size
    gradient, information = np.zeros(size), np.zeros((size, size))
    for loop in loops:
        chance, groups = _grouped(loop, parameters)
        sums = np.zeros((groups.size, size))
        np.add.at(sums, loop.group, chance[:, None] * loop.design)
        within = sums / np.maximum(groups, 1e-300)[:, None]
        away = within - chance @ loop.design
        gradient += loop.counts @ away
        information += (away.T * (loop.counts.sum() * groups)) @ away
    return gradient, information


def _pearson(loops: Sequence[Loop], parameters: F64) -> tuple[float, int]:
    """Pearson's χ² and how many counts are free, groups that nothing is expected in left out."""
    chi2, free = 0.0, 0
    for loop in loops:
        _, groups = _grouped(loop, parameters)
        expected = loop.counts.sum() * groups
        usable = expected > 1e-6
        chi2 += float(((loop.counts - expected)[usable] ** 2 / expected[usable]).sum())
        free += int(usable.sum()) - 1
    return chi2, free
