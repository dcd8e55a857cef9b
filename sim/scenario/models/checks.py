"""What a scenario claims about its own result: `checks:`, and how long to replicate: `until:`.

Amounts keep the text that their author wrote (`0.5%`, `3ms`, `1000`): their unit can be compared
with a metric's only when there is a result. A metric is a dotted name of `result.json`, such as
`arms.v6.profile.symbol.tvd_excess`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from sim.scenario.models.strict import Strict
from sim.scenario.words import Incoherence

_AMOUNT = re.compile(r"\s*[+-]?[0-9][0-9_]*(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?\s*[A-Za-zµ%/]*\s*")
_MAX_AMOUNT = 40


def _amount(value: object) -> str:
    text = f"{value:f}" if isinstance(value, float) else str(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("must be an amount, e.g. 0.5% or 3ms; a bare number for a count")
    if len(text) > _MAX_AMOUNT or not _AMOUNT.fullmatch(text):
        raise ValueError(f"cannot read {text[:_MAX_AMOUNT]!r} as an amount, e.g. 0.5% or 3ms")
    return text.strip()


Amount = Annotated[
    str,
    BeforeValidator(_amount),
    WithJsonSchema({"type": ["string", "number"], "examples": ["0.5%", "3ms"]}),
]
"""A number and a unit, as text."""
Metric = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[^.\s]+(\.[^.\s]+)*$"),
]
"""A dotted name of `result.json`."""
Name = Annotated[str, Field(max_length=80, pattern=r"^[A-Za-z0-9._ -]*$")]


class Equivalence(Strict):
    """The mean is within ± a margin of a target: two one-sided t-tests."""

    test: Literal["equivalence"] = Field(description="is the mean within a margin of a target?")
    name: Name = Field(default="", description="names the check in reports; unique")
    metric: Metric = Field(description="path of a number of result.json, e.g. arms.v6.loss.total")
    within: Amount = Field(description="margin, e.g. 0.5%")
    around: Amount = Field(default="0", description="what the metric should be near")


class Bound(Strict):
    """The mean is on the right side of a bound: a one-sided t-test."""

    test: Literal["bound"] = Field(description="is the mean on the right side of a bound?")
    name: Name = Field(default="", description="names the check in reports; unique")
    metric: Metric = Field(description="path of a number of result.json")
    at_most: Amount | None = Field(default=None, description="upper bound")
    at_least: Amount | None = Field(default=None, description="lower bound")

    @model_validator(mode="after")
    def _one(self) -> Bound:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("give at_most or at_least, one of them")
        return self


class NoWorseThan(Strict):
    """The mean is no worse than the baseline's by more than a margin: Welch's one-sided t-test."""

    test: Literal["no_worse_than"] = Field(description="is the mean no worse than the baseline's?")
    name: Name = Field(default="", description="names the check in reports; unique")
    metric: Metric = Field(description="path of a number of result.json")
    within: Amount | None = Field(default=None, description="margin in the metric's unit")
    relative: Amount | None = Field(default=None, description="margin as a part of the baseline")
    worse: Literal["higher", "lower"] = Field(
        default="higher", description="which direction is worse"
    )

    @model_validator(mode="after")
    def _one(self) -> NoWorseThan:
        if (self.within is None) == (self.relative is None):
            raise ValueError("give within or relative, one of them")
        return self


class Exact(Strict):
    """Counters, without statistics: as in the baseline, or as said here."""

    test: Literal["exact"] = Field(description="are counters exactly as they should be?")
    name: Name = Field(default="", description="names the check in reports; unique")
    metric: Metric = Field(default="arms", description="one number, or everything below a name")
    equals: Amount | None = Field(default=None, description="the value")
    at_most: Amount | None = Field(default=None, description="upper bound")
    at_least: Amount | None = Field(default=None, description="lower bound")


class Distribution(Strict):
    """Gaps or latencies of an arm are distributed like another arm's, noise set off."""

    test: Literal["distribution"] = Field(description="is a distribution that of another arm?")
    name: Name = Field(default="", description="names the check in reports; unique")
    arm: str = Field(min_length=1, max_length=60, description="the arm in question")
    against: str = Field(default="", max_length=60, description="default: the baremetal arm")
    of: Literal["gaps", "latencies"] = Field(
        description="gaps: ops between neighbouring records; latencies: cycles in flight"
    )
    distance: Literal["ks", "wasserstein"] = Field(
        default="ks",
        description="ks: largest difference of the distribution functions; wasserstein: mean shift",
    )
    within: Amount = Field(description="margin, e.g. 1% for ks, 5ops or 5cycles for wasserstein")


Check = Annotated[
    Equivalence | Bound | NoWorseThan | Exact | Distribution, Field(discriminator="test")
]


class Until(Strict):
    """Replicate further, batch by batch, until an interval is narrow enough."""

    metric: Metric = Field(description="path of a number of result.json")
    half_width: Amount = Field(description="of the 95 % interval; in % of the mean unless a share")
    batch: int = Field(default=10, ge=1, le=10_000, description="replications between two looks")
    max: int = Field(default=200, ge=2, le=100_000, description="replications at most")


def problems(
    checks: tuple[Any, ...], until: Until | None, replications: int, arms: tuple[str, ...]
) -> Iterator[Incoherence]:
    """What can be told of checks before there is a result: arms that are not there, doubles."""
    for number, check in enumerate(checks):
        at = f"checks.{number}"
        if isinstance(check, Distribution):
            for key, arm in (("arm", check.arm), ("against", check.against)):
                if arm and arm not in arms:
                    yield (f"{at}.{key}",), f"no arm {arm!r}; arms: {', '.join(arms)}"
        else:
            yield from _no_arm(f"{at}.metric", check.metric, arms)
    seen: set[str] = set()
    for number, check in enumerate(checks):
        if check.name and check.name in seen:
            yield (f"checks.{number}.name",), f"two checks are called {check.name!r}"
        seen.add(check.name)
    if until is not None:
        yield from _no_arm("until.metric", until.metric, arms)
        if until.max < replications:
            why = f"below the {replications} replications that are run in any case"
            yield ("until.max", "replications"), why


def _no_arm(key: str, metric: str, arms: tuple[str, ...]) -> Iterator[Incoherence]:
    if metric == "arms":
        return
    if not metric.startswith("arms."):
        yield (key,), f"a metric begins with arms.<name>., e.g. arms.{arms[0]}.loss.total"
    elif not any(f"{metric}.".startswith(f"arms.{arm}.") for arm in arms):
        yield (key,), f"{metric} names no arm of this scenario; arms: {', '.join(arms)}"
