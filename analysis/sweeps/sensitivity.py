"""Which setting of a sweep matters: indices of a complete grid, or of points drawn from ranges.

A complete grid has an exact decomposition. Each level of each axis is taken as equally likely, so
the indices belong to the levels that the sweep lists, not to a range between them. The variance
falls into its parts by averaging (Sobol', Math. Comput. Simul. 55 (2001) 271-280), with no sampling
error; estimators that draw from the grid converge to these numbers, which the tests show with
SALib.

Points drawn from ranges (`sampling`) are analysed by SALib: their indices belong to the ranges, and
carry intervals. What replications alone would make stands beside each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.sweeps.sampling import LEVELS, unit_cube

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Index:
    """One axis: its part of the variance alone, and together with every other axis."""

    first: float
    total: float


@dataclass(frozen=True, slots=True)
class Decomposition:
    """The variance of a response over a grid.

    `noise` is the part of the variance that replications alone would make, if every cell were the
    same; None where replications are too few to tell. Indices below it mean nothing.
    """

    axes: tuple[Index, ...]
    noise: float | None


def decompose(values: F64, errors: F64) -> Decomposition | None:
    """Indices of a response with one dimension per axis; None if it is incomplete or constant.

    `values` are the cells' means, `errors` their standard errors (NaN where unknown), of one shape.
    """
    if not np.isfinite(values).all():
        return None
    variance = float(values.var())
    if variance <= (1e-12 * float(np.abs(values).max(initial=0.0))) ** 2:
        return None
    axes = tuple(_index(values, axis, variance) for axis in range(values.ndim))
    known = np.isfinite(errors).all()
    noise = float((errors**2).mean()) / variance if known else None
    return Decomposition(axes, noise)


def _index(values: F64, axis: int, variance: float) -> Index:
    others = tuple(k for k in range(values.ndim) if k != axis)
    alone = values.mean(axis=others) if others else values
    return Index(float(alone.var()) / variance, float(values.var(axis=axis).mean()) / variance)


# --- sampled ---------------------------------------------------------------------------------

CLEAR = 2.0
"""An index this many times above what noise alone would make is told from noise."""
_RESAMPLES = 500
_DELTA = LEVELS / (2 * (LEVELS - 1))
"""Step of a trajectory, as part of the range."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one setting does to a response.

    `weight` ranks settings: Morris' mu* in the response's unit, or the total Sobol' index. `noise`
    is what it would be, in expectation, if replications made all of it; 0 where they do not differ,
    None with one replication.
    """

    weight: float
    conf: float
    """Half-width of the 95 % interval of `weight`, over the points."""
    noise: float | None
    numbers: dict[str, float]
    """Every index by SALib's name."""

    @property
    def clear(self) -> bool:
        """Is it above the noise?"""
        return self.weight > CLEAR * (self.noise or 0.0)


def morris(unit: F64, values: F64, seed: int) -> tuple[Effect, ...]:
    """Elementary effects (Morris 1991; mu* of Campolongo et al. 2007), by SALib.

    `unit` are points of `sampling` [rows, settings], `values` the response at each, by
    replication [rows, replications], with common random numbers. An effect is the change over a
    whole range, extrapolated from steps of two thirds. Noise: the mean of |effect| if each were
    normal about 0 with the standard error that differences within replications have.
    """
    from SALib.analyze import morris as salib

    found = salib.analyze(
        unit_cube(unit.shape[1]),
        unit,
        values.mean(axis=1),
        num_resamples=_RESAMPLES,
        num_levels=LEVELS,
        seed=seed,
    )
    names = ("mu", "mu_star", "mu_star_conf", "sigma")
    errors = _step_errors(unit, values)
    return tuple(
        Effect(
            weight=float(found["mu_star"][k]),
            conf=float(found["mu_star_conf"][k]),
            noise=None if errors is None else float(errors[k]) * math.sqrt(2 / math.pi) / _DELTA,
            numbers={name: float(found[name][k]) for name in names},
        )
        for k in range(unit.shape[1])
    )


def _step_errors(unit: F64, values: F64) -> F64 | None:
    """Standard error of a step's difference, pooled over steps of the same setting [settings]."""
    steps, replications = unit.shape[1], values.shape[1]
    if replications < 2:
        return None
    places = unit.reshape(-1, steps + 1, steps)
    moved = np.abs(np.diff(places, axis=1)).argmax(axis=2)
    change = np.diff(values.reshape(-1, steps + 1, replications), axis=1)
    variance = _spread(change, values) ** 2 / replications
    return np.array([math.sqrt(variance[moved == k].mean()) for k in range(steps)])


def _spread(change: F64, values: F64) -> F64:
    """Standard deviation of changes of `values` over replications; 0 if rounding makes all of it.

    Replications are the last axis of `change`.
    """
    found = change.std(axis=-1, ddof=1)
    return np.where(found <= 1e-12 * float(np.abs(values).max(initial=0.0)), 0.0, found)


def sobol(settings: int, values: F64, seed: int) -> tuple[Effect, ...]:
    """First and total Sobol' indices (Saltelli et al. 2010), by SALib.

    `values` is the response at the points of `sampling`, by replication, with common
    random numbers [rows, replications]. Noise: the total index of a setting whose differences were
    nothing but their standard errors within replications.
    """
    from SALib.analyze import sobol as salib

    mean = values.mean(axis=1)
    found = salib.analyze(
        unit_cube(settings), mean, calc_second_order=False, num_resamples=_RESAMPLES, seed=seed
    )
    noise = _total_noise(settings, values)
    return tuple(
        Effect(
            weight=float(found["ST"][k]),
            conf=float(found["ST_conf"][k]),
            noise=None if noise is None else float(noise[k]),
            numbers={name: float(found[name][k]) for name in ("S1", "S1_conf", "ST", "ST_conf")},
        )
        for k in range(settings)
    )


def _total_noise(settings: int, values: F64) -> F64 | None:
    """Expected total index of a setting that does nothing [settings]."""
    replications = values.shape[1]
    if replications < 2:
        return None
    blocks = values.reshape(-1, settings + 2, replications)
    change = blocks[:, 1:-1] - blocks[:, :1]
    error = _spread(change, values) ** 2 / replications
    variance = base_points(settings, values).mean(axis=1).var()
    return np.asarray(error.mean(axis=0) / 2 / variance)


def constant(values: F64) -> bool:
    """True if a response is the same everywhere, so that there is nothing to share out."""
    mean = values.mean(axis=1)
    return bool(np.ptp(mean) <= 1e-12 * np.abs(mean).max(initial=0.0))


def base_points(settings: int, values: F64) -> F64:
    """Responses at Sobol' points themselves, whose variance is what indices are parts of."""
    return values.reshape(-1, settings + 2, values.shape[1])[:, [0, -1]].reshape(
        -1, values.shape[1]
    )
