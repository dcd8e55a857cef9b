"""Three sentences per arm that a busy reviewer can quote: loss, skew, cost. Made from the numbers.

Each sentence stands alone, carries its interval, and says what it cannot say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.csvdata import Table
from reports.summary import baseline, skew, time_by_cause
from reports.text import number, percent, printable, size, with_interval

Arm = dict[str, Any]
Result = Mapping[str, Any]
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


def sentences(name: str, result: Result, tables: Mapping[str, Table]) -> tuple[str, str, str]:
    """What is lost, whether the profile is skewed, what it costs."""
    arm, base = result["arms"][name], baseline(result)
    whole = [r for r in tables["perturbation"].of(name) if r["cause"] == "all"]
    return (
        _loss(printable(name, NAME), arm, base),
        _skew(arm, base),
        _cost(arm, whole[0] if whole else None),
    )


def _loss(name: str, arm: Arm, base: Arm | None) -> str:
    total = arm["loss"]["total"]
    bound = "As an upper bound, " if arm["setup"]["upper_bound"] else ""
    if total["mean"] is None:
        return f"{bound}{name} executes no operation that could be sampled."
    if total["mean"] == 0:
        return f"{bound}{name} loses no operation."
    ops = arm["ledger"]["ops"]
    causes = [c for c in arm["loss"] if c != "total" and ops[c]]
    main = max(causes, key=lambda c: ops[c])
    part = ops[main] / sum(ops[c] for c in causes)
    share = "all of it" if len(causes) == 1 else f"{percent(part)} of it"
    text = (
        f"{bound}{name} loses {with_interval(total, 100, '%')} of the operations that it should "
        f"sample, {share} {CAUSES[main]}{_why(main, arm)}"
    )
    if base is None or arm is base or base["loss"]["total"]["mean"] is None:
        return text + "."
    return f"{text}; baremetal loses {percent(base['loss']['total']['mean'])}."


def _why(cause: str, arm: Arm) -> str:
    """What disabled the event, if windows were too large."""
    if cause != "event_disabled" or not arm["rlimit"]["oversize_windows"]:
        return ""
    return " by a buffer size event (its windows are larger than vm.max_buffer)"


def _skew(arm: Arm, base: Arm | None) -> str:
    view = arm["profile"]["symbol"]
    if arm["ended_at_op"] < arm["setup"]["stream_ops"]:
        why = printable(arm["verdict"]) or "it ended early"
        return (
            f"Its profile is not judged: it ended at operation {arm['ended_at_op']:,} of "
            f"{arm['setup']['stream_ops']:,} ({why})."
        )
    if view["tvd_vs_truth"]["mean"] is None:
        return "It has no samples, so it has no profile."
    if arm is base:
        return (
            f"Its profile is {percent(view['tvd_vs_truth']['mean'])} from the truth by symbol, "
            f"where perfect sampling of as many operations would be "
            f"{percent(view['tvd_truth_floor']['mean'])} away."
        )
    return _against(arm)


def _against(arm: Arm) -> str:
    view, found = arm["profile"]["symbol"], skew(arm)
    shares = arm["shares_verdict"]
    margin = f"shares within ±{number(shares['margin'])} percentage points: {shares['status']}"
    if found == "identical":
        return f"Its samples are baremetal's own, so its profile is identical ({margin})."
    if found == "not judged":
        return "Its profile is not judged: that needs a comparable baremetal arm and replications."
    excess = with_interval(view["tvd_excess"], 100, "%")
    if found == "detected":
        return (
            f"Its profile is skewed: {excess} of it is in the wrong symbol beyond what two "
            f"baremetal runs differ by ({margin})."
        )
    return (
        f"No skew is detected: its profile is {percent(view['tvd_vs_baremetal']['mean'])} from "
        f"baremetal's by symbol, where two baremetal runs are "
        f"{percent(view['tvd_noise_floor']['mean'])} apart, {excess} in excess ({margin})."
    )


def _cost(arm: Arm, whole: Mapping[str, Any] | None) -> str:
    if not arm["setup"]["virtual"]:
        times = time_by_cause(arm)
        handler = percent(times["handler"] / times["wall"] if times["wall"] else 0)
        return f"Its interrupt handler takes {handler} of the time; nothing is pinned."
    if whole is None or arm["time_added"]["mean"] is None:
        text = "Its time is not compared with baremetal's"
    else:
        text = f"It adds {with_interval(arm['time_added'], 100, '%')} of time"
        base = whole["wall_ms"] - whole["added_ms"]
        if whole["highest_ms"] is not None and whole["highest_ms"] > whole["lowest_ms"]:
            low, high = (percent(whole[k] / base) for k in ("lowest_ms", "highest_ms"))
            text += f" ({low} to {high} over UNVERIFIED times)"
    return f"{text}, {_memory(arm)}."


def _memory(arm: Arm) -> str:
    r, limit = arm["rlimit"], arm["setup"]["limit_bytes"]
    if not r["locked_bytes_peak"] and not r["exits"]:
        return "and locks no memory"
    against = "without a limit" if limit is None else f"of {size(limit)} allowed at the start"
    fires = f"fires {r['exits']:,} times in {r['enables']:,} enables" if r["exits"] else (
        "never fires"
    )  # fmt: skip
    return f"locks {size(r['locked_bytes_peak'])} {against}, and KVM_EXIT_RLIMIT {fires}"
