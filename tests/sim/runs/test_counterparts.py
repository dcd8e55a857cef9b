"""What is run beside the arms of a scenario: twins, prefixes, ends of the band, latencies."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.machine.resolve import machine_spec, stream_of
from sim.runs import batch
from sim.runs.batch import ArmResult
from sim.scenario.models.quantities import ConstantTime
from sim.scenario.parameters import PARAMETERS, span
from tests.sim.runs.scenarios import BASE, loaded


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ArmResult]:
    """The same with restart: resync."""
    scenario = loaded(tmp_path_factory.mktemp("resync"), BASE % ", restart: resync")
    return {a.arm.name: a for a in batch.run(scenario, keep_records=True)}


def test_a_resync_arm_has_its_hold_twin(
    arms: dict[str, ArmResult], twins: dict[str, ArmResult]
) -> None:
    """The twin is the arm as a scenario with hold would run it; a hold arm has none."""
    for name, arm in twins.items():
        assert arms[name].hold is None
        assert arm.hold is not None
        assert arm.hold.arm == arms[name].arm
        for mine, other in zip(arm.hold.runs, arms[name].runs, strict=True):
            for a, b in zip(mine.vcpus, other.vcpus, strict=True):
                assert a.ledgers == b.ledgers
                assert (a.written == b.written).all()
    resync, hold = twins["v6"], arms["v6"]
    assert (resync.runs[0].vcpus[0].written[:9] != hold.runs[0].vcpus[0].written[:9]).any() or (
        resync.runs[0].vcpus[0].ledgers != hold.runs[0].vcpus[0].ledgers
    )


def test_only_arms_that_ended_early_have_a_prefix(arms: dict[str, ArmResult]) -> None:
    """Baremetal stops at the very ops, in this replication and in the next one."""
    assert arms["v6"].prefix is None
    refused = arms["refused"]
    assert refused.prefix is not None
    for r, run in enumerate(refused.runs):
        ends = [v.ended_at_op for v in run.vcpus]
        assert min(ends) < refused.stream.ops
        assert [v.ended_at_op for v in refused.prefix.reference[r].vcpus] == ends
        assert [v.ended_at_op for v in refused.prefix.independent[r].vcpus] == ends
        assert refused.prefix.reference[r].replication == run.replication
        assert refused.prefix.independent[r].replication == (r + 1) % 3
        assert refused.prefix.truth[r].sum() == sum(
            v.ledgers.ops.executed - v.ledgers.ops.as_dict()["not_in_population"] for v in run.vcpus
        )


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("end", [0, 1, 50_000, 333_333, 933_000])
def test_a_stopped_run_is_the_beginning_of_the_whole(engine: str, end: int, tmp_path: Path) -> None:
    """Records of baremetal stopped at op E are the first records of the run to the end.

    One exception: the sample in flight at E is written at E instead of later.
    """
    from sim.machine.machine import simulate
    from sim.machine.run import Run

    arm = loaded(tmp_path, BASE % "").arms[0]
    stream = stream_of(arm.settings)
    spec = machine_spec(arm, stream)
    whole = simulate(spec, (stream,), Run("x", 7, 0, keep_records=True), engine)
    part = simulate(spec, (stream,), Run("x", 7, 0, keep_records=True, stop_at=(end, end)), engine)
    for a, b in zip(part.vcpus, whole.vcpus, strict=True):
        assert a.ended_at_op == min(end, stream.ops)
        assert a.ledgers.ops.executed == a.ended_at_op
        ops = b.written[:, 0]
        assert list(a.written[:, 0]) == list(ops[ops < end])
        assert (a.written[:-1] == b.written[: len(a.written) - 1][: len(a.written)]).all()


def test_the_band_moves_what_is_unverified(arms: dict[str, ArmResult]) -> None:
    """Low < here < high wall time for v6; nothing for the rest of the machine."""
    for name in ("baremetal", "v6"):
        arm = arms[name]
        assert arm.band is not None
        assert set(arm.band.moved) == {n for n, p in PARAMETERS.items() if p.unverified}
        assert arm.band.low.wall < arm.runs[0].wall < arm.band.high.wall
        executed = [v.ledgers.ops.executed for v in arm.runs[0].vcpus]
        assert all(vcpu.lost.size for run in arm.runs for vcpu in run.vcpus)
        for end in (arm.band.low, arm.band.high):
            assert not any(vcpu.lost.size for vcpu in end.vcpus)  # nobody asks where
            assert [v.ledgers.ops.executed for v in end.vcpus] == executed
    band = arms["v6"].band
    assert band is not None
    assert band.unmapping is not None
    assert band.unmapping.wall > band.high.wall
    assert arms["baremetal"].band is not None
    assert arms["baremetal"].band.unmapping is None


def test_every_unverified_time_has_two_ends() -> None:
    """The range of each begins LOW to HIGH, with the default between them."""
    for name, parameter in PARAMETERS.items():
        if parameter.unverified:
            low, high = span(name)
            assert isinstance(low, ConstantTime)
            assert isinstance(high, ConstantTime)
            assert low.value < high.value, name
