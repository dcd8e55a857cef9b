"""Three sentences per arm that a busy reviewer can quote: loss, skew, cost. Made from the numbers.

Each sentence stands alone, carries its interval, and says what it cannot say.
"""

from __future__ import annotations

from analysis.statistics.answers import Answer, Kind
from reports.pages.summary import life_text
from reports.results.arms import (
    LEVELS,
    brief,
    causes_of,
    from_baremetal,
    reference_arm,
    time_added,
    time_by_cause,
    verdict,
)
from reports.results.result import Arm, Result
from reports.store.rows import PerturbationRow, Tables, read
from reports.text import number, percent, printable, size, with_interval

NAME = 40
CAUSES = {
    "event_disabled": "after the event was disabled",
    "pin_refused": "because the VMM refused to pin",
    "irq_masked": "while interrupts were masked",
    "irq_wait_for_exit": "while the interrupt waited for an exit",
    "irq_delivery_full": "while the interrupt of a full buffer was on its way",
    "irq_delivery_fault": "while the interrupt of a stage 2 fault was on its way",
    "virq_delivery": "while the virtual interrupt waited for the guest",
}
"""When the ops of a loss label were executed."""


SPENT = {
    "handler": "interrupt handlers",
    "ordinary_exit": "ordinary exits",
    "trap": "trapped registers",
    "fault": "stage 2 faults",
    "walk": "walking tables",
    "pin": "pinning",
    "map": "mapping",
    "unpin": "unpinning",
    "copy": "copying records",
    "inject": "injecting interrupts",
    "vmm": "the VMM",
    "task_off_cpu": "waiting off the CPU",
    "guest_kernel": "the guest's driver",
    "reader": "perf's reader",
    "steal": "waiting for a physical CPU",
    "downtime": "downtime of the migration",
    "idle": "idling",
}
"""What time of a cause is spent on."""
NEARLY = 0.995
"""A part of the loss from which the rest is not told."""
SECOND = 0.1
"""A part of the loss from which a second cause is named."""


def of_arm(name: str, result: Result, tables: Tables) -> tuple[str, str, str]:
    """What is lost, whether the profile is skewed, what it costs."""
    arm, base = result.arms[name], reference_arm(result)
    whole = next(
        (r for r in read(PerturbationRow, tables) if (r.arm, r.cause) == (name, "all")), None
    )
    return (
        _loss(printable(name, NAME), arm, base),
        _skew(arm, base),
        _cost(arm, whole),
    )


def _loss(name: str, arm: Arm, base: Arm | None) -> str:
    total = arm.loss.total
    bound = "As an upper bound, " if arm.setup.upper_bound else ""
    if total.mean is None:
        return f"{bound}{name} executes no operation that could be sampled."
    until = " until it ends" if _ended_early(arm) else ""
    if total.mean == 0:
        return f"{bound}{name} loses no operation{until}."
    text = (
        f"{bound}{name} loses {with_interval(total, 100, '%')} of the operations that it should "
        f"sample{until}, {_causes(arm)}"
    )
    if arm.life is not None:
        text += f"; the event dies after {life_text(arm.life)}"
    if base is None or arm is base or base.loss.total.mean is None:
        return text + "."
    return f"{text}; baremetal loses {percent(base.loss.total.value)}."


def _ended_early(arm: Arm) -> bool:
    return bool(arm.ended_at_op < arm.setup.stream_ops)


def _causes(arm: Arm) -> str:
    """The main cause with its part, and the second one if it is not small."""
    ops = {c: arm.ledger.ops[c] for c in arm.loss.labels}
    (main, most), *others = sorted(((c, n) for c, n in ops.items() if n), key=lambda x: -x[1])
    part = most / sum(ops.values())
    share = "nearly all of it" if part >= NEARLY else f"{100 * part:.0f} % of it"
    text = f"{share if others else 'all of it'} {CAUSES[main]}{_why(main, arm)}"
    if others and (second := others[0][1] / sum(ops.values())) >= SECOND:
        text += f" and {100 * second:.0f} % {CAUSES[others[0][0]]}"
    return text


