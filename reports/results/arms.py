"""What several rooms read off an arm of a result: its rival, its skew, its times by cause."""

from __future__ import annotations

from typing import Literal

from analysis.fidelity.losses import same_order
from analysis.statistics.answers import Answer, Kind, answer, short, worst
from reports.results.metric import Metric
from reports.results.result import Arm, Result
from reports.text import milliseconds


def reference_arm(result: Result) -> Arm | None:
    """The reference arm, which the others are compared with; None if there is none."""
    name = result.reference_arm
    return None if name is None else result.arms[name]


FEWEST_DESIGNS = 4
"""Different designs from which they are set side by side."""


def several_designs(result: Result) -> bool:
    """True if a run compares designs rather than settings of one."""
    designs = {arm.design for arm in result.arms.values() if arm.setup.virtual}
    return len(designs) >= FEWEST_DESIGNS


def verdict(arm: Arm) -> Answer:
    """The verdict about an arm's profile: its worst level against the truth."""
    return answer_at(arm, arm.skew.level)


def answer_at(
    arm: Arm, level: Literal["symbol", "pc"], against: Literal["truth", "baremetal"] = "truth"
) -> Answer:
    """The answer of one level, made again from the numbers."""
    found: Metric = getattr(getattr(arm.skew, against), level)
    made = answer(found.mean, found.ci95, arm.skew.margin, n=found.n)
    return short(made, arm.skew.short) if arm.skew.short else made


LEVELS: dict[Literal["symbol", "pc"], str] = {"symbol": "by symbol", "pc": "by instruction"}
"""Where skew is judged, and how that is said."""


def from_baremetal(arm: Arm) -> Answer:
    """How far its mean profile is from baremetal's, at the level where that is worse."""
    return worst(*(answer_at(arm, level, "baremetal") for level in LEVELS))


def verdict_words(arm: Arm) -> str:
    """The verdict in words, with the level where that matters."""
    found = verdict(arm)
    at = LEVELS[arm.skew.level] if found.effect is not None else ""
    if found.kind in (Kind.SKEWED, Kind.OPEN) and at:
        return f"{at}: {found.words()}"
    return found.words()


FEWEST_GAPS = 20
"""Mean gaps between selections from which a run's time is that of its code."""


def brief(arm: Arm) -> bool:
    """True if a run is so short that starting the event is most of its time."""
    return arm.ended_at_op < FEWEST_GAPS * arm.setup.interval_ops


def causes_of(arm: Arm) -> tuple[str, ...]:
    """What may put samples in the wrong place, unless none are."""
    return arm.skew.causes if verdict(arm).kind in (Kind.SKEWED, Kind.OPEN) else ()


def time_by_cause(arm: Arm) -> dict[str, float]:
    """Wall time by cause, ms, mean over replications and vCPUs; `wall` and `running` included."""
    setup = arm.setup
    share = max(1, len(arm.replications) * setup.vcpus)
    return {
        cause: milliseconds(ticks, setup.clock_hz) / share
        for cause, ticks in arm.ledger.time.items()
    }


def time_added(arm: Arm) -> dict[str, float]:
    """Time by cause beyond baremetal's over equal ops, ms, largest first."""
    extra = {c: x.here_ms for c, x in arm.time_band.items() if c != "total" and x.here_ms}
    return dict(sorted(extra.items(), key=lambda x: (-abs(x[1]), x[0])))


def harmless_loss(arm: Arm, base: Arm) -> bool:
    """True if an arm that ran to its end loses no more than baremetal, within a factor of 3."""
    if arm.ended_at_op < arm.setup.stream_ops:
        return False
    a, b = arm.loss.total.mean, base.loss.total.mean
    return a is not None and b is not None and same_order(a, b)


_SETTINGS = (
    ("stream", "workload"),
    ("stream_ops", "operations"),
    ("interval_ops", "spe.interval"),
    ("jitter", "spe.jitter"),
    ("restart", "spe.restart"),
    ("aux_bytes", "driver.aux"),
    ("page_bytes", "vm.granule"),
    ("vcpus", "vm.vcpus"),
    ("clock_hz", "cpu.clock"),
    ("selection", "spe.selection"),
)
"""What baremetal has too, so that a difference in it is none of the design."""


def other_settings(arm: Arm, base: Arm | None) -> list[str]:
    """``vm.vcpus 2, there 1``: what differs from the reference arm beside the design."""
    if base is None or arm is base:
        return []
    pairs = [(words, getattr(arm.setup, k), getattr(base.setup, k)) for k, words in _SETTINGS]
    return [f"{words} {_plain(a)}, there {_plain(b)}" for words, a, b in pairs if a != b]


def _plain(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value) or "none"
