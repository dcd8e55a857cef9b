"""Quantities of a scenario: text with units becomes ints within limits; times may vary.

Times are picoseconds, sizes bytes, rates picoseconds between two (see `sim.units`). Nothing is
converted silently: `"1"` and `1.0` are no ints.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from sim import units
from sim.scenario.models.strict import Strict


@dataclass(frozen=True, slots=True)
class Unit:
    """How an int field is written again: unit names with their size, largest first."""

    sizes: tuple[tuple[str, int], ...]


TIMES = Unit((("s", 10**12), ("ms", 10**9), ("us", 10**6), ("ns", 10**3), ("ps", 1)))
SIZES = Unit((("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)))
_HERTZ = Unit((("GHz", 10**9), ("MHz", 10**6), ("kHz", 10**3), ("Hz", 1)))
RATE = Unit((("/s", 1),))
"""The one unit whose value is the reciprocal of what is written."""


UNLIMITED = 1 << 62
"""Bytes that stand for no limit."""
MAX_OPS = 10**13
"""Most ops of a workload or a count."""
MAX_REPEAT = 10**6
MAX_STATIC_OPS = 1 << 22
MAX_AUX = 4 << 30
"""Largest AUX area, bytes."""
MIN_INTERVALS = (256, 512, 768, 1024, 1536, 2048, 3072, 4096)
"""What PMSIDR_EL1.Interval can say, ops."""
MAX_INTERVAL = (1 << 32) - 256
"""Largest sample period, ops."""
_LEAST_GAP, _MOST_GAP = 10**5, 10**15
_MAX_TEXT = 40
_MAX_DIGITS = 20
_EXPONENT = re.compile(r"[eE]\+?[0-9]{3}")


def quoted(value: object) -> str:
    """A value in quotes, bounded."""
    text = repr(value)
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _reader(parse: Callable[[str], int], kind: str, example: str, limits: str) -> BeforeValidator:
    """Reads text with a unit into an int; 0 passes, other bare numbers do not.

    `limits` is ``LEAST to MOST``, each as a user would write it.
    """
    least, most = map(parse, limits.split(" to "))

    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value == 0:
            number = 0
        elif isinstance(value, str):
            number = parse(readable(value, kind, example))
        else:
            raise units.UnitError(
                f"needs a {kind} with its unit, e.g. {example!r}; got {quoted(value)}"
            )
        if not least <= number <= most:
            raise units.UnitError(f"{quoted(value)} is out of range: a {kind} is {limits}")
        return number

    return BeforeValidator(read)


def readable(text: str, kind: str, example: str) -> str:
    """The text itself; raises UnitError if it has more digits than exact arithmetic keeps."""
    digits = sum(char.isdigit() for char in text)
    if len(text) > _MAX_TEXT or digits > _MAX_DIGITS or _EXPONENT.search(text):
        raise units.UnitError(
            f"{quoted(text)} is too long for a {kind}; write it like {example!r}, "
            f"with at most {_MAX_DIGITS} digits"
        )
    return text


def _gap(text: str) -> int:
    """A rate as the mean gap, picoseconds; a rate so high that its gap is 0 is refused."""
    gap = units.parse_rate(text)
    never = gap == 0 and not text.strip(" 0._/s")
    if not never and not _LEAST_GAP <= gap <= _MOST_GAP:
        raise units.UnitError(
            f"{quoted(text)} is out of range: a rate is 0/s, or 0.001/s to 10000000/s"
        )
    return gap


def text_schema(pattern: str, example: str) -> WithJsonSchema:
    """Schema of text with a unit; also a bare 0."""
    kinds = ["string", "integer"]
    zero = {"minimum": 0, "maximum": 0}
    return WithJsonSchema({"type": kinds, "pattern": pattern, **zero, "examples": [example]})


NUMBER_TEXT = r"^\s*[0-9][0-9_]*(\.[0-9]+)?([eE]\+?[0-9]+)?\s*"
SIZE_TEXT = NUMBER_TEXT + r"(B|KiB|MiB|GiB|TiB)\s*$"
Time = Annotated[
    int,
    _reader(units.parse_time, "time", "4ms", "0s to 1000000s"),
    TIMES,
    text_schema(NUMBER_TEXT + r"(ps|ns|us|µs|ms|s)\s*$", "4ms"),
]
"""Picoseconds."""
Slice = Annotated[
    int,
    _reader(units.parse_time, "time slice", "4ms", "1us to 1000000s"),
    TIMES,
    text_schema(NUMBER_TEXT + r"(ps|ns|us|µs|ms|s)\s*$", "4ms"),
]
"""Picoseconds, long enough for a scheduler."""
Size = Annotated[
    int,
    _reader(units.parse_size, "size", "4MiB", "0B to 4194304TiB"),
    SIZES,
    text_schema(SIZE_TEXT, "4MiB"),
]
"""Bytes."""
Share = Annotated[
    int,
    _reader(units.parse_share, "share", "1%", "1ppm to 100%"),
    Unit((("%", 10**4), ("ppm", 1))),
    text_schema(NUMBER_TEXT + r"(%|ppm)\s*$", "1%"),
]
"""Parts per million."""
OpCount = Annotated[
    int,
    _reader(units.parse_ops, "number of ops", "1024ops", "0ops to 10_000_000_000_000ops"),
    Unit((("ops", 1),)),
    text_schema(NUMBER_TEXT + r"ops\s*$", "1024ops"),
]
Cycles = Annotated[
    int,
    _reader(units.parse_cycles, "number of cycles", "600cycles", "0cycles to 1_000_000cycles"),
    Unit((("cycles", 1),)),
    text_schema(NUMBER_TEXT + r"cycles\s*$", "600cycles"),
]
Frequency = Annotated[
    int,
    _reader(units.parse_frequency, "core frequency", "3GHz", "1MHz to 100GHz"),
    _HERTZ,
    text_schema(NUMBER_TEXT + r"(Hz|kHz|MHz|GHz)\s*$", "3GHz"),
]
"""Hertz."""
Rate = Annotated[
    int,
    _reader(_gap, "rate", "1000/s", "0/s to 0.001/s"),
    RATE,
    text_schema(NUMBER_TEXT + r"/s\s*$", "1000/s"),
]
"""A rate is held as the mean time between events, picoseconds; 0 means never."""


def text_default(text: str) -> Any:
    """A default written as a user would write it; it is validated like input."""
    return text


def _or_unlimited(value: object) -> object:
    return f"{UNLIMITED}B" if value == "unlimited" else value


SizeOrUnlimited = Annotated[
    Size,
    BeforeValidator(_or_unlimited),
    text_schema(rf"{SIZE_TEXT}|^unlimited$", "unlimited"),
]


# --- distributions ---------------------------------------------------------------------------


class ConstantTime(Strict):
    """Always the same time."""

    kind: Literal["constant"] = Field(default="constant", description="always the same")
    value: Time = Field(description="the time")


class UniformTime(Strict):
    """Uniform between two times."""

    kind: Literal["uniform"] = Field(description="between two times")
    low: Time = Field(description="shortest time")
    high: Time = Field(description="longest time")

    @model_validator(mode="after")
    def _ordered(self) -> UniformTime:
        if self.low > self.high:
            raise ValueError("low is above high; exchange them")
        return self


class ExponentialTime(Strict):
    """Exponential with a mean."""

    kind: Literal["exponential"] = Field(description="exponential")
    mean: Time = Field(description="mean time")


def _constant(value: object) -> object:
    return {"kind": "constant", "value": value} if isinstance(value, (str, int)) else value


TimeDistribution = Annotated[
    ConstantTime | UniformTime | ExponentialTime,
    Field(discriminator="kind"),
    BeforeValidator(_constant),
]


class ConstantLatency(Strict):
    """Every op of the class is in flight for the same time."""

    kind: Literal["constant"] = Field(description="always the same")
    value: Cycles = Field(description="cycles in flight")


class ExponentialLatency(Strict):
    """Time in flight is exponential."""

    kind: Literal["exponential"] = Field(description="exponential")
    mean: Cycles = Field(description="mean cycles in flight")


class CoreLatency(Strict):
    """Time in flight as the core preset has it for the op's class and memory level."""

    kind: Literal["core"] = Field(
        default="core", description="by op class and memory level, as the core preset has it"
    )


Latency = Annotated[ConstantLatency | ExponentialLatency | CoreLatency, Field(discriminator="kind")]
