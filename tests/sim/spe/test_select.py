"""Neoverse N1 erratum 1694299: too many samples on branch targets, too few closely after."""

from __future__ import annotations

import numpy as np
import pytest

from sim import draws
from sim.machine.resolve import machine_spec
from sim.results import VcpuResult
from sim.scenario.files.loader import stock_folder
from sim.scenario.models.scenario import DESIGNS, Arm, Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.spe.select import TargetBias, target_distances
from sim.workload.arrays import LEVEL_STRIDE
from sim.workload.index import recorded_stream
from sim.workload.synthetic import synthetic_stream
from tests.rigs.machines import agreed, vary
from tests.rigs.tiny import call

LENGTH, REACH = 61, 5
LOOP = Synthetic(
    kind="synthetic",
    phases=(Phase(name="loop", length=LENGTH, iterations=40_000, cpi_millis=1000),),
)
STREAM = synthetic_stream(LOOP, core="neoverse-n1", exclude_kernel=True, micro_ops=False)


def _run(per_mille: int) -> VcpuResult:
    settings = Settings.model_validate(
        {
            "workload": LOOP,
            "spe": {
                "interval": "256ops",
                "min_interval": "256ops",
                "jitter": "on",
                "in_flight": 4,
                "target_bias_per_mille": per_mille,
                "target_bias_reach": REACH,
            },
        }
    )
    arm = Arm(
        name="arm", design="baremetal", policies=DESIGNS["baremetal"].policies, settings=settings
    )
    spec = vary(machine_spec(arm, STREAM), random_start=False)
    return agreed(spec, STREAM).vcpus[0]


def _by_offset(vcpu: VcpuResult) -> list[int]:
    counts = vcpu.profile.reshape(-1, LEVEL_STRIDE).sum(axis=1)
    return [int(n) for n in counts]


def test_samples_move_to_the_target_and_nowhere_else() -> None:
    """At 1000 per mille the ops closely after the target have none, and the target has theirs."""
    plain, biased = _by_offset(_run(0)), _by_offset(_run(1000))
    assert sum(plain) == pytest.approx(sum(biased), rel=0.01)
    assert biased[1 : REACH + 1] == [0] * REACH
    assert biased[0] == pytest.approx((REACH + 1) * np.mean(plain), rel=0.15)
    assert biased[REACH + 1 :] == pytest.approx(plain[REACH + 1 :], rel=0.5, abs=20)


def test_the_share_is_the_parameter() -> None:
    """Half of the selections slip: half of the samples are missing after the target."""
    plain, half = _by_offset(_run(0)), _by_offset(_run(500))
    assert sum(half[1 : REACH + 1]) / sum(plain[1 : REACH + 1]) == pytest.approx(0.5, abs=0.1)


def test_a_slip_is_a_hash_of_the_op() -> None:
    """The same op slips or not in every arm."""
    bias = TargetBias(draws.key(1, 0, 0, "target_bias"), 300, np.zeros(1, np.uint8))
    seen = [bias.slips(op) for op in range(20_000)]
    assert sum(seen) == pytest.approx(6_000, rel=0.05)
    assert seen[:50] == [bias.slips(op) for op in range(50)]


def test_distances_count_from_the_begin_of_loops_and_blocks() -> None:
    """0 at a target and beyond the reach; in a recorded stream every block begins one."""
    assert target_distances(STREAM, REACH).tolist()[: REACH + 3] == [0, 1, 2, 3, 4, 5, 0, 0]
    mix = recorded_stream(
        stock_folder() / "streams" / "mix.spestream",
        repeat=1,
        core="neoverse-n1",
        exclude_kernel=True,
        micro_ops=False,
        overlay=None,
        clock_hz=3_000_000_000,
    )
    found = target_distances(mix, REACH)
    assert found.max() == REACH
    steps = np.diff(found.astype(int))
    assert set(np.unique(steps)) <= {*range(-REACH, 1), 1}
    assert (found == 0).sum() > 20


def test_it_is_off_and_said_to_be_unverified() -> None:
    """Off by default, in every preset; `show` and the parameters page carry the badge."""
    assert Settings.model_validate({"workload": LOOP}).spe.target_bias_per_mille == 0
    done = call("explain", "target_bias")
    assert done.exit_code == 0, done.output
    assert "UNVERIFIED" in done.output
