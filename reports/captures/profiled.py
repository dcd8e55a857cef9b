"""What came of `speskew import spe`, in words: what was made, what is in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reports.captures import opening
from reports.text import printable
from sim.workload.capture.events import differing
from sim.workload.capture.profile import LIMITS, Profile
from sim.workload.capture.survey import Survey


def with_remarks(made: Profile, seen: Survey) -> Profile:
    """The profile with what is in doubt of it, so that whoever runs it is told too."""
    return replace(made, remarks=tuple(_doubts(made, seen)))


def ending(made: Profile, without_symbols: list[str]) -> list[str]:
    """What was made, what is in doubt, what it cannot carry."""
    lines = [
        f"{made.records:,} records, {len(made.statics):,} addresses, {len(made.symbols):,} "
        f"symbols, {_count(len(made.phases), 'phase')}; they stand for {made.ops:,} ops"
    ]
    lines += made.remarks
    if any(static.el for static in made.statics):
        lines.append(
            "kernel code was sampled: `spe: {exclude_kernel: false}` in the scenario has "
            "it sampled there too"
        )
    if without_symbols:
        shown = ", ".join(printable(path, 60) for path in without_symbols[:5])
        lines.append(
            f"no symbols from {_count(len(without_symbols), 'file')} ({shown}…): pages "
            "stand for them; --symfs names a folder that has them"
        )
    lines.append("What a profile cannot carry:")
    return lines + [f"  * {limit}" for limit in LIMITS]


def _doubts(made: Profile, seen: Survey) -> Iterator[str]:
    """What the file, its records and its timestamps make uncertain."""
    facts, sanity = seen.facts, seen.sanity
    left_out = seen.records - made.records
    if left_out:
        yield f"{left_out:,} records are damaged or have no PC: left out, see `speskew report spe`"
    if any(phase.fs_per_op is None for phase in made.phases):
        yield (
            "no time per op (no timestamps, or --timer is missing): the core preset's throughput "
            "is used"
        )
    if facts.unfinished:
        yield opening.unfinished(facts.unread)
    if len(facts.events) > 1:
        differ = ", ".join(differing(facts.events))
        what = f", which differ in {differ}" if differ else ""
        yield f"{len(facts.events)} SPE events{what}: --cpu takes those of one core"
    if facts.filtered:
        words = "; ".join(sorted({text for event in facts.events for text in event.filters}))
        said = f" ({words})" if words else ""
        yield f"the event had a filter{said}: shares are of what passed it"
    for n, what in ((sanity.time_zero, "are 0"), (sanity.time_equal, "equal the one before")):
        if n:
            yield f"{n:,} timestamps {what}: phases and the time per op are uncertain"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")
