"""One sentence per figure, computed from the numbers of `result.json`."""

from __future__ import annotations

from typing import Any

from analysis.losses import same_order
from reports.summary import baseline, skew
from reports.text import number, percent, printable, size

Arm = dict[str, Any]
LISTED = 4
"""Arms named in a sentence; the others are counted."""


def _arms(result: dict[str, Any]) -> list[tuple[str, Arm]]:
    return [(name, result["arms"][name]) for name in result["arm_order"]]


def _listed(names: list[str]) -> str:
    shown = [printable(n, 40) for n in names]
    if len(shown) == 1:
        return shown[0]
    if len(shown) > LISTED:
        return f"{', '.join(shown[: LISTED - 1])} and {len(shown) - LISTED + 1} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _ran_through(arm: Arm) -> bool:
    return bool(arm["ended_at_op"] >= arm["setup"]["stream_ops"])


def ledgers(result: dict[str, Any]) -> str:
    """Who loses most, to what, and who loses no more than baremetal."""
    counted = [
        (n, a)
        for n, a in _arms(result)
        if a["loss"]["total"]["mean"] is not None and _ran_through(a)
    ]
    if not counted:
        return "No arm ran to its end with an op of the population."
    name, worst = max(counted, key=lambda x: x[1]["loss"]["total"]["mean"])
    total = worst["loss"]["total"]["mean"]
    if total == 0:
        return "No arm loses an op."
    cause = max((c for c in worst["loss"] if c != "total"), key=lambda c: worst["ledger"]["ops"][c])
    text = f"{printable(name, 40)} loses most, {percent(total)} of ops, mainly to "
    text += f"{cause}"
    base = baseline(result)
    if base is None:
        return text + "."
    reference = base["loss"]["total"]["mean"]
    alike = [
        n for n, a in counted if a is not base and same_order(a["loss"]["total"]["mean"], reference)
    ]
    if alike:
        verb = "loses" if len(alike) == 1 else "lose"
        text += f"; {_listed(alike)} {verb} no more than the order of baremetal's own"
        text += f" {percent(reference)}, and loss is not skew"
    return text + "."


def symbols(result: dict[str, Any]) -> str:
    """Which arms differ from baremetal by more than noise."""
    base = baseline(result)
    others = [(n, a) for n, a in _arms(result) if a is not base]
    found = [n for n, a in others if skew(a) == "detected"]
    judged = [n for n, a in others if skew(a) != "not judged"]
    if not judged:
        return "No arm can be judged against baremetal: see why at each arm below."
    if not found:
        return (
            "No arm's profile is predicted to differ from baremetal's by more than two baremetal "
            f"runs differ from each other ({len(judged)} judged)."
        )
    name = max(found, key=lambda n: result["arms"][n]["profile"]["symbol"]["tvd_excess"]["mean"])
    excess = result["arms"][name]["profile"]["symbol"]["tvd_excess"]["mean"]
    verb = "differs" if len(found) == 1 else "differ"
    return (
        f"{_listed(found)} {verb} from baremetal by more than two baremetal runs differ from each "
        f"other, most of all {printable(name, 40)}: {percent(excess)} of the profile is in the "
        "wrong symbol in excess of noise."
    )


def blackouts(result: dict[str, Any]) -> str:
    """The longest typical blackout, and the longest of all."""
    rows = [
        (b["ops_p50"], b["ops_max"], n, cause, b)
        for n, a in _arms(result)
        for cause, b in a["blackouts"].items()
        if b["count"]
    ]
    if not rows:
        return "There was no blackout."
    median, _, name, cause, found = max(rows, key=lambda r: (r[0], r[2], r[3]))
    text = (
        f"Typical blackouts are longest in {printable(name, 40)} for the cause {cause}: "
        f"{median:,} ops at the median, {found['ops_p99']:,} at the 99th percentile"
    )
    most, name, cause = max((r[1], r[2], r[3]) for r in rows)
    return f"{text}; the longest of all has {most:,} ops ({printable(name, 40)}, {cause})."


def locked(result: dict[str, Any]) -> str:
    """The highest peak, against its limit, and the exits."""
    peak, name = max((a["rlimit"]["locked_bytes_peak"], n) for n, a in _arms(result))
    if peak == 0:
        return "No arm locks memory for SPE."
    limit = result["arms"][name]["setup"]["limit_bytes"]
    against = "without a limit" if limit is None else f"of {size(limit)} allowed at the start"
    exits = [(a["rlimit"]["exits"], n) for n, a in _arms(result) if a["rlimit"]["exits"]]
    text = f"The highest peak is {size(peak)}, {against} ({printable(name, 40)}); "
    if not exits:
        return text + "KVM_EXIT_RLIMIT never fires."
    most, where = max(exits)
    return text + (
        f"KVM_EXIT_RLIMIT fires in {_listed([n for _, n in exits])}, most often in "
        f"{printable(where, 40)}: {number(most)} times over all replications."
    )
