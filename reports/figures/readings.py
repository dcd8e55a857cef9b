"""What to read off each figure: a sentence computed from `result.json` and its tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from analysis.fidelity.losses import same_order
from analysis.statistics.answers import Kind
from analysis.statistics.tails import t_cdf
from reports.results.arms import answer_at, reference_arm
from reports.results.result import Arm, Result
from reports.store.rows import (
    DesignRow,
    PerturbationRow,
    Tables,
    TheoryRow,
    TimelineRow,
    points,
    read,
)
from reports.text import number, percent, printable, size
from sim.ledger import LOSS_LABELS
from sim.policies.backings import BACKINGS

LOST = frozenset(label.value for label in LOSS_LABELS)
NO_TIMELINE = "There is no timeline: the run was interrupted before one was made."
LISTED = 4
"""Arms named in a sentence; the others are counted."""


def _arms(result: Result) -> list[tuple[str, Arm]]:
    return [(name, result.arms[name]) for name in result.arm_order]


def _listed(names: list[str]) -> str:
    shown = [printable(n, 40) for n in names]
    if len(shown) == 1:
        return shown[0]
    if len(shown) > LISTED:
        return f"{', '.join(shown[: LISTED - 1])} and {len(shown) - LISTED + 1} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _ran_through(arm: Arm) -> bool:
    return bool(arm.ended_at_op >= arm.setup.stream_ops)


def decisions(result: Result) -> str:
    """Who decides the same as baremetal in everything that was asked, who does not, and why."""
    same, worse, unclear = [], [], []
    for name, arm in _arms(result):
        judged = {k: d for k, d in arm.decisions.items() if d.answer != "not judged"}
        if not judged:
            continue
        bad = [(k, d) for k, d in judged.items() if d.answer == "worse"]
        if bad:
            kind, found = max(bad, key=lambda x: x[1].worse.value)
            worse.append(
                f"{printable(name, 40)} decides worse about {_listed([k for k, _ in bad])}, most "
                f"about {kind} ({percent(found.worse.value)} of the best choice; {found.why})"
            )
        elif all(d.answer == "same" for d in judged.values()):
            same.append(name)
        else:
            unclear.append(name)
    parts = [f"one decides the same by the profile of {_listed(same)}"] if same else []
    parts += worse
    if unclear:
        parts.append(f"of {_listed(unclear)} these replications cannot tell")
    text = "; ".join(parts) or "no arm is compared with baremetal"
    lines = "; a line is what so many random samples of the program would cost, a point an arm."
    return text[0].upper() + text[1:] + lines


def ledgers(result: Result) -> str:
    """Who loses most, to what, and who loses no more than baremetal."""
    counted = [
        (n, a) for n, a in _arms(result) if a.loss.total.mean is not None and _ran_through(a)
    ]
    if not counted:
        return "No arm ran to its end with an op of the population."
    name, worst = max(counted, key=lambda x: x[1].loss.total.value)
    total = worst.loss.total.value
    if total == 0:
        return "No arm loses an op."
    cause = max(worst.loss.labels, key=lambda c: worst.ledger.ops[c])
    text = f"{printable(name, 40)} loses most, {percent(total)} of ops, mainly to "
    text += f"{cause}"
    base = reference_arm(result)
    if base is None:
        return text + "."
    own = base.loss.total.value
    alike = [n for n, a in counted if a is not base and same_order(a.loss.total.value, own)]
    if alike:
        verb = "loses" if len(alike) == 1 else "lose"
        text += f"; {_listed(alike)} {verb} no more than the order of baremetal's own"
        text += f" {percent(own)}, and loss is not skew"
    return text + "."


def losses(result: Result) -> str:
    """Does the loss of the arm in which it matters most become skew, and that of others?"""
    moved = [
        (a.loss_skew.value, n)
        for n, a in _arms(result)
        if a.loss_skew.mean and a.profile.symbol.tvd_vs_truth.mean is not None
    ]
    if not moved:
        return "Nothing is lost, or a filter hides in which symbols, so no loss can become skew."
    most, name = max(moved)
    arm = result.arms[name]
    text = (
        f"The loss matters most in {printable(name, 40)}: by itself it would move "
        f"{percent(most)} of the profile between symbols"
    )
    if arm is reference_arm(result):
        return f"{text}; it is the reference arm, so no arm's loss falls on code more than its own."
    found = answer_at(arm, "symbol")
    said = {
        Kind.SKEWED: f"and the profile is {found.cell()} by symbol: loss becomes skew",
        Kind.SAME: f"and the profile by symbol is {found.words()}: loss does not become skew that "
        "matters",
        Kind.OPEN: f"and whether the profile by symbol is skewed one {found.words()}",
        Kind.SHORT: f"and the run is {found.words()}",
    }
    skewed = [n for _, n in moved if n != name and _skewed(result.arms[n])]
    more = f". {_listed(skewed)} {_is(skewed)} skewed" if skewed else ""
    return f"{text}, {said[found.kind]}{more}."


def _skewed(arm: Arm) -> bool:
    return answer_at(arm, "symbol").kind is Kind.SKEWED


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def distances(result: Result) -> str:
    """How near the arms are to their noise floor."""
    rows = [
        (found.tvd_vs_baremetal.mean / found.tvd_noise_floor.mean, n)
        for n, a in _arms(result)
        if a is not reference_arm(result)
        for found in (a.profile.symbol,)
        if found.tvd_vs_baremetal.mean is not None and found.tvd_noise_floor.mean
    ]
    if not rows:
        return "No arm has a distance from baremetal that could be set against a noise floor."
    most, name = max(rows)
    beyond = [n for ratio, n in rows if ratio > 1.5]
    text = (
        f"By symbol the largest distance from baremetal is {number(most)} times its noise floor "
        f"({printable(name, 40)})"
    )
    if not beyond:
        return f"{text}: no arm is farther from baremetal than noise alone would put it."
    return f"{text}; a distance of about 1 floor is what two baremetal runs have."


def timeline(
    arm: str,
    result: Result,
    rows_of: Mapping[str, Sequence[TimelineRow]],
    shown: Sequence[str] = (),
) -> str:
    """What the window shows, with the lengths of its close-ups; after the last of those `shown`,
    which arms are not."""
    of = rows_of[arm]
    length = next(r for r in of if r.lane == "window").length_us / 1e3
    close = [
        f"{r.state} ({letter}, {number(r.length_us)} µs)"
        for letter, r in zip("abc", (r for r in of if r.lane == "close-up"), strict=False)
    ]
    lost = {r.state for r in of if r.lane == "SPU"} & LOST
    text = f"{printable(arm, 40)}, {number(length)} ms: "
    text += f"close-ups of {_joined(close)}" if close else "nothing interrupts the profile"
    if lost:
        text += f"; operations that nobody samples are labelled {_joined(sorted(lost))}"
    missing = [n for n in result.arm_order if n in rows_of and n not in shown]
    if shown and missing:
        text += f". Not drawn, but in timeline.csv: {_joined([printable(n, 40) for n in missing])}"
    return text + "."


def _joined(parts: list[str]) -> str:
    """Parts with commas and an `and`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def perturbation(tables: Tables) -> str:
    """Who adds most time, and how wide the band is."""
    rows = [r for r in read(PerturbationRow, tables) if r.cause == "all"]
    if not rows:
        return "No arm's time can be compared with baremetal's."
    most, arm = max(((r.shares()[1], r.arm) for r in rows), key=lambda x: x[0])
    text = f"{printable(arm, 40)} adds most, {percent(most)} of baremetal's time"
    banded = [r for r in rows if r.banded]
    if not banded:
        return f"{text}.{_before(tables)}"
    wide = max(banded, key=lambda r: r.shares()[2] - r.shares()[0])
    low, _, high = wide.shares()
    return (
        f"{text}; over the UNVERIFIED times {printable(wide.arm, 40)} lies anywhere from "
        f"{percent(low)} to {percent(high)}."
        f"{_before(tables)}"
    )


