"""An arm of a result: its ledgers, blackouts, bounds, or none of them."""

from __future__ import annotations

import re

import pytest

from reports.results import result, shapes
from reports.results.arms import other_settings
from reports.results.damage import DamagedError
from reports.results.metric import Metric
from sim.ledger import LOSS_LABELS
from tests.rigs.fakes import OPS, Plan
from tests.rigs.samples import PLANS, changed, described, plain


def test_losses_are_the_ledger_s() -> None:
    """The class has the labels of a loss that the model has, in its order."""
    arm = described(PLANS[:1]).arms["baremetal"]
    assert tuple(arm.loss.labels) == tuple(label.value for label in LOSS_LABELS)


def test_a_twin_has_no_twin() -> None:
    """Twins do not nest, however the file was changed."""
    broken = plain()
    arm = broken["arms"]["v6"]
    broken["arms"]["v6"] = arm | {"hold": arm | {"hold": arm}}
    with pytest.raises(DamagedError, match=re.escape("arms.v6.hold.hold: must be null")):
        result.of_json(broken)


def test_totals_are_sums_of_replications() -> None:
    """Ledger totals are integers over replications and vCPUs, and keep the laws."""
    found = described((Plan(lost=7, vcpus=2, replications=3),)).arms["baremetal"]
    ops = found.ledger.ops
    assert ops["executed"] == 2 * 3 * OPS
    assert ops["executed"] == sum(v for k, v in ops.items() if k != "executed")
    for part, entries in shapes.items(found.ledger):
        for entry, total in entries.items():
            each = [getattr(r.ledger, part)[entry] for r in found.replications]
            assert total == sum(each)


def test_blackouts_and_rlimit_are_described() -> None:
    """Counts, sums, quantiles, and peaks."""
    arm = described().arms["v6"]
    blackouts = arm.blackouts["irq_delivery_full"]
    assert (blackouts.count, blackouts.ops, blackouts.ops_mean) == (10, 1000, 100)
    assert blackouts.ops_p50 <= 100 <= blackouts.ops_max
    assert arm.rlimit.exits == 20
    assert arm.rlimit.locked_bytes_peak == 2 << 20


def test_arm_without_samples_has_no_distances() -> None:
    """No samples: metrics are null, not zero."""
    view = described().arms["silent"].profile.symbol
    assert view.tvd_vs_truth == Metric(None, None, 0, "fraction")


def test_upper_bounds_are_marked() -> None:
    """Only virtual arms whose unmapping no host has been seen to do."""
    arms = described().arms
    assert [n for n, a in arms.items() if a.setup.upper_bound] == ["unpinned-cold"]


def test_what_differs_beside_the_design_is_told() -> None:
    """A larger buffer; nothing of arms alike, of the reference arm, or without one."""
    result = changed(described(), v6={"setup.aux_bytes": 1 << 20, "setup.jitter": "on"})
    base = result.arms["baremetal"]
    assert other_settings(result.arms["v6"], base) == [
        "spe.jitter on, there off",
        "driver.aux 1,048,576, there 4,194,304",
    ]
    assert other_settings(result.arms["silent"], base) == []
    assert other_settings(base, base) == other_settings(base, None) == []
