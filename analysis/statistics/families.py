"""Checks of a whole family: is each true value inside its region, and can the data tell?

Every statistical check is one question: does the mean of a quantity lie in the open region
(low, high)? Equivalence has two finite ends, a bound one, and "no worse than the baseline" is a
bound of a difference. Two p-values answer it: `p_pass` against the hypothesis that the mean lies
outside (two one-sided t-tests), `p_fail` against the hypothesis that it lies inside. Each kind is
corrected over the family by Holm's method, so that in the whole family a wrong PASS has at most
probability `ALPHA`, and so has a wrong FAIL. What neither decides is UNDECIDED.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.statistics.intervals import (
    F64,
    Interval,
    Metric,
    finite,
    no_variance,
)
from analysis.statistics.needed import ALPHA, MOST_REPLICATIONS, POWER, replications
from analysis.statistics.shown import number
from analysis.statistics.tails import t_cdf, t_quantile
from analysis.statistics.verdicts import Status, Verdict


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` replications with its standard error and degrees of freedom.

    `mean` is None if no replication has a value; `se` is None if it cannot be told (n < 2), 0 if
    replications do not differ.
    """

    mean: float | None
    se: float | None
    df: float
    n: int
    unit: str
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """Outside which the quantity cannot be."""

    @property
    def sd(self) -> float:
        """Standard deviation of one replication, as far as `se` tells."""
        return (self.se or 0.0) * math.sqrt(self.n)


def estimate(values: Sequence[float], unit: str) -> Estimate:
    """The estimate of per-replication `values` [n]; NaN marks a replication without one."""
    found: F64 = finite(values)
    n = int(found.size)
    if n == 0:
        return Estimate(None, None, 0, 0, unit)
    mean = float(found.mean())
    if n == 1:
        return Estimate(mean, None, 0, 1, unit)
    se = 0.0 if no_variance(found) else float(found.std(ddof=1)) / math.sqrt(n)
    return Estimate(mean, se, n - 1, n, unit)


def from_metric(m: Metric) -> Estimate:
    """The estimate behind a metric of `result.json`: a mean and its 95 % t-interval."""
    if m.mean is None:
        return Estimate(None, None, 0, 0, m.unit)
    if m.exact:
        return Estimate(m.mean, 0.0, m.n - 1, m.n, m.unit)
    if m.half_width is None or m.n < 2:
        return Estimate(m.mean, None, 0, m.n, m.unit)
    return Estimate(m.mean, m.half_width / t_quantile(0.975, m.n - 1), m.n - 1, m.n, m.unit)


def difference(ours: Estimate, theirs: Estimate) -> Estimate:
    """Ours minus theirs, independent (Welch-Satterthwaite degrees of freedom).

    Equal seeds correlate the two positively, which makes this conservative.
    """
    n = min(ours.n, theirs.n)
    if ours.mean is None or theirs.mean is None:
        return Estimate(None, None, 0, n, ours.unit)
    mean = ours.mean - theirs.mean
    if ours.se is None or theirs.se is None:
        return Estimate(mean, None, 0, n, ours.unit)
    a, b = ours.se**2, theirs.se**2
    if a + b == 0:
        return Estimate(mean, 0.0, ours.df + theirs.df, n, ours.unit)
    df = (a + b) ** 2 / (a**2 / max(1, ours.df) + b**2 / max(1, theirs.df))
    return Estimate(mean, math.sqrt(a + b), df, n, ours.unit)