def _before(tables: Tables) -> str:
    """What is paid once per VM and is in no total."""
    rows = [r for r in read(PerturbationRow, tables) if r.cause == "prefault"]
    if not rows:
        return ""
    most = number(max(r.added_ms for r in rows))
    names = _listed([r.arm for r in rows])
    return (
        f" Populating guest memory before the first run, up to {most} ms in {names}, is left out."
    )


def symbols(result: Result) -> str:
    """Which arms' profiles are skewed by symbol, and of which it cannot be told."""
    by: dict[Kind, list[str]] = {}
    for name, arm in _arms(result):
        by.setdefault(answer_at(arm, "symbol").kind, []).append(name)
    parts = []
    if skewed := by.get(Kind.SKEWED):
        most = max((answer_at(result.arms[n], "symbol").effect or 0.0, n) for n in skewed)
        worst = f", most of all {printable(most[1], 40)}" if len(skewed) > 1 else ""
        parts.append(
            f"{_listed(skewed)} {_is(skewed)} skewed{worst}: {percent(most[0])} of the samples are "
            "in the wrong symbol"
        )
    if same := by.get(Kind.SAME):
        margin = percent(result.arms[same[0]].skew.margin)
        parts.append(f"{_listed(same)} {_is(same)} the same as the truth within ±{margin}")
    if unknown := by.get(Kind.OPEN):
        parts.append(f"of {_listed(unknown)} one cannot tell")
    if brief := by.get(Kind.SHORT):
        parts.append(f"{_listed(brief)} {_is(brief)} too short to tell")
    text = "; ".join(parts)
    return f"{text[0].upper() if text.startswith('of ') else text[0]}{text[1:]}."


