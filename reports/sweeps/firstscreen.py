"""The first screen of a sweep: what each arm's numbers range over, and which setting decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.results.metric import Metric
from reports.results.sweep_result import SweepResult
from reports.sweeps import screening
from reports.text import number, percent, printable

NAME = 40
NONE = "–"


@dataclass(frozen=True, slots=True)
class Span:
    """A metric of an arm over all cells: its ends, where the far one lies, what decides.

    `decides` is empty where nothing varies, or where the sweep cannot tell.
    """

    title: str
    low: str
    high: str
    worst: str
    decides: str

    @property
    def text(self) -> str:
        """From the least to the most, or the one value."""
        if self.low == self.high:
            return self.low
        unit = next((u for u in (" %", " µs") if self.high.endswith(u)), "")
        return f"{self.low.removesuffix(unit)} to {self.high}"


@dataclass(frozen=True, slots=True)
class Line:
    """An arm: its metrics in the order of the page, and all of it in a sentence."""

    arm: str
    spans: tuple[Span, ...]
    sentence: str


Asked = Sequence[tuple[str, str, str]]
"""Key, metric and title of what the page shows."""
Ranks = Mapping[str, Sequence[tuple[str, ...]]]
"""By key: arm and setting of each line of its table, the most important first."""


def lines(result: SweepResult, asked: Asked, ranks: Ranks) -> list[Line]:
    """One per arm that has a number; each has a span for every metric that some arm has."""
    every = {
        arm: {
            title: span
            for key, metric, title in asked
            if (span := _span(result, arm, metric, title, ranks.get(key, ()))) is not None
        }
        for arm in result.arm_order
    }
    titles = [title for _, _, title in asked if any(title in found for found in every.values())]
    made = []
    for arm, found in every.items():
        if found:
            name = printable(arm, NAME)
            spans = tuple(found.get(t, Span(t, NONE, NONE, "", "")) for t in titles)
            made.append(Line(name, spans, f"{name}: {'; '.join(map(_said, found.values()))}."))
    return made


def _said(span: Span) -> str:
    head = span.title if span.title[1].isupper() else span.title.lower()
    text = f"{head} {span.text}"
    if span.low == span.high:
        return text
    text += f", most at {span.worst}" if span.worst else ""
    return f"{text} ({span.decides} decides most)" if span.decides else text


def _span(
    result: SweepResult, arm: str, metric: str, title: str, ranks: Sequence[tuple[str, ...]]
) -> Span | None:
    values = dict(_values(result, arm, metric))
    if not values:
        return None
    low, high = min(values, key=lambda k: values[k][0]), max(values, key=lambda k: values[k][0])
    varies = values[low][0] < values[high][0]
    decides = _decides(result, arm, metric, ranks) if varies else ""
    worst = _place(result, high) if varies and result.samples is None else ""
    return Span(title, _text(*values[low]), _text(*values[high]), worst, decides)


def _values(result: SweepResult, arm: str, metric: str) -> Iterator[tuple[int, tuple[float, str]]]:
    """Number of the cell, and the value with its unit."""
    for k, cell in enumerate(result.cells):
        found = cell.number(arm, metric)
        if isinstance(found, Metric):
            if found.mean is not None:
                yield k, (found.mean, found.unit)
        elif found is not None:
            yield k, (float(found), "us" if metric.endswith("_us") else "")


def _text(value: float, unit: str) -> str:
    if unit == "us":
        return f"{number(value)} µs"
    return percent(value) if unit == "fraction" else number(value)


def _place(result: SweepResult, cell: int) -> str:
    varied = [name for name, values in result.axes.items() if len(values) > 1]
    settings = result.cells[cell].settings
    said = (f"{screening.short(n)} = {settings[n]}" for n in varied if n in settings)
    return printable(", ".join(said))


def _decides(result: SweepResult, arm: str, metric: str, ranks: Sequence[tuple[str, ...]]) -> str:
    """The setting that matters most; of samples, only if that is clear."""
    if result.samples is not None:
        entry = screening.by_arm(result).get(arm, {}).get(metric)
        clear = (
            [n for n, e in screening.ranked(entry, result.samples.method) if e.clear]
            if entry
            else []
        )
        return printable(screening.short(clear[0])) if clear else ""
    settings = [line[1] for line in ranks if line[0] == arm]
    return printable(screening.short(settings[0])) if settings else ""
