"""`samples:`, ranges of settings from which a sweep draws its cells, to tell which one matters.

What is drawn, and what becomes of it, is in `analysis.sweeps`; here is what a person writes.
`over: unverified` stands for every UNVERIFIED time that the arms spend and the scenario leaves
open, over its plausible range.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from sim import units
from sim.scenario.models.matrix import MAX_CELLS, is_setting
from sim.scenario.models.quantities import readable
from sim.scenario.models.strict import Strict
from sim.scenario.words import Incoherence

MAX_POINTS = 1 << 16


def _edge(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("an end of a range is a quantity, e.g. 200ns, or a whole number")
    text = readable(str(value), "quantity", "200ns")
    units.quantity(text)
    return text


Edge = Annotated[
    str,
    BeforeValidator(_edge),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["200ns"]}),
]
"""A quantity with its unit, or a count, as text."""


class Range(Strict):
    """Values of one setting, each as likely as any other on its scale."""

    low: Edge = Field(description="least value, e.g. 200ns")
    high: Edge = Field(description="largest value, e.g. 2us")
    scale: Literal["linear", "log"] = Field(
        default="linear", description="log: equal ratios are equally likely, for wide ranges"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        (kind, low), (other, high) = units.quantity(self.low), units.quantity(self.high)
        if kind != other:
            raise ValueError(f"low is a {kind.name}, high a {other.name}")
        if low >= high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        if self.scale == "log" and low == 0:
            raise ValueError("a log scale cannot begin at 0; use scale: linear, or another low")
        return self


def _form(value: object) -> str:
    return "ranges" if isinstance(value, dict) else "word"


Over = Annotated[
    Annotated[Literal["unverified"], Tag("word")] | Annotated[dict[str, Range], Tag("ranges")],
    Discriminator(_form),
]


class Samples(Strict):
    """Cells drawn from ranges, to tell which setting matters."""

    method: Literal["morris", "sobol"] = Field(
        description="morris: mean effect of each setting, with few cells; sobol: parts of the "
        "variance, which takes many more"
    )
    points: int = Field(
        ge=2,
        le=MAX_POINTS,
        description="morris: trajectories, each of one cell more than there are settings; sobol: "
        "base points, a power of two, each of two cells more",
    )
    over: Over = Field(
        description="dotted setting: {low, high, scale}; or unverified: every UNVERIFIED time that "
        "an arm spends and the scenario leaves open, over its plausible range"
    )


def rows(method: str, points: int, settings: int) -> int:
    """Cells that a method needs, before equal ones are taken together."""
    return points * (settings + (1 if method == "morris" else 2))


def problems(samples: Samples | None, others: tuple[Any, ...]) -> Iterator[Incoherence]:
    """What is wrong with samples as such; `others` are the other ways to give cells."""
    if samples is None:
        return
    if any(others):
        yield ("samples",), "a scenario has samples, matrix or cases: one of them"
    if samples.method == "sobol" and samples.points & (samples.points - 1):
        yield ("samples.points",), "Sobol' points come in powers of two, e.g. 64"
    if isinstance(samples.over, str):
        return
    if not samples.over:
        yield ("samples.over", "samples"), "needs a setting, or unverified"
    if (size := rows(samples.method, samples.points, len(samples.over))) > MAX_CELLS:
        yield ("samples.points",), f"makes {size:,} cells; at most {MAX_CELLS:,}"
    for key in samples.over:
        if not is_setting(key):
            yield (f"samples.over.{key}", "samples"), f"{key} is no setting that cells can have"
