"""The table at a glance: a row of text per arm, for summaries, Markdown and notebooks.

The page draws the same cells in its own way (`firstscreen`).
"""

from __future__ import annotations

from analysis.statistics.answers import Kind
from reports.results.arms import LEVELS, brief, from_baremetal, reference_arm, verdict
from reports.results.result import Arm, Ends, Result
from reports.text import number, percent, printable, size

HEAD = (
    "predicted",
    "ops lost",
    "profile",
    "from baremetal's",
    "time added",
    "locked",
    "RLIMIT exits/run",
    "records",
)
PROFILE = 4
"""Columns of it that are about the profile."""


def rows(result: Result) -> list[tuple[str, ...]]:
    """One row of text per arm, columns HEAD."""
    base = reference_arm(result)
    found = []
    for name in result.arm_order:
        arm = result.arms[name]
        found.append(_row(name, arm, base))
        if arm.hold is not None:
            twin = base if base is None or base.hold is None else base.hold
            found.append(_row(f"{name} (hold)", arm.hold, twin))
    return found


def _row(name: str, arm: Arm, base: Arm | None) -> tuple[str, ...]:
    loss, added, r = arm.loss.total.mean, arm.time_added.mean, arm.rlimit
    virtual = arm.setup.virtual
    mark = " (upper bound)" if arm.setup.upper_bound else ""
    return (
        printable(name, 30) + mark,
        "–" if loss is None else _open(percent(loss), arm.loss_band) + until_end(arm),
        profile_cell(arm),
        "reference" if arm is base else baremetal_cell(arm),
        "–" if arm is base or added is None else TOO_BRIEF if brief(arm) else percent(added),
        size(r.locked_bytes_peak) if virtual else "–",
        number(r.exits_per_run.value) if virtual else "–",
        f"{arm.ledger.delivery['delivered']:,}",
    )


TOO_BRIEF = "too short to tell"


def until_end(arm: Arm) -> str:
    """What stands behind the loss of an arm that ended early."""
    return " (ended)" if arm.ended_at_op < arm.setup.stream_ops else ""


def _open(value: str, band: Ends | None) -> str:
    """A number with its band over the UNVERIFIED times, where that is one."""
    if band is None:
        return value
    low, high = percent(band.low), percent(band.high)
    return value if low == high == value else f"{value} ({low.removesuffix(' %')} to {high})"


def profile_cell(arm: Arm) -> str:
    """The verdict; where instructions decide it is said so."""
    if arm.profile.symbol.tvd_vs_truth.mean is None:
        return "no profile"
    found = verdict(arm)
    decisive = found.kind in (Kind.SKEWED, Kind.OPEN) and arm.skew.level == "pc"
    return found.cell() + (f" {LEVELS['pc']}" if decisive else "")


def baremetal_cell(arm: Arm) -> str:
    """How far the mean profile is from baremetal's: the same samples, or the answer."""
    if arm.skew.short:
        return TOO_BRIEF
    if arm.skew.identical:
        return "identical"
    found = from_baremetal(arm)
    return "–" if found.effect is None else found.cell()