def _why(cause: str, arm: Arm) -> str:
    """What disabled the event, if windows were too large."""
    if cause != "event_disabled" or not arm.rlimit.oversize_windows:
        return ""
    return " by a buffer size event (its windows are larger than vm.max_buffer)"


def _skew(arm: Arm, base: Arm | None) -> str:
    if arm.profile.symbol.tvd_vs_truth.mean is None:
        return "It has no samples, so it has no profile."
    found = verdict(arm)
    text = _judged(arm, found)
    causes = causes_of(arm)
    if causes and arm.skew.level == "pc":
        text += f": {printable(causes[0])}"
    return f"{text}{'' if arm is base else _beside(arm)}."


def _judged(arm: Arm, found: Answer) -> str:
    at, words = LEVELS[arm.skew.level], found.words()
    return {
        Kind.SKEWED: f"Its profile is {words} {at}",
        Kind.SAME: f"Its profile is the truth's, {words}",
        Kind.OPEN: f"Whether its profile is skewed {at} one {words}",
        Kind.SHORT: f"The run is {words}",
    }[found.kind]


def _beside(arm: Arm) -> str:
    """What baremetal's profile has to do with it."""
    if arm.skew.identical and not arm.skew.short:
        return "; its samples are baremetal's own"
    found = from_baremetal(arm)
    if found.kind is Kind.SKEWED:
        return f"; on average it is {found.size()} from baremetal's"
    if found.kind is Kind.SAME:
        return f"; on average it is {found.terms.same} ±{percent(found.margin)} as baremetal's"
    return ""


def _cost(arm: Arm, whole: PerturbationRow | None) -> str:
    if not arm.setup.virtual:
        times = time_by_cause(arm)
        handler = percent(times["handler"] / times["wall"] if times["wall"] else 0)
        return f"Its interrupt handler takes {handler} of the time; nothing is pinned."
    if whole is None or arm.time_added.mean is None:
        return f"It {_memory(arm)}; its time is not compared with baremetal's."
    if brief(arm):
        return f"It {_memory(arm)}; the run is too short to tell what it costs in time."
    begin = "Until it ends it" if _ended_early(arm) else "It"
    text = f"{begin} adds {with_interval(arm.time_added, 100, '%')} of time{_mainly(arm)}"
    if whole.banded:
        low, _, high = whole.shares()
        text += f" ({percent(low)} to {percent(high)} over UNVERIFIED times)"
    return f"{text}, and {_memory(arm)}."


def _mainly(arm: Arm) -> str:
    """What most of the added time goes to; what comes before the first run is in no total."""
    total = arm.time_band["total"].here_ms
    spent = [(ms, cause) for cause, ms in time_added(arm).items() if cause != "prefault"]
    longest, cause = max(spent, default=(0.0, ""))
    if longest <= 0 or total <= 0:
        return ""
    part = min(1.0, longest / total)
    return f", {100 * part:.0f} % of it on {SPENT[cause]}"


def _memory(arm: Arm) -> str:
    r, limit = arm.rlimit, arm.setup.limit_bytes
    if not r.locked_bytes_peak and not r.exits:
        return "locks no memory"
    against = "without a limit" if limit is None else f"of {size(limit)} allowed at the start"
    return f"locks {size(r.locked_bytes_peak)} {against} (KVM_EXIT_RLIMIT {_fires(arm)})"


def _fires(arm: Arm) -> str:
    r, runs = arm.rlimit, len(arm.replications)
    refused = _times(r.config_enomem / runs) if r.config_enomem else ""
    also = f"; configuration fails {refused} per replication" if refused else ""
    if not r.exits:
        return f"never fires{also}"
    fires = f"fires {_times(r.exits / runs)} per replication"
    return f"{fires}, in {number(r.enables / runs)} enables{also}"


def _times(mean: float) -> str:
    return "once" if mean == 1 else f"{number(mean)} times"
