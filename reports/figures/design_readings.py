"""The designs side by side: which arms are shown, and a sentence about them."""

from __future__ import annotations

from collections.abc import Mapping

from reports.figures.readings import joined
from reports.results.result import Result
from reports.store.csvdata import Table
from reports.text import number, printable, size
from sim.policies.backings import BACKINGS

FEWEST_DESIGNS = 4
"""Different designs from which they are set side by side."""


def several(result: Result) -> bool:
    """True if a run compares designs rather than settings of one."""
    designs = {arm.design for arm in result.arms.values() if arm.setup.virtual}
    return len(designs) >= FEWEST_DESIGNS


def designs(result: Result, tables: Mapping[str, Table]) -> str:
    """Who is on both fronts, what the last-exit limits are, and whom the axes flatter."""
    rows = list(tables["designs"].records())
    both = [r for r in rows if r["on_front_memory"] and r["on_front_time"]]
    names, verb = [printable(r["arm"], 40) for r in both], "is" if len(both) == 1 else "are"
    text = (
        f"{joined(names)} {verb} on both fronts: no other arm is charged less memory, and none "
        "adds less time, without clearly more loss"
        if both
        else "No arm is on both fronts: who adds less time is charged more memory, or loses more"
    )
    cheap = min(
        (r for r in rows if r["added_percent"] is not None),
        key=lambda r: r["added_percent"],
        default=None,
    )
    if cheap is not None:
        text += (
            f". {printable(cheap['arm'], 40)} adds least time, {number(cheap['added_percent'])} %"
        )
    lasts = {r["last_exit_bytes"] for r in rows if r["last_exit_bytes"] is not None}
    if lasts:
        text += f"; KVM_EXIT_RLIMIT never fires in any arm from {size(round(max(lasts)))} on"
    resident = [
        printable(r["arm"], 40)
        for r in rows
        if (kept := BACKINGS.get(result.arms[r["arm"]].setup.backing)) and kept.populates
    ]
    if resident:
        keeps = "keeps" if len(resident) == 1 else "keep"
        text += (
            f". {joined(resident)} {keeps} all guest memory resident, charged or not, and "
            "populating it before the first run is not in the time"
        )
    return text + "."