def blackouts(result: Result) -> str:
    """The longest typical blackout, and the longest of all."""
    rows = [
        (b.ops_p50, b.ops_max, n, cause, b)
        for n, a in _arms(result)
        for cause, b in a.blackouts.items()
        if b.count
    ]
    if not rows:
        return "There was no blackout."
    median, _, name, cause, found = max(rows, key=lambda r: (r[0], r[2], r[3]))
    text = (
        f"Typical blackouts are longest in {printable(name, 40)} for the cause {cause}: "
        f"{median:,} ops at the median, {found.ops_p99:,} at the 99th percentile"
    )
    most, name, cause = max((r[1], r[2], r[3]) for r in rows)
    return f"{text}; the longest of all has {most:,} ops ({printable(name, 40)}, {cause})."


def locked(result: Result) -> str:
    """The highest peak, against its limit, and the exits."""
    peak, name = max((a.rlimit.locked_bytes_peak, n) for n, a in _arms(result))
    if peak == 0:
        return "No arm locks memory for SPE."
    limit = result.arms[name].setup.limit_bytes
    against = "without a limit" if limit is None else f"of {size(limit)} allowed at the start"
    exits = [(a.rlimit.exits, n) for n, a in _arms(result) if a.rlimit.exits]
    text = f"The highest peak is {size(peak)}, {against} ({printable(name, 40)}); "
    if not exits:
        return text + "KVM_EXIT_RLIMIT never fires."
    most, where = max(exits)
    return text + (
        f"KVM_EXIT_RLIMIT fires in {_listed([n for _, n in exits])}, most often in "
        f"{printable(where, 40)}: {number(most)} times over all replications."
    )


def designs(result: Result, tables: Tables) -> str:
    """Who is on both fronts, what the last-exit limits are, and whom the axes flatter."""
    rows = read(DesignRow, tables)
    both = [r for r in rows if r.on_front_memory and r.on_front_time]
    names, verb = [printable(r.arm, 40) for r in both], "is" if len(both) == 1 else "are"
    text = (
        f"{_joined(names)} {verb} on both fronts: no other arm is charged less memory, and none "
        "adds less time, without clearly more loss"
        if both
        else "No arm is on both fronts: who adds less time is charged more memory, or loses more"
    )
    priced = [(r.added_percent, r.arm) for r in rows if r.added_percent is not None]
    if priced:
        least, arm = min(priced, key=lambda x: x[0])
        text += f". {printable(arm, 40)} adds least time, {number(least)} %"
    lasts = {r.last_exit_bytes for r in rows if r.last_exit_bytes is not None}
    if lasts:
        text += f"; KVM_EXIT_RLIMIT never fires in any arm from {size(round(max(lasts)))} on"
    resident = [
        printable(r.arm, 40)
        for r in rows
        if (kept := BACKINGS.get(result.arms[r.arm].setup.backing)) and kept.populates
    ]
    if resident:
        keeps = "keeps" if len(resident) == 1 else "keep"
        text += (
            f". {_joined(resident)} {keeps} all guest memory resident, charged or not, and "
            "populating it before the first run is not in the time"
        )
    return text + "."


CHANCE = 0.01
"""Probability that chance alone calls a point of a whole report off its curve."""
WORDS = {
    "gap_beyond_ops": "mean gap",
    "count_dispersion": "dispersion of counts",
    "collided_fraction": "collisions",
    "lost_fraction": "loss of ops",
    "biased_share_error_pp": "error of the share most biased",
}
"""Quantities in words."""


def theory(tables: Tables) -> str:
    """How many points there are, which lies farthest off, and whether chance does that."""
    found = points(tables)
    if not found:
        return "No closed form holds for an arm of this run: see why below."
    judged = [(_chance(r.z, r.n), r.z, r) for r in found if r.z is not None]
    text = f"{len(found)} points on closed forms, none of them fitted"
    if not judged:
        return f"{text}; one replication has no standard error to judge them by."
    chance, z, worst = min(judged, key=lambda x: x[0])
    where = f"{WORDS[worst.quantity]} of {printable(worst.arm, 40)}"
    off = (
        "off without any variance"
        if math.isinf(z)
        else f"{number(abs(z))} standard errors of {worst.n} replications off"
    )
    if chance * len(judged) >= CHANCE:
        return (
            f"{text}: the farthest is {off} ({where}), no more than chance does to one of so many."
        )
    gap = 100 * abs(worst.simulated - worst.theory) / (abs(worst.theory) or 1)
    return (
        f"{text}: one is {off} ({where}), by {number(gap)} % of the form, more than chance does to "
        "one of so many."
    )


def _chance(z: float, n: int) -> float:
    """Probability that a point on its curve lies as far off, by Student's t over replications."""
    return 2 * (1 - t_cdf(abs(z), n - 1))


def conditions(tables: Tables) -> tuple[str, ...]:
    """Each quantity and failed condition once, with the arms that it concerns."""
    arms: dict[tuple[str, str, str], list[str]] = {}
    for r in read(TheoryRow, tables):
        if r.arm and r.condition:
            key = (r.row, r.quantity, r.condition)
            arms.setdefault(key, []).append(printable(r.arm, 40))
    return tuple(
        f"{WORDS[quantity]} (row {row}), {', '.join(names)}: {condition}"
        for (row, quantity, condition), names in arms.items()
    )
