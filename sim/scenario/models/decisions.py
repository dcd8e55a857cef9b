"""`decisions:`, what people decide from a profile, and how much of a difference matters.

The names are those of `analysis.decisions.kinds`, one file each; a test holds the two together.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from sim.scenario.models.strict import Strict
from sim.scenario.words import suggest

KINDS = {
    "hot-functions": "",
    "hot-instructions": "",
    "hot-pages": "pages",
    "hot-pages-64KiB": "pages",
    "hot-pages-2MiB": "pages",
    "slow-loads": "waits",
    "layout": "edges",
    "sharing": "lines",
}
"""Name, and what of single records it needs, by the names of `sim.runs.seen.sightings`: addresses,
latencies, where branches went; none if a histogram is enough."""
MOST = 100_000
_TOP = re.compile(r"[1-9][0-9]{0,5}|([1-9]?[0-9](\.[0-9]{1,3})?|100)%")


def _known(name: str) -> str:
    if name not in KINDS:
        raise ValueError(suggest(name, tuple(KINDS)))
    return name


def checked_top(value: object) -> str:
    """`20` or `10%` as text; raises ValueError."""
    text = "" if isinstance(value, bool) else str(value).strip()
    if not _TOP.fullmatch(text) or not float(text.rstrip("%")) or _whole(text) > MOST:
        raise ValueError(f"must be a number of items up to {MOST:,}, or a share of them, e.g. 10%")
    return text


def _whole(text: str) -> int:
    return 0 if text.endswith("%") else int(text)


Kind = Annotated[
    str,
    AfterValidator(_known),
    WithJsonSchema({"enum": list(KINDS), "type": "string"}),
]
Top = Annotated[
    str,
    BeforeValidator(checked_top),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["10%", 20]}),
]


class Decisions(Strict):
    """Would anybody decide otherwise? Which decisions are judged, and how."""

    kinds: tuple[Kind, ...] = Field(
        min_length=1,
        max_length=len(KINDS),
        strict=False,
        description="what is decided from the profile, e.g. hot-functions, hot-pages, layout",
    )
    top: Top | None = Field(
        default=None,
        description="how many items a choice takes, or what share of them, e.g. 20 or 10%; null: "
        "each kind's own; layout has none",
    )
    margin: float = Field(
        default=0.01,
        ge=1e-6,
        le=1,
        description="regrets that differ by less do not matter; fraction of the best choice",
    )

    @property
    def needs(self) -> tuple[str, ...]:
        """What some kind looks at of single records; empty if none does."""
        return tuple(sorted({KINDS[kind] for kind in self.kinds} - {""}))
