"""The verdict about an arm's profile: skewed, the same, cannot tell, or too short to tell.

Each arm, the reference arm too, is judged against the truth by symbol and by instruction; the worst
of the two decides. What baremetal has to do with it stands beside: whether samples are baremetal's
own, and how far the arm's mean profile is from baremetal's.

A virtual arm differs from baremetal by what happens at full buffers and, if nothing holds the
buffer in place, at unmapped pages. One that has met hardly any says nothing about either: it is too
short to tell, unless it is skewed already.
So is an arm that ended early.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from analysis.fidelity import causes, dying, profiles, skew
from analysis.fidelity.skew import LEVELS, Level
from analysis.statistics.answers import Answer, answer, short, worst
from analysis.statistics.intervals import Metric
from sim.machine.resolve import passes, window_bytes
from sim.policies.backings import BACKINGS
from sim.scenario.models.scenario import Verdicts
from sim.spe.buffer import RECORD_BYTES

if TYPE_CHECKING:
    from sim.runs.batch import ArmResult

FULL = ("full", "bounce_full")
"""Causes of blackouts that are full buffers."""
WORDS = {"symbol": "by symbol", "pc": "by instruction"}


@dataclass(frozen=True, slots=True)
class Judged:
    """An arm's verdict and the numbers that it is made from (fractions, by level)."""

    truth: dict[Level, Metric]
    baremetal: dict[Level, Metric]
    identical: bool
    margin: float
    short: str
    """Why the run is too short to tell; empty if it is not."""
    causes: tuple[str, ...]
    """What puts samples in the wrong place, with its cure, as far as the settings say."""

    @property
    def level(self) -> Level:
        """The level that decides: the worst, by symbol if both are alike."""
        found = {level: self.answer_at(level) for level in LEVELS}
        decisive = worst(*found.values())
        return next(level for level, one in found.items() if one is decisive)

    @property
    def answer(self) -> Answer:
        """The verdict."""
        return self.answer_at(self.level)

    def answer_at(self, level: Level, against: Literal["truth", "baremetal"] = "truth") -> Answer:
        """The answer of one level; against baremetal it is one about the mean profile."""
        size: Metric = getattr(self, against)[level]
        found = answer(size.mean, size.ci95, self.margin, n=size.n)
        return short(found, self.short) if self.short else found


def judge(arm: ArmResult, reference: ArmResult | None, asked: Verdicts, family: int) -> Judged:
    """The verdict about an arm; low ends of intervals hold for `family` arms at once."""
    size = family * len(LEVELS)
    truth = {level: skew.against_truth(arm, level, size) for level in LEVELS}
    beside = {level: skew.against_baremetal(arm, reference, level, size) for level in LEVELS}
    pc = beside["pc"]
    return Judged(
        truth=truth,
        baremetal=beside,
        identical=pc.mean == 0 and pc.exact and truth["pc"].n > 0,
        margin=asked.margin / 1e6,
        short="; ".join(_lacking(arm, asked.events)),
        causes=tuple(causes.of_skew(arm)),
    )


def full_buffers(arm: ArmResult) -> int:
    """Buffers that the SPU filled, all replications and vCPUs."""
    stops = (v.blackouts for run in arm.runs for v in run.vcpus)
    return sum(found[cause].count for found in stops for cause in FULL if cause in found)


def unmapped(arm: ArmResult) -> int:
    """Pages of the AUX buffers that the host unmapped, all replications."""
    return sum(run.zaps for run in arm.runs)


def _lacking(arm: ArmResult, events: int) -> Iterator[str]:
    """Why an arm is too short: what it met too little of, with the length that would do."""
    at = profiles.ended_at(arm)
    if profiles.ended_early(arm):
        because = "; ".join(sorted({run.ended_because for run in arm.runs} - {""}))
        why = f": {because}" if because else ""
        yield f"it ended at operation {at:,} of {arm.stream.ops:,}{why}"
        return
    settings = arm.arm.settings
    if not arm.arm.policies.virtual:
        return
    factors = []
    met = []
    if settings.driver.capture == "full":
        full, window = full_buffers(arm), window_bytes(settings)
        written = sum(v.ledgers.selections.written for run in arm.runs for v in run.vcpus)
        met.append((full, "full buffers"))
        likely = full or written * RECORD_BYTES / window
        factors.append(events / likely if likely else math.inf)
    if settings.host.unmap != "never" and not BACKINGS[arm.arm.policies.backing].holds:
        zaps = unmapped(arm)
        met.append((zaps, "unmapped pages"))
        factors.append(events / zaps if zaps else math.inf)
    if any(count < events for count, _ in met):
        said = " and ".join(f"{count:,} {what}" for count, what in met)
        yield f"it met {said}, where {events} of each would tell; {_longer(arm, max(factors))}"


def _longer(arm: ArmResult, factor: float) -> str:
    """The length at which an arm meets `factor` times what it met, if any length would do."""
    workload = arm.arm.settings.workload
    life = dying.life(arm)
    if life is not None and life.died == life.events:
        return "a longer run would not, as every event dies before its end"
    if math.isinf(factor) or factor <= 1:  # by what was written, this run would have been enough
        return "a run many times as long would do"
    if workload.ops:
        return f"workload.ops: {workload.ops * factor:.2g}ops would do".replace("+", "")
    return f"workload.repeat: {math.ceil(passes(workload) * factor):,} would do"
