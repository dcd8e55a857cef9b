"""Signed errors of shares, group by group, with intervals and a verdict for the family of them.

An error is a share minus the reference's, in percentage points; its interval is a 95 % t-interval
over replications. Counts are whole: no variance is taken to be less than that of so many samples as
differ, since replications with few of them are equal by chance (at 2 replications every second
symbol was). With many groups some intervals exclude 0 by chance, so a group `differs` only at
a false discovery rate of 5 % over the groups of an arm (Benjamini and Hochberg 1995).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from analysis.columns import ERROR_TABLE
from analysis.fidelity import profiles
from analysis.fidelity.profiles import By
from analysis.statistics.intervals import F64, Metric, metric, no_variance
from analysis.statistics.tails import t_cdfs, t_quantile
from analysis.tables import Table, of_rows

if TYPE_CHECKING:
    from sim.runs.batch import ArmResult

_NOTHING = 1e-10
"""Percentage points that rounding leaves of no difference."""
RATE = 0.05
"""False discovery rate."""


def standard_errors(differences: F64, samples: float) -> F64:
    """Of the means of `differences` [n ≥ 2, …], pp, of profiles of so many samples; see above."""
    least = 100 * np.abs(differences.mean(axis=0)) / samples
    variance = np.maximum(differences.var(axis=0, ddof=1), least)
    return np.asarray(np.sqrt(variance / len(differences)))


def p_values(differences: F64, samples: float) -> F64:
    """Two-sided t-tests that the means of `differences` [n, …], pp, are 0; NaN if n < 2."""
    n = len(differences)
    if n < 2:
        return np.full(differences.shape[1:], np.nan)
    equal = np.abs(differences).max(axis=0) <= _NOTHING
    with np.errstate(invalid="ignore", divide="ignore"):
        t = differences.mean(axis=0) / standard_errors(differences, samples)
    return np.where(equal, 1.0, 2 * t_cdfs(-np.abs(np.where(equal, 0.0, t)), n - 1))


def discoveries(p: F64, rate: float = RATE) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which of the p-values [k] are found at a false discovery rate; NaN is never found."""
    known = np.where(np.isfinite(p), p, 1.0)
    order = np.argsort(known, kind="stable")
    passed = np.flatnonzero(known[order] <= rate * np.arange(1, p.size + 1) / max(1, p.size))
    found = np.zeros(p.size, bool)
    if passed.size:
        found[order[: passed[-1] + 1]] = True
    return found


def against_truth(arm: ArmResult, by: By) -> F64:
    """Share minus true share [replications, groups], percentage points; NaN without samples."""
    return 100 * (profiles.sampled_shares(arm, by) - profiles.true_shares(arm, by))


def against_baremetal(arm: ArmResult, reference: ArmResult | None, by: By) -> F64:
    """Share minus baremetal's over equal ops [replications, groups], pp; empty if none is equal."""
    if reference is None or arm is reference:
        return np.zeros((0, len(profiles.names(arm, by))))
    found = 100 * profiles.share_differences(arm, reference, by)
    return found if found.size else np.zeros((0, len(profiles.names(arm, by))))


def metrics(differences: F64, samples: float) -> list[tuple[Metric, bool]]:
    """(metric in pp, differs) of each group [groups], of profiles of so many samples."""
    rows = differences[np.isfinite(differences).all(axis=1)]
    found = discoveries(p_values(rows, samples))
    return list(zip(_metrics(rows, samples), found.tolist(), strict=True))


def _metrics(rows: F64, samples: float) -> Iterator[Metric]:
    """Of each group of differences [n, groups], pp: as `metric`, but by `standard_errors`.

    All groups at once: a program has thousands of instructions.
    """
    n, columns = len(rows), np.ascontiguousarray(rows.T)
    if n < 2:
        yield from (metric(column, "pp") for column in columns)
        return
    equal = no_variance(columns)
    means = np.where(equal, columns[:, 0], columns.mean(axis=1))
    half = t_quantile(0.975, n - 1) * standard_errors(columns.T, samples)
    exact = equal & (np.abs(means) < _NOTHING)
    ends = zip((means - half).tolist(), (means + half).tolist(), strict=True)
    for mean, is_exact, ci95, each in zip(
        means.tolist(), exact.tolist(), ends, columns.tolist(), strict=True
    ):
        yield Metric(mean, "exact" if is_exact else ci95, n, "pp", tuple(each))


def samples_of(arm: ArmResult) -> float:
    """Samples of a replication on average; 1 where there are none."""
    return max(1.0, float(profiles.sampled(arm, "op_class").sum(axis=1).mean()))


class ErrorRow(NamedTuple):
    """A group of an arm's profile: the columns of `ERROR_TABLE`."""

    arm: str
    by: By
    group: str
    truth_share: float
    against: str
    error: float
    low: float | None
    high: float | None
    n: int
    differs: bool


def errors_table(
    arms: Sequence[ArmResult], reference: ArmResult | None, by: By = "symbol"
) -> Table:
    """arm, by, group, truth_share, against, error, low, high (pp), n, differs: largest share first.

    `against` is `truth` or `baremetal`; groups that are in neither truth nor samples are left out.
    An exact error has low = high; one replication has neither.
    """
    rows = [row for arm in arms if profiles.has(arm, by) for row in _rows(arm, reference, by)]
    return of_rows(rows, ERROR_TABLE)


def _rows(arm: ArmResult, reference: ArmResult | None, by: By) -> Iterator[ErrorRow]:
    whole = profiles.truths(arm, by).sum(axis=0)
    share = profiles.shares(whole)
    names = profiles.names(arm, by)
    seen = (whole > 0) | (profiles.sampled(arm, by) > 0).any(axis=0)
    order = [int(k) for k in np.argsort(-whole, kind="stable") if seen[k]]
    for against, differences in (
        ("truth", against_truth(arm, by)),
        ("baremetal", against_baremetal(arm, reference, by)),
    ):
        found = metrics(differences[:, order], samples_of(arm))
        for k, (error, differs) in zip(order, found, strict=True):
            if error.mean is None:
                continue
            low, high = error.ends()
            yield ErrorRow(
                arm=arm.arm.name,
                by=by,
                group=names[k],
                truth_share=float(share[k]),
                against=against,
                error=error.mean,
                low=low,
                high=high,
                n=error.n,
                differs=differs,
            )
