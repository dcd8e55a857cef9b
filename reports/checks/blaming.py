"""A check that failed: what moved most since the baseline, what that was, and what was changed.

Whoever looks at a failing build asks three things: which mechanism it is, what the number was
before, and what is different now. The mechanism is the entry of the arm's ledgers that moved most:
of lost operations if the check is about loss or profiles, of time if it is about time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from analysis.statistics.families import Finding, amount
from analysis.statistics.verdicts import Status
from reports.checks import baselines
from reports.checks.baselines import Baseline
from reports.results import lookup
from reports.results.result import Result
from sim.ledger import LOSS_LABELS, TimeCause

LISTED = 3
"""Changed settings that are named; the others are counted."""
_OPS = tuple(f"ledger.ops.{label.value}" for label in LOSS_LABELS)
_TIME = tuple(f"ledger.time.{cause.value}" for cause in TimeCause)
_OF_TIME = (".wall", ".time_added", ".time_band", ".per_enable", ".paired.wall")
Rows = Mapping[str, Sequence[int]]


def explained(
    finding: Finding, result: Result, baseline: Baseline, changed: Sequence[str]
) -> Finding:
    """A finding; of one that failed the sentence also has cause, baseline's value and change."""
    if finding.verdict.status is not Status.FAIL:
        return finding
    parts = [finding.verdict.sentence, *_reasons(finding, result, baseline, changed)]
    return replace(finding, verdict=replace(finding.verdict, sentence=". ".join(parts)))


def _reasons(
    finding: Finding, result: Result, baseline: Baseline, changed: Sequence[str]
) -> Iterator[str]:
    before = baseline.metrics.get(finding.metric)
    if before is not None and before.mean is not None:
        yield f"The baseline has {amount(before.mean, before.unit)}"
    moved = most_moved(finding.metric, result, baseline)
    if moved:
        yield f"Most moved: {moved}"
    yield _changed(baseline, changed, same=not _moved(result, baseline))


def most_moved(metric: str, result: Result, baseline: Baseline) -> str:
    """``operations lost to virq_delivery in v6, 0 → 1,234``: totals of common replications."""
    ours = lookup.counters(result)
    both = min(baseline.replications, result.replications)
    arms = [arm for arm in result.arm_order if f"{metric}.".startswith(f"arms.{arm}.")]
    named = max(arms, key=len, default=None)
    of_time = named is not None and metric[len(f"arms.{named}") :].startswith(_OF_TIME)
    kinds = (
        ((_TIME, "ticks of"),) if of_time else ((_OPS, "operations lost to"), (_TIME, "ticks of"))
    )
    for entries, what in kinds:
        found = [
            (arm, entry, *_totals(f"arms.{arm}.{entry}", ours, baseline.counters, both))
            for arm in (result.arm_order if named is None else [named])
            for entry in entries
        ]
        arm, entry, old, new = max(found, key=lambda f: abs(f[3] - f[2]))
        if old != new:
            return f"{what} {entry.rpartition('.')[2]} in {arm}, {old:,} → {new:,}"
    return ""


def _totals(name: str, ours: Rows, theirs: Rows, both: int) -> tuple[int, int]:
    return sum(theirs.get(name, ())[:both]), sum(ours.get(name, ())[:both])


def _moved(result: Result, baseline: Baseline) -> bool:
    """Is any counter another one in the replications that both have?"""
    both = min(baseline.replications, result.replications)
    return bool(list(baselines.changes(baseline.counters, lookup.counters(result), both)))


def _changed(baseline: Baseline, changed: Sequence[str], *, same: bool) -> str:
    made = f"speskew {baseline.provenance.get('speskew', '?')}"
    if changed:
        more = "" if len(changed) <= LISTED else f"; and {len(changed) - LISTED} more"
        return f"Changed since the baseline: {'; '.join(changed[:LISTED])}{more}"
    if baseline.settings and same:
        return (
            f"No setting and no counter has changed since the baseline ({made}): only the check, "
            "or the number of replications, can have"
        )
    if baseline.settings:
        return (
            f"No setting has changed since the baseline ({made}), nor what the recorded files "
            "hold: the simulator has"
        )
    return f"The baseline ({made}) does not hold its settings; `speskew baseline update` would"
