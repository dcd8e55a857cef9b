"""Closed forms as curves, and what the arms of a run did as points on them.

`theory_table` has a row for each arm and form: where the form's condition holds a point with its
interval, else the condition that fails and no number. `curves_table` has the curves that stand
under these points. z is the distance of a point from its curve, beyond what the end of a run may
add, in standard errors between replications; infinite where they do not differ but theory does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.agreement.forms import FORMS, Form, Points
from analysis.columns import THEORY_TABLE
from analysis.statistics.intervals import F64, no_variance, t_interval
from analysis.statistics.tails import chi2_exceeded
from analysis.tables import Table, of_rows

if TYPE_CHECKING:
    from sim.runs.batch import ArmResult

CURVE_COLUMNS = ("row", "abscissa", "quantity", "x", "theory")
STEPS = 60
"""Points of a curve."""
ROUNDING = 1e-12
"""Differences below this are rounding."""
MARGIN = 2.0
"""A curve goes on for this factor beyond the points at its ends."""


def theory_table(arms: Sequence[ArmResult]) -> Table:
    """arm, row, abscissa, quantity, x, theory, simulated, low, high, z, n, condition."""
    rows = [
        (arm.arm.name, form.row, form.abscissa, form.quantity, *_point(form, arm))
        for arm in arms
        for form in FORMS
        if form.about(arm)
    ]
    return of_rows(rows, THEORY_TABLE)


def _point(form: Form, arm: ArmResult) -> tuple[Any, ...]:
    condition = form.why_not(arm)
    if condition:
        return (*[math.nan] * 6, 0, condition)
    found = form.points(arm)
    low, high = _interval(form, found.found)
    z = _variance_z(found) if form.spread else mean_z(found)
    centre = map(float, (found.x.mean(), found.theory.mean(), found.found.mean()))
    return (*centre, low, high, z, found.x.size, "")


def _interval(form: Form, found: F64) -> tuple[float, float]:
    """95 % interval of the mean; the value twice if it is exact, NaN with one replication."""
    mean, n = float(found.mean()), found.size
    if n < 2:
        return math.nan, math.nan
    if form.spread:
        low, high = (mean * (n - 1) / chi2_exceeded(n - 1, p) for p in (0.025, 0.975))
        return low, high
    return (mean, mean) if no_variance(found) else t_interval(found)


def mean_z(found: Points) -> float:
    """Beyond what the end of a run may add; infinite where nothing else varies, NaN if n < 2."""
    off = found.found - found.theory
    if off.size < 2:
        return math.nan
    error = 0.0 if no_variance(found.found) else float(off.std(ddof=1)) / math.sqrt(off.size)
    mean = float(off.mean())
    beyond = max(0.0, abs(mean) - found.end - ROUNDING)
    return math.copysign(beyond / error if error else math.inf, mean) if beyond else 0.0


def _variance_z(found: Points) -> float:
    expected = float(found.theory.mean())
    error = expected * math.sqrt(2 / (found.found.size - 1))
    return (float(found.found.mean()) - expected) / error


def curves_table(points: Table) -> Table:
    """row, abscissa, quantity, x, theory: the curve under each form's points of `theory_table`."""
    rows = [row for form in FORMS for row in _curve(form, points)]
    return of_rows(rows, CURVE_COLUMNS)


def _curve(form: Form, points: Table) -> Iterator[tuple[Any, ...]]:
    named = (points.columns[name] for name in ("row", "quantity", "condition", "x"))
    mine = (form.row, form.quantity, "")
    x = np.array([x for *what, x in zip(*named, strict=True) if tuple(what) == mine], np.float64)
    for at in _abscissas(x):
        yield form.row, form.abscissa, form.quantity, at, form.curve(at)


def _abscissas(x: F64) -> list[float]:
    """Where a curve is drawn: around the points, evenly on a log axis if they are positive."""
    if not x.size or not x.any():
        return []
    positive = x[x > 0]
    if positive.size == x.size:
        return [float(v) for v in np.geomspace(x.min() / MARGIN, x.max() * MARGIN, STEPS)]
    reach = float(np.abs(x).max()) * MARGIN
    return [float(v) for v in np.linspace(-reach if x.min() < 0 else 0.0, reach, STEPS)]