@dataclass(frozen=True, slots=True)
class Region:
    """Where the true value may lie: between two ends, of which one may be infinite."""

    low: float
    high: float

    @property
    def margin(self) -> float:
        """The end that is said in a verdict: half the width, or the finite end."""
        if math.isinf(self.low):
            return self.high
        return self.low if math.isinf(self.high) else (self.high - self.low) / 2

    def p_pass(self, e: Estimate) -> float:
        """p-value against a mean outside."""
        assert e.mean is not None
        assert e.se
        above = t_cdf((e.mean - self.high) / e.se, e.df) if math.isfinite(self.high) else 0.0
        below = t_cdf((self.low - e.mean) / e.se, e.df) if math.isfinite(self.low) else 0.0
        return max(above, below)

    def p_near(self, e: Estimate) -> float:
        """The part of `p_fail` that belongs to the end on whose side the mean lies."""
        assert e.mean is not None
        assert e.se
        return t_cdf(-max(e.mean - self.high, self.low - e.mean) / e.se, e.df)

    def p_fail(self, e: Estimate) -> float:
        """p-value against a mean inside: as far out as this, by chance, from the worst end."""
        assert e.mean is not None
        assert e.se
        far = min(e.mean - self.high, self.low - e.mean)
        p = self.p_near(e)
        if math.isfinite(far):
            p += t_cdf(far / e.se, e.df)
        return min(1.0, p)

    def holds(self, value: float) -> bool:
        """True if a value lies inside; its ends count."""
        return self.low <= value <= self.high

    def text(self, unit: str) -> str:
        """``within ±1 ms`` in words."""
        if math.isinf(self.low):
            return f"at most {amount(self.high, unit)}"
        if math.isinf(self.high):
            return f"at least {amount(self.low, unit)}"
        centre = (self.high + self.low) / 2
        around = f" of {amount(centre, unit)}" if centre else ""
        return f"within ±{amount(self.margin, unit)}{around}"


def amount(value: float, unit: str) -> str:
    """A value with its unit; fractions in percent."""
    if unit == "fraction":
        return f"{number(100 * value)} %"
    text = f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"
    return f"{text} {unit}".strip()


@dataclass(frozen=True, slots=True)
class Question:
    """One check: what is asked, of which estimate; or a verdict that needs no statistics.

    `zero_effect` says that the effect is 0 if all is well, so that the check's resolution can be
    told beforehand from its spread.
    """

    name: str
    test: str
    metric: str
    what: str
    region: Region
    estimate: Estimate
    zero_effect: bool = False
    verdict: Verdict | None = None
    reason: str = ""

    @property
    def statistical(self) -> bool:
        """True if the check takes part in the family's correction."""
        return self.verdict is None and not skipped(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """A check with its verdict; `p` is the p-value of the verdict after Holm's correction."""

    name: str
    test: str
    metric: str
    verdict: Verdict
    p: float | None
    warning: str

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "test": self.test,
            "metric": self.metric,
            "p_adjusted": self.p,
            "warning": self.warning,
        } | self.verdict.as_dict()


def skipped(q: Question) -> str:
    """Why a check makes no sense here; empty if it does."""
    e = q.estimate
    if q.reason:
        return q.reason
    if e.mean is None:
        return "no replication has a value"
    if e.se is None:
        return f"{e.n} replication has no spread; run 2 or more"
    if e.se == 0:
        side = "inside" if q.region.holds(e.mean) else "OUTSIDE"
        return (
            f"all {e.n} replications have {amount(e.mean, e.unit)}, {side} what is asked "
            f"({q.region.text(e.unit)}); no variance, so there is nothing to test: use test: exact"
        )
    return ""


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for a family by Holm's step-down method, in the given order."""
    order = sorted(range(len(p)), key=lambda k: p[k])
    adjusted = [1.0] * len(p)
    largest = 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[k]))
        adjusted[k] = largest
    return adjusted


def decide(questions: Sequence[Question], alpha: float = ALPHA) -> list[Finding]:
    """A verdict for each question, those with statistics corrected as one family."""
    family = [k for k, q in enumerate(questions) if q.statistical]
    passing = holm([questions[k].region.p_pass(questions[k].estimate) for k in family])
    failing = holm([questions[k].region.p_fail(questions[k].estimate) for k in family])
    p = {k: (a, b) for k, a, b in zip(family, passing, failing, strict=True)}
    return [
        _tested(q, p[k][0], p[k][1], len(family), alpha) if k in p else _given(q)
        for k, q in enumerate(questions)
    ]


def _given(q: Question) -> Finding:
    verdict = q.verdict
    if verdict is None:
        e = q.estimate
        interval: Interval = "exact" if e.se == 0 else None
        verdict = Verdict(
            Status.SKIP, e.mean, interval, q.region.margin, e.n, e.unit, f"{q.what}: {skipped(q)}"
        )
    return Finding(q.name, q.test, q.metric, verdict, None, "")


