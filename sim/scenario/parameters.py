"""The model's default times and their sources, from `parameters.toml`.

`PARAMETERS` are times that a scenario overrides under `parameters`. `FACTS` are the sourced
defaults of ordinary settings: rows for a report, changed where `Parameter.setting` says.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, TypeAdapter

from sim.scenario.models.quantities import ConstantTime, TimeDistribution
from sim.scenario.models.scenario import Settings

DISTRIBUTED = frozenset({"t_irq_latency", "t_profiling_exception", "t_numa_sweep"})
"""Parameters that may be distributions; the others are one time."""
SWEEP_FLOOR = 10**9
"""Shortest sweep of 16 GiB, picoseconds: one millisecond, 6,400 times the published rate."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One default: its text value, where it comes from, and how far to trust it."""

    name: str
    value: str
    range: str
    source: str
    confidence: str
    unverified: bool
    meaning: str
    unit: str = "time"
    setting: str = ""


class _Written(BaseModel):
    """A table of parameters.toml: a value, or the ends of a law, and where they come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: str = ""
    low: str = ""
    high: str = ""
    at_high: dict[str, str] | None = None
    range: str
    source: str
    confidence: str
    meaning: str
    unverified: bool = False
    unit: str = "time"
    setting: str = ""
    fact: bool = False


@cache
def _table() -> dict[str, _Written]:
    text = files("sim.scenario").joinpath("parameters.toml").read_text(encoding="utf-8")
    return {name: _Written.model_validate(row) for name, row in tomllib.loads(text).items()}


def _rows(*, fact: bool) -> dict[str, _Written]:
    return {name: row for name, row in _table().items() if row.fact == fact}


def _parameter(name: str, row: _Written) -> Parameter:
    return Parameter(
        name=name,
        value=row.value or f"{row.low} to {row.high}",
        range=row.range,
        source=row.source,
        confidence=row.confidence,
        unverified=row.unverified,
        meaning=row.meaning,
        unit=row.unit,
        setting=row.setting,
    )


PARAMETERS: dict[str, Parameter] = {n: _parameter(n, row) for n, row in _rows(fact=False).items()}
"""Default times by name."""
FACTS: dict[str, Parameter] = {
    name: _parameter(name, row) for name, row in _rows(fact=True).items()
}
"""Sourced defaults of settings by name; never under `parameters`."""


@cache
def _adapter() -> TypeAdapter[TimeDistribution]:
    """Made once: that takes longer than hundreds of readings."""
    return TypeAdapter(TimeDistribution)


@cache
def _defaults() -> dict[str, TimeDistribution]:
    read = _adapter().validate_python
    return {name: read(_spec(row)) for name, row in _rows(fact=False).items()}


def _spec(row: _Written) -> object:
    return row.value or {"kind": "uniform", "low": row.low, "high": row.high}


_SPAN = re.compile(r"([0-9.]+) (ns|us|ms|s) to ([0-9.]+) (ns|us|ms|s)\b")


def span(name: str) -> tuple[TimeDistribution, TimeDistribution]:
    """Low and high end of the plausible range of an UNVERIFIED time, from its `range` text."""
    found = _SPAN.match(PARAMETERS[name].range)
    if found is None:
        raise ValueError(f"{name}: the range of an UNVERIFIED time begins like '0.1 us to 5 us'")
    low, low_unit, high, high_unit = found.groups()
    read = _adapter().validate_python
    return read(low + low_unit), read(high + high_unit)


def at_high(name: str) -> TimeDistribution:
    """An UNVERIFIED time at the high end of its range: a law with its tail, where it has one."""
    high = _table()[name].at_high
    if high is None:
        return span(name)[1]
    return _adapter().validate_python(high)


def problem_with(name: str, value: TimeDistribution | None) -> str | None:
    """Why an override is refused, with the way out; None if it is fine."""
    if name in FACTS:
        return f"is no time of the model; set {FACTS[name].setting} instead"
    if name not in PARAMETERS:
        close = difflib.get_close_matches(name, PARAMETERS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(PARAMETERS)}"
        return f"unknown parameter {name[:60]!r}; {hint}"
    if value is None:
        return None
    if value.kind != "constant" and name not in DISTRIBUTED:
        allowed = ", ".join(sorted(DISTRIBUTED))
        return (
            f"{name} is one time, not a distribution; write e.g. 450ns (distributions: {allowed})"
        )
    if name == "t_numa_sweep" and _least(value) < SWEEP_FLOOR:
        return "a sweep of 16 GiB takes at least 1ms here (published: 6.4s to 60s)"
    return None


def _least(value: TimeDistribution) -> int:
    if isinstance(value, ConstantTime):
        return value.value
    return value.low if value.kind == "uniform" else value.mean


def resolve(settings: Settings) -> dict[str, TimeDistribution]:
    """Defaults with the settings' overrides; raises ValueError for an override that is refused."""
    for name, value in settings.parameters.items():
        problem = problem_with(name, value)
        if problem:
            raise ValueError(f"parameters.{name}: {problem}")
    return _defaults() | settings.parameters
