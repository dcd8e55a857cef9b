"""`speskew compare A B`: what B has more of than A, six rows an arm, signed, with intervals.

Replications are paired where both sides executed the same ops with the same seed; otherwise their
spreads are added (Welch). The unit of analysis is the replication. A difference without variance is
"exact"; one replication has no interval. What a difference means is one of the three answers of
`analysis.statistics.answers`: beyond a margin, within it, or neither for certain.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.statistics import answers
from analysis.statistics.answers import Answer, Kind, Terms
from analysis.statistics.intervals import F64, Metric, finite, metric, no_variance
from analysis.statistics.tails import t_quantile
from reports.pages import markdown
from reports.results import shapes
from reports.results.result import Arm, Result
from reports.store.read import read_result
from reports.store.rundir import RunDirError
from reports.text import aligned, fixed, number, printable
from reports.text import decimals as decimals_of
from sim.units import TICKS_PER_CYCLE

NAME = 40
MARGIN = 0.01
"""Part of A that does not matter; of what is in percent, so many points."""
DIFFERS = Terms(differs="differs by")
KINDS = {
    Kind.SKEWED: "differs",
    Kind.SAME: "same",
    Kind.OPEN: "cannot tell",
    Kind.SHORT: "too short to tell",
}
"""What `--format json` calls the answers."""


@dataclass(frozen=True, slots=True)
class Side:
    """One arm of one run."""

    label: str
    arm_name: str
    arm: Arm
    seed: int


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity on both sides; `difference` is B − A in the same unit."""

    what: str
    unit: str
    a: float | None
    b: float | None
    difference: Metric
    paired: bool
    margin: float
    """A difference that does not matter, in the unit."""

    @property
    def answer(self) -> Answer:
        """Do the sides differ by more than the margin?"""
        found = self.difference
        return answers.answer(
            found.mean, found.ci95, self.margin, n=found.n, unit=self.unit, terms=DIFFERS
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms, row by row."""

    a: Side
    b: Side
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


Sides = Mapping[str, Side]
"""Arms of one run by name: all of them, or one."""


def compare(
    first: str, second: str, *, everything: bool = False, margin: float = MARGIN
) -> list[Comparison]:
    """Compare two arms, or every arm that two runs have in common; raises RunDirError."""
    called = (first, second)
    found = sides_named(first), sides_named(second)
    return between(*found, called, everything=everything, margin=margin)


def between(
    a: Sides,
    b: Sides,
    called: tuple[str, str],
    *,
    everything: bool = False,
    margin: float = MARGIN,
) -> list[Comparison]:
    """As `compare`, of sides; `called` is what a message calls them."""
    if len(a) == 1 and len(b) == 1:
        pairs = [(next(iter(a.values())), next(iter(b.values())))]
    else:
        pairs = [(a[name], b[name]) for name in a if name in b]
        if not pairs:
            raise RunDirError(
                f"{called[0]} and {called[1]} have no arm in common; name one on each side as "
                "RUN_DIR:arm"
            )
    return [_compared(x, y, everything, margin) for x, y in pairs]


def sides(called: str, result: Result, *arms: str) -> Sides:
    """Some arms of a result that is called so, or all of them."""
    return {n: _side(called, n, result) for n in arms or result.arm_order}


def sides_named(text: str) -> Sides:
    """Arms by name: of a run directory, or the one that follows it after a colon."""
    if Path(text).is_dir():
        return sides(text, read_result(Path(text)))
    for k, char in enumerate(text):
        if char == ":" and Path(text[:k] or ".").is_dir():
            result, name = read_result(Path(text[:k] or ".")), text[k + 1 :]
            if name not in result.arms:
                known = ", ".join(printable(n, NAME) for n in result.arm_order)
                raise RunDirError(f"{text[:k]} has no arm {name!r}; arms: {known}")
            return sides(text[:k], result, name)
    raise RunDirError(f"{text}: no such run directory; give RUN_DIR or RUN_DIR:arm")


def _side(folder: str, name: str, result: Result) -> Side:
    return Side(f"{folder}:{name}", name, result.arms[name], result.seed)


# --- rows ------------------------------------------------------------------------------------


Values = Callable[[Arm], list[float]]


def _metric_values(name: str, scale: float = 1.0) -> Values:
    def values(arm: Arm) -> list[float]:
        found = (getattr(r.metrics, name) for r in arm.replications)
        return [math.nan if x is None else scale * x for x in found]

    return values


def _wall_ms(arm: Arm) -> list[float]:
    """Mean over vCPUs; populating memory before the guest runs is left out, as in `wall`."""
    times = (r.ledger.time for r in arm.replications)
    return [(t["wall"] - t["prefault"]) * _per_ms(arm) for t in times]


def _entry(ledger: str, entry: str, scale: Callable[[Arm], float]) -> Values:
    def values(arm: Arm) -> list[float]:
        each = (getattr(r.ledger, ledger).get(entry, 0) for r in arm.replications)
        return [amount * scale(arm) for amount in each]

    return values


def _per_ms(arm: Arm) -> float:
    return 1e3 / (TICKS_PER_CYCLE * arm.setup.clock_hz) / arm.setup.vcpus


def _one(arm: Arm) -> float:
    return 1.0


SIX: tuple[tuple[str, str, Values | None], ...] = (
    ("ops lost", "%", _metric_values("loss", 100)),
    ("skew by symbol", "%", None),
    ("wall time", "ms", _wall_ms),
    ("locked memory, peak", "KiB", _metric_values("locked_bytes_peak", 1 / 1024)),
    ("RLIMIT exits", "exits", _metric_values("rlimit_exits")),
    ("records delivered", "records", _entry("delivery", "delivered", _one)),
)
"""What, unit, value per replication. Skew has no value per replication in result.json."""


def _compared(a: Side, b: Side, everything: bool, margin: float) -> Comparison:
    same = _same_ops(a, b)
    rows = [_row(what, unit, values, a, b, same, margin) for what, unit, values in SIX]
    if everything:
        rows += [_row(*more, a, b, same, margin) for more in _more(a.arm, b.arm)]
    return Comparison(a, b, tuple(rows), tuple(dict.fromkeys(_notes(a, b, same))))


def _more(a: Arm, b: Arm) -> Iterator[tuple[str, str, Values]]:
    """Every entry of every ledger that is not zero on both sides; ticks become ms per vCPU."""
    for ledger, entries in shapes.items(a.ledger):
        for entry in entries:
            if entries[entry] or getattr(b.ledger, ledger).get(entry):
                if ledger == "time":
                    yield f"{ledger}.{entry}", "ms", _entry(ledger, entry, _per_ms)
                else:
                    unit = "records" if ledger == "delivery" else "ops"
                    yield f"{ledger}.{entry}", unit, _entry(ledger, entry, _one)


def _same_ops(a: Side, b: Side) -> bool:
    """Replication r of both sides executed the same ops, with the same draws."""
    keys = ("stream", "stream_ops", "vcpus", "interval_ops", "jitter")
    return (
        a.seed == b.seed
        and len(a.arm.replications) == len(b.arm.replications)
        and a.arm.ended_at_op == b.arm.ended_at_op
        and all(getattr(a.arm.setup, k) == getattr(b.arm.setup, k) for k in keys)
    )


def _row(
    what: str, unit: str, values: Values | None, a: Side, b: Side, same: bool, margin: float
) -> Row:
    if values is None:
        return _skew_row(what, unit, a.arm, b.arm, same, margin)
    x, y = np.array(values(a.arm)), np.array(values(b.arm))
    found = metric(y - x, unit) if same else _welch(finite(x), finite(y), unit)
    mean = _mean(x)
    least = 100 * margin if unit == "%" else margin * abs(mean or 0.0)
    return Row(what, unit, mean, _mean(y), found, same, least)


def _mean(values: F64) -> float | None:
    found = finite(values)
    return float(found.mean()) if found.size else None


def _welch(x: F64, y: F64, unit: str) -> Metric:
    """Difference of two independent means, with Welch's interval."""
    if not x.size or not y.size:
        return Metric(None, None, 0, unit)
    difference, n = float(y.mean() - x.mean()), min(x.size, y.size)
    if n < 2:
        return Metric(difference, None, n, unit)
    if no_variance(x) and no_variance(y):
        return Metric(difference, "exact", n, unit)
    parts = [float(v.var(ddof=1)) / v.size for v in (x, y)]
    bottom = sum(p * p / (v.size - 1) for p, v in zip(parts, (x, y), strict=True))
    half = t_quantile(0.975, sum(parts) ** 2 / bottom) * math.sqrt(sum(parts))
    return Metric(difference, (difference - half, difference + half), n, unit)


def _skew_row(what: str, unit: str, a: Arm, b: Arm, same: bool, margin: float) -> Row:
    """Each arm's from its own truth; half-widths add as independent ones do."""
    found = [arm.skew.truth.symbol for arm in (a, b)]
    x, y = (None if f.mean is None else 100 * f.mean for f in found)
    if same and found[0] == found[1] and x is not None:
        equal = Metric(0.0, "exact", found[0].n, unit)
        return Row(what, unit, x, y, equal, True, 100 * margin)
    return Row(what, unit, x, y, _skew_difference(x, y, unit, found), False, 100 * margin)


def _skew_difference(
    x: float | None, y: float | None, unit: str, found: Sequence[Metric]
) -> Metric:
    if x is None or y is None:
        return Metric(None, None, 0, unit)
    n = min(f.n for f in found)
    halves = [100 * f.half_width for f in found if f.half_width is not None]
    if len(halves) < len(found):
        return Metric(y - x, None, n, unit)
    if not any(halves):
        return Metric(y - x, "exact", n, unit)
    half = math.hypot(*halves)
    return Metric(y - x, (y - x - half, y - x + half), n, unit)


def _notes(a: Side, b: Side, same: bool) -> Iterator[str]:
    if not same:
        yield (
            "not paired: seed, replications, executed ops, stream or sampling differ, so spreads "
            "are added"
        )
    for side in (a, b):
        if side.arm.setup.upper_bound:
            yield f"{printable(side.label)} is an UPPER BOUND, not an expectation"
        if side.arm.ended_because:
            yield f"{printable(side.label)}: {printable(side.arm.ended_because)}"


# --- formats ---------------------------------------------------------------------------------


HEAD = ("predicted", "A", "B", "B − A", "95 %", "answer")


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, columns HEAD."""
    difference = row.difference
    digits = decimals_of(difference, 1.0)
    shown = "–" if difference.mean is None else _signed(difference.mean, digits)
    values = ("–" if x is None else _plain(x) for x in (row.a, row.b))
    interval = _interval(difference, digits)
    return (f"{row.what}, {row.unit}", *values, shown, interval, row.answer.cell())


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else number(value)


def _signed(value: float, digits: int | None) -> str:
    text = _plain(value) if digits is None else fixed(value, digits)
    return text if value <= 0 else f"+{text}"


def _interval(found: Metric, digits: int | None) -> str:
    if found.exact:
        return f"all {found.n} equal"
    if found.low is not None and found.high is not None:
        return f"{_signed(found.low, digits)} … {_signed(found.high, digits)}"
    return "one replication" if found.n == 1 else "–"


def as_table(found: Sequence[Comparison]) -> str:
    """Text for a terminal."""
    blocks = []
    for comparison in found:
        rows = [HEAD, *(cells(r) for r in comparison.rows)]
        lines = [f"A: {printable(comparison.a.label)}", f"B: {printable(comparison.b.label)}"]
        lines += aligned(rows, right=True)
        lines += [f"note: {note}" for note in comparison.notes]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def as_markdown(found: Sequence[Comparison]) -> str:
    """Tables for a merge request."""
    blocks = []
    for comparison in found:
        lines = [
            f"Predicted, A = {markdown.escaped(comparison.a.label)}, "
            f"B = {markdown.escaped(comparison.b.label)}:",
            "",
            *markdown.table(HEAD, [cells(r) for r in comparison.rows]),
        ]
        lines += [line for note in comparison.notes for line in ("", markdown.paragraph(note))]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def as_json(found: Sequence[Comparison]) -> str:
    """An array of comparisons with their rows; numbers in full."""
    plain = [
        {
            "a": c.a.label,
            "b": c.b.label,
            "rows": [
                {
                    "name": r.what,
                    "unit": r.unit,
                    "a": r.a,
                    "b": r.b,
                    "paired": r.paired,
                    "difference": shapes.dump(r.difference),
                    "answer": KINDS[r.answer.kind],
                    "words": r.answer.words(),
                    "margin": r.margin,
                }
                for r in c.rows
            ],
            "notes": list(c.notes),
        }
        for c in found
    ]
    return json.dumps(plain, indent=1, sort_keys=True, allow_nan=False) + "\n"