def _tested(q: Question, p_pass: float, p_fail: float, size: int, alpha: float) -> Finding:
    e = q.estimate
    assert e.mean is not None
    assert e.se is not None
    if p_pass <= alpha:
        status, p = Status.PASS, p_pass
    elif p_fail <= alpha:
        status, p = Status.FAIL, p_fail
    else:
        status, p = Status.UNDECIDED, min(p_pass, p_fail)
    half = t_quantile(1 - _level(status, q, p, size, alpha), e.df) * e.se
    low, high = max(e.mean - half, e.bounds[0]), min(e.mean + half, e.bounds[1])
    sentence = (
        f"{q.what}: {amount(e.mean, e.unit)}, interval {amount(low, e.unit)} to "
        f"{amount(high, e.unit)}, {e.n} replications: {_reading(q, status, size, alpha)}"
    )
    verdict = Verdict(status, e.mean, (low, high), q.region.margin, e.n, e.unit, sentence)
    return Finding(q.name, q.test, q.metric, verdict, p, _resolution(q, size, alpha))


def _level(status: Status, q: Question, corrected: float, size: int, alpha: float) -> float:
    """The α of each side of the interval that is printed: what the family leaves the decision.

    So an interval never says what the verdict does not: one that decides has the level of its own
    test after correction, one that does not has the strictest in the family.
    """
    e = q.estimate
    alone = q.region.p_pass(e) if status is Status.PASS else q.region.p_fail(e)
    strict = alpha / size
    if status is not Status.UNDECIDED and 0 < alone <= corrected:
        strict = alpha * alone / corrected
    if status is Status.PASS or not alone:
        return strict
    return strict * q.region.p_near(e) / alone  # a wrong FAIL may come from the far end too


def _reading(q: Question, status: Status, size: int, alpha: float) -> str:
    e, asked = q.estimate, q.region.text(q.estimate.unit)
    family = f" (Holm, {size} checks)" if size > 1 else ""
    if status is Status.PASS:
        return f"{asked}{family}"
    if status is Status.FAIL:
        return f"not {asked}{family}"
    if min(q.region.p_pass(e), q.region.p_fail(e)) <= alpha:
        alone = "inside" if q.region.p_pass(e) <= alpha else "outside"
        text = f"{alone} {asked} taken alone, but not after Holm's correction for {size} checks"
    else:
        text = f"cannot tell whether {asked}"
    needed = needed_for_decision(q, size, alpha)
    if needed is None:
        return f"{text}; too close to the edge for any number of replications"
    return f"{text}; about {needed} replications would"


def needed_for_decision(q: Question, size: int = 1, alpha: float = ALPHA) -> int | None:
    """Replications that would decide with POWER, were effect and spread as seen; None: too many."""
    e = q.estimate
    assert e.mean is not None
    room = min(abs(end - e.mean) for end in (q.region.low, q.region.high))
    return replications(e.sd, room, alpha=alpha / size, at_least=e.n + 1)


def resolution(q: Question, size: int = 1, alpha: float = ALPHA) -> float:
    """Smallest margin that these replications would confirm with POWER if all is well."""
    e = q.estimate
    assert e.se is not None
    factor = t_quantile(1 - alpha / size, e.df) + t_quantile(_power_each(q), e.df)
    return factor * e.se


def _power_each(q: Question) -> float:
    """Power that each one-sided test needs for POWER of all."""
    two_sided = math.isfinite(q.region.low) and math.isfinite(q.region.high)
    return 1 - (1 - POWER) / 2 if two_sided else POWER


def _resolution(q: Question, size: int, alpha: float) -> str:
    """A warning if the check asks for more than its replications can tell."""
    if not q.zero_effect:
        return ""
    e, asked = q.estimate, q.region.margin
    can = resolution(q, size, alpha)
    if can <= asked:
        return ""
    text = (
        f"{e.n} replications can resolve {amount(can, e.unit)}, "
        f"you asked for {amount(asked, e.unit)}: "
    )
    power = _power_each(q)
    needed = replications(e.sd, asked, alpha=alpha / size, power=power, at_least=e.n + 1)
    if needed is None:
        return text + f"no less than {MOST_REPLICATIONS:,} replications would do; widen the margin"
    return text + f"use --replications {needed}"
