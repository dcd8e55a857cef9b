"""Which setting of a sweep matters: Sobol' indices of a complete grid, by its exact decomposition.

Each level of each axis is taken as equally likely, so the indices belong to the levels that the
sweep lists, not to a range between them. On a complete grid the variance falls into its parts by
averaging (Sobol', Math. Comput. Simul. 55 (2001) 271-280), with no sampling error; estimators that
draw from the grid converge to these numbers, which the tests show with SALib.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
