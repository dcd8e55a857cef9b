"""What several rooms read off an arm of a result: its rival, its skew, its times by cause."""

from __future__ import annotations

from analysis.fidelity.losses import same_order
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


def skew(arm: Arm) -> str:
    """`none detected`, `detected`, `identical`, `one symbol` or `not judged`, by symbol.

    Samples are baremetal's own if instruction for instruction each replication is exactly as far
    from another baremetal run as baremetal is.
    """
    symbol, pc = arm.profile.symbol, arm.profile.pc
    excess = symbol.tvd_excess
    if excess.low is None:
        return "not judged"
    if _is_zero(excess) and _is_zero(pc.tvd_excess) and pc.tvd_noise_floor.mean:
        return "identical"
    if not symbol.tvd_noise_floor.mean and not symbol.tvd_vs_truth.mean:
        return "one symbol"
    return "detected" if excess.low > 0 else "none detected"


def _is_zero(metric: Metric) -> bool:
    return metric.mean == 0 and metric.exact


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
