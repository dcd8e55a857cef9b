"""Bands of loss and skew over the UNVERIFIED times: what the interrupt's latency does to both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.fidelity import losses, openness
from sim.runs import batch
from sim.runs.batch import ArmResult
from sim.scenario.files.loader import load

TEXT = """
name: open
replications: 2
workload: {kind: synthetic, phases: [{name: a, length: 100, iterations: 100000, cpi_millis: 1000}]}
spe: {interval: 1024ops, jitter: "on"}
driver: {aux: 8KiB}
vm: {exits: none}
%s
arms: [baremetal, v6]
"""


def _arms(tmp_path: Path, more: str = "") -> dict[str, ArmResult]:
    path = tmp_path / "open.yaml"
    path.write_text(TEXT % more)
    return {arm.arm.name: arm for arm in batch.run(load(path), band=True)}


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ArmResult]:
    """Both with everything open."""
    return _arms(tmp_path_factory.mktemp("open"))


def test_loss_follows_the_interrupts_latency(arms: dict[str, ArmResult]) -> None:
    """200 ns to a mean of 2 µs around 500 ns: a buffer-full blackout is as long, in every arm."""
    for arm in arms.values():
        band, here = openness.loss(arm), losses.total_loss(arm).mean
        assert band is not None
        assert here is not None
        assert band.low / here == pytest.approx(0.4, rel=0.02)
        assert 2.5 < band.high / here < 5.5


def test_skew_has_a_band_too(arms: dict[str, ArmResult]) -> None:
    """One symbol cannot be skewed."""
    for arm in arms.values():
        assert openness.skew(arm) == openness.Ends(0.0, 0.0)


def test_a_time_that_the_scenario_sets_is_known(tmp_path: Path) -> None:
    """Loss has no width once the latency is given: nothing else that is open reaches it here."""
    arm = _arms(tmp_path, "parameters: {t_irq_latency: 500ns}")["baremetal"]
    band = openness.loss(arm)
    assert band is not None
    assert band.low == band.high == losses.total_loss(arm).mean


def test_no_band_where_other_ops_were_executed(arms: dict[str, ArmResult]) -> None:
    """Control: a run at an end that stopped earlier cannot be compared, nor one that is missing."""
    arm = arms["v6"]
    assert arm.band is not None
    vcpu = arm.band.high.vcpus[0]
    short = replace(arm.band.high, vcpus=(replace(vcpu, ended_at_op=vcpu.ended_at_op - 1),))
    assert openness.loss(replace(arm, band=replace(arm.band, high=short))) is None
    assert openness.loss(replace(arm, band=None)) is None


def test_the_tail_is_in_the_band(arms: dict[str, ArmResult]) -> None:
    """The high end draws from an exponential: some blackouts are over three times its mean."""
    arm = arms["baremetal"]
    assert arm.band is not None
    stops = arm.band.high.vcpus[0].blackouts["full"]
    assert stops.ops_max > 3 * 6_000  # ops in 2 µs
    assert stops.ops / stops.count == pytest.approx(6_000, rel=0.3)
