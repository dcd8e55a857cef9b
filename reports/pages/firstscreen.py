"""The first screen of a page: an answer per arm, and the table at a glance, cell by cell.

An answer is a mark, whose shape tells as much as its colour, and one sentence. A cell is a number,
what stands beside it, and its range over the values that nobody has published, badged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from analysis.statistics.answers import Kind
from reports.pages import glance
from reports.pages.sentences import NAME
from reports.results.arms import brief, reference_arm, verdict, verdict_words
from reports.results.result import Arm, Ends, Result
from reports.store.rows import PerturbationRow, Tables, read
from reports.text import number, percent, printable, size


@dataclass(frozen=True, slots=True)
class Mark:
    """A verdict at a glance: `key` is its class in our CSS."""

    key: str
    shape: str
    words: str


MARKS = {
    Kind.SAME: Mark("same", "●", "the same, within the margin"),
    Kind.SKEWED: Mark("skewed", "▲", "skewed"),
    Kind.OPEN: Mark("open", "?", "cannot tell"),
    Kind.SHORT: Mark("short", "◌", "too short to tell"),
}
NONE = Mark("none", "–", "no profile")


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a column; `band` is its range over the UNVERIFIED values."""

    column: str
    value: str
    band: str = ""
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """An arm at a glance."""

    name: str
    note: str
    mark: Mark
    answer: str
    cells: tuple[Cell, ...]


def rows(result: Result, tables: Tables) -> list[Row]:
    """One per arm, in the scenario's order; where it was run with `hold` too, one of that."""
    base = reference_arm(result)
    added = {r.arm: r for r in read(PerturbationRow, tables) if r.cause == "all"}
    found = []
    for name in result.arm_order:
        arm = result.arms[name]
        found.append(_row(name, arm, base, added.get(name)))
        if arm.hold is not None:
            twin = base if base is None or base.hold is None else base.hold
            found.append(_row(f"{name} (hold)", arm.hold, twin, None))
    return found


def key(found: list[Row]) -> list[Mark]:
    """The marks that occur, in the order of MARKS."""
    every = (*MARKS.values(), NONE)
    return [mark for mark in every if any(mark == row.mark for row in found)]


def _row(name: str, arm: Arm, base: Arm | None, added: PerturbationRow | None) -> Row:
    notes = [*(["reference"] if arm is base else ()), *(["upper bound"] if _bound(arm) else ())]
    return Row(
        printable(name, NAME),
        ", ".join(notes),
        _mark(arm),
        sentence(arm, is_reference=arm is base),
        tuple(_cells(arm, base, added)),
    )


def _bound(arm: Arm) -> bool:
    return bool(arm.setup.upper_bound)


def _has_profile(arm: Arm) -> bool:
    return arm.profile.symbol.tvd_vs_truth.mean is not None


def _mark(arm: Arm) -> Mark:
    return MARKS[verdict(arm).kind] if _has_profile(arm) else NONE


def sentence(arm: Arm, *, is_reference: bool) -> str:
    """The answer: may the profile be trusted, what is lost, what does it cost."""
    parts = [_trust(arm)]
    if arm.loss.total.mean is not None:
        parts.append(f"{percent(arm.loss.total.value)} of the operations are lost")
    told = arm.setup.virtual and not is_reference and not brief(arm)
    if told and arm.time_added.mean is not None:
        parts.append(f"{percent(arm.time_added.value)} of time is added")
    if arm.rlimit.locked_bytes_peak:
        parts.append(f"{size(arm.rlimit.locked_bytes_peak)} locked")
    return "; ".join(parts) + "."


def _trust(arm: Arm) -> str:
    if not _has_profile(arm):
        return "no samples, so no profile"
    return verdict_words(arm)


def _cells(arm: Arm, base: Arm | None, added: PerturbationRow | None) -> Iterator[Cell]:
    lost, r, virtual = arm.loss.total.mean, arm.rlimit, arm.setup.virtual
    yield Cell("profile", glance.profile_cell(arm), _range(arm.skew_band), _mark(arm))
    apart = "reference" if arm is base else glance.baremetal_cell(arm)
    yield Cell("from baremetal's", apart)
    loss = "–" if lost is None else percent(lost) + glance.until_end(arm)
    yield Cell("ops lost", loss, _range(arm.loss_band))
    yield _time(arm, base, added)
    yield Cell("locked", size(r.locked_bytes_peak) if virtual else "–")
    exits = number(r.exits_per_run.value) if virtual else "–"
    yield Cell("RLIMIT exits per run", exits)
    yield Cell("records", f"{arm.ledger.delivery['delivered']:,}")


def _time(arm: Arm, base: Arm | None, added: PerturbationRow | None) -> Cell:
    column, time = "time added", arm.time_added.mean
    if arm is base or time is None:
        return Cell(column, "–")
    if brief(arm):
        return Cell(column, glance.TOO_BRIEF)
    if added is None or not added.banded:
        return Cell(column, percent(time))
    low, _, high = added.shares()
    return Cell(column, percent(time), _range(Ends(low, high)))


def _range(ends: Ends | None) -> str:
    if ends is None or percent(ends.low) == percent(ends.high):
        return ""
    return f"{percent(ends.low).removesuffix(' %')} to {percent(ends.high)}"
