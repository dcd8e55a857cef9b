"""Three answers, one set of words: *skewed by X*, *the same within ±m*, or *cannot tell*.

`answer` is the one place that turns an estimate, its interval and a margin into an answer. What is
beyond the margin for certain is told with its size; what is within it for certain is the same; of
anything else it is told how much it could be, and how many replications would tell. A number that
is certain but smaller than the margin does not matter, and one that may be on either side of the
margin is no answer, however small its p-value. A run that has met too few of the events that could
skew it is *too short to tell*, unless it is skewed for certain.

Words for another noun than skew are a `Terms` of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from analysis.statistics.intervals import Interval
from analysis.statistics.needed import of_interval
from analysis.statistics.shown import decimals, number


class Kind(StrEnum):
    """Which of the answers."""

    SKEWED = "skewed"
    SAME = "same"
    OPEN = "cannot tell"
    SHORT = "too short to tell"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the two certain answers are called, e.g. *skewed by 3 %*, *the same within ±1 %*."""

    differs: str = "skewed by"
    same: str = "the same within"


SKEW = Terms()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. Effect, interval and margin are in `unit`; fractions are told in percent.

    `needed` are the replications that would tell, None where none of a practical number do, or
    where the answer is there. `why` is what a run that is too short lacks, or why nothing can be
    told.
    """

    kind: Kind
    effect: float | None
    interval: Interval
    margin: float
    n: int
    unit: str
    needed: int | None = None
    why: str = ""
    terms: Terms = SKEW

    @property
    def most(self) -> float | None:
        """How much it could be at most, as its interval has it; None without an interval."""
        if isinstance(self.interval, tuple):
            return max(abs(self.interval[0]), abs(self.interval[1]))
        return None if self.interval is None or self.effect is None else abs(self.effect)

    @property
    def certain(self) -> bool:
        """True if the interval leaves 0 out, whether or not the size matters."""
        if isinstance(self.interval, tuple):
            return self.interval[0] > 0 or self.interval[1] < 0
        return self.interval == "exact" and bool(self.effect)

    def cell(self) -> str:
        """For a table: the answer with its number."""
        match self.kind:
            case Kind.SKEWED:
                return f"{self.terms.differs} {self._amount(self.effect)}"
            case Kind.SAME:
                return self._same()
            case Kind.SHORT:
                return str(Kind.SHORT)
            case _:
                return str(Kind.OPEN) if self.most is None else f"{Kind.OPEN}: ≤ {self._most()}"

    def words(self) -> str:
        """The answer in full, without a full stop."""
        match self.kind:
            case Kind.SKEWED:
                return f"{self.terms.differs} {self._estimate()}"
            case Kind.SAME:
                return f"{self._same()}{self._certain_but_small()}"
            case Kind.SHORT:
                return f"{Kind.SHORT} ({self.why})"
            case _:
                return self._open()

    def size(self) -> str:
        """The estimate with its interval, whatever the answer; a dash without one."""
        return "–" if self.effect is None else self._estimate()

    def _open(self) -> str:
        if self.most is None:
            return f"{Kind.OPEN} ({self.why})"
        if self.certain:
            return (
                f"{Kind.OPEN} whether it matters ({self.terms.differs} {self._estimate()}, where "
                f"{self._amount(self.margin)} would; {self._way_out()})"
            )
        return f"{Kind.OPEN} (it could be as much as {self._most()}; {self._way_out()})"

    def _way_out(self) -> str:
        if self.needed is None:
            return "a longer run would"
        return f"about {self.needed:,} replications would, or a longer run"

    def _certain_but_small(self) -> str:
        if not self.certain:
            return ""
        return f" ({self.terms.differs} {self._estimate()}, less than matters)"

    def _same(self) -> str:
        """Without a margin where nothing at all may differ."""
        if not self.margin:
            return self.terms.same.removesuffix(" within")
        return f"{self.terms.same} ±{self._amount(self.margin)}"

    def _most(self) -> str:
        return self._amount(self.most)

    def _estimate(self) -> str:
        """Effect and interval, both with the decimals of the interval."""
        assert self.effect is not None
        scale, unit = self._scale()
        if not isinstance(self.interval, tuple):
            return self._amount(self.effect)
        low, high = self.interval
        half = scale * (high - low) / 2
        digits = decimals(half)
        shown = [
            f"{scale * x:,.{3 if digits is None else min(digits, 6)}f}"
            for x in (self.effect, low, high)
        ]
        return f"{shown[0]}{unit} [{shown[1]}, {shown[2]}]"

    def _amount(self, value: float | None) -> str:
        assert value is not None
        scale, unit = self._scale()
        return f"{number(scale * value)}{unit}"

    def _scale(self) -> tuple[float, str]:
        return (100.0, " %") if self.unit == "fraction" else (1.0, f" {self.unit}".rstrip())


def answer(
    effect: float | None,
    interval: Interval,
    margin: float,
    *,
    n: int,
    unit: str = "fraction",
    terms: Terms = SKEW,
    why: str = "",
) -> Answer:
    """The answer that an estimate with its interval gives against ±`margin`.

    The interval has the level at which a wrong *skewed* and a wrong *the same* are to be rare (half
    of what it leaves out, each). Without an interval nothing can be told; `why` says for what
    reason.
    """
    if interval is None or effect is None:
        reason = why or ("one replication has no spread; run 2 or more" if n else "no samples")
        return Answer(Kind.OPEN, effect, None, margin, n, unit, why=reason, terms=terms)
    low, high = interval if isinstance(interval, tuple) else (effect, effect)
    found = Answer(Kind.OPEN, effect, interval, margin, n, unit, terms=terms)
    if low > margin or high < -margin:
        return replace(found, kind=Kind.SKEWED)
    if -margin <= low and high <= margin:
        return replace(found, kind=Kind.SAME)
    return replace(found, needed=of_interval(effect, low, high, margin, n))


def short(found: Answer, why: str) -> Answer:
    """The answer of a run that has met too few events; what is skewed for certain stays so."""
    return found if found.kind is Kind.SKEWED else replace(found, kind=Kind.SHORT, why=why)


_RANK = (Kind.SAME, Kind.SHORT, Kind.OPEN, Kind.SKEWED)


def worst(*found: Answer) -> Answer:
    """The answer that a reader must know first: the worst kind, then the most that it could be."""

    def key(one: Answer) -> tuple[int, float]:
        size = one.effect if one.kind in (Kind.SKEWED, Kind.SAME) else one.most
        return _RANK.index(one.kind), abs(size or 0.0)

    return max(found, key=key)
