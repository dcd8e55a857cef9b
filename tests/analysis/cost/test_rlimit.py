"""Locked memory: limits from the trace of a run, checked by running with those limits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from analysis.cost import rlimit
from sim.results import MAX_POINTS, LockedPoint, RunResult
from sim.runs import batch
from sim.runs.batch import ArmResult
from sim.scenario.files import loader
from tests.rigs.fakes import Plan, arm

pytestmark = pytest.mark.usefixtures("own_folder")

TEXT = """\
name: limits
replications: 2
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 30000}]}
spe: {jitter: on}
driver: {aux: 64KiB}
switch: {every: 200us, away: 10us}
vm: {vcpus: 3, max_buffer: unlimited, memory: 1GiB}
"""
V6 = "{name: v6, design: v6, policies: {%s}, overrides: {host.memlock: %dB%s}}"


@cache
def ran(limit: int, policies: str = "", overrides: str = "") -> ArmResult:
    """v6 on three vCPUs with a limit."""
    path = Path("limits.yaml")
    path.write_text(TEXT + "arms:\n  - " + V6 % (policies, limit, overrides) + "\n")
    return batch.run(loader.load(path))[0]


OVERRIDES = ["", ", vm.max_buffer: 32KiB"]


@pytest.mark.parametrize("overrides", OVERRIDES)
def test_no_exit_at_the_last_limit(overrides: str) -> None:
    """None at the limit, at least one with a byte less; three vCPUs."""
    found = ran(4096, "", overrides)
    for index, run in enumerate(found.runs):
        last = rlimit.exit_limits(found, run).last
        assert last is not None
        assert ran(last, "", overrides).runs[index].rlimit.exits == 0
        assert ran(last - 1, "", overrides).runs[index].rlimit.exits >= 1


def first_charge(run: RunResult) -> LockedPoint:
    """The first growth at an enable edge."""
    reserved, _ = rlimit.growth(run.locked)
    return next(p for p in run.locked if p.t > 0 and p.locked_bytes > reserved)


@pytest.mark.parametrize("overrides", OVERRIDES)
def test_the_first_charge_exits_below_the_first_limit(overrides: str) -> None:
    """At the limit it is charged as it is; with a byte less the VMM has raised the limit before."""
    found = ran(4096, "", overrides)
    for index, run in enumerate(found.runs):
        first = rlimit.exit_limits(found, run).first
        assert first is not None
        assert first_charge(ran(first, "", overrides).runs[index]).limit_bytes == first
        raised = ran(first - 1, "", overrides).runs[index]
        assert first_charge(raised).limit_bytes >= first
        assert raised.rlimit.exits > 0


def test_exits_are_those_of_a_run_with_that_limit() -> None:
    """Exact for one vCPU; with three that are over the limit together, the fewest."""
    for vcpus in (1, 3):
        found = ran(4096, "", f", vm.vcpus: {vcpus}")
        for index, run in enumerate(found.runs):
            steps = rlimit.growth(run.locked)[1]
            for limit in {step + off for step in steps for off in (-1, 0)}:
                exits = ran(limit, "", f", vm.vcpus: {vcpus}").runs[index].rlimit.exits
                least = rlimit.exits_at(run, limit)
                assert exits == least if vcpus == 1 else exits >= least
                assert (exits == 0) == (least == 0)


def test_a_limit_may_be_of_no_consequence() -> None:
    """The configuration charge covers the enables; CAP_IPC_LOCK; no accounting; a refusal."""
    covered = ran(4096, "", ", vm.max_buffer: 64KiB")
    privileged = ran(4096, "", ", host.cap_ipc_lock: true")
    free = ran(4096, "accounting: none")
    refused = ran(4096, "vmm: refuse_kill")
    for found in (covered, privileged, free, refused):
        for run in found.runs:
            assert rlimit.exit_limits(found, run) == rlimit.ExitLimits(None, None)
        assert rlimit.metrics(found)["last_exit_limit"].mean is None
    assert covered.runs[0].rlimit.config_enomem > 0
    assert refused.runs[0].rlimit.exits > 0
    assert rlimit.limits_table([covered, refused]).frame().empty


def test_frame_of_limits_steps_down_to_no_exit() -> None:
    """From limit 0 on the exits fall one by one to 0."""
    found = ran(4096)
    frame = rlimit.limits_table([found]).frame()
    for _, rows in frame.groupby("replication"):
        assert list(rows["exits"]) == list(range(len(rows) - 1, -1, -1))
        assert rows["limit_bytes"].is_monotonic_increasing


def test_rates_are_ratios_of_counts() -> None:
    """Exits per enable, per second and per vCPU from a run's own numbers."""
    found = ran(4096)
    metrics = rlimit.metrics(found)
    first, second = (run.rlimit for run in found.runs)
    expected = (first.exits / first.enables + second.exits / second.enables) / 2
    assert metrics["exits_per_enable"].mean == pytest.approx(expected)
    assert metrics["exits_per_vcpu"].mean == (first.exits + second.exits) / 2 / 3
    seconds = [run.wall / 64 / 3e9 for run in found.runs]
    rate = (first.exits / seconds[0] + second.exits / seconds[1]) / 2
    assert metrics["exits_per_second"].mean == pytest.approx(rate)


def test_mean_locked_memory_is_an_area() -> None:
    """1 page for a quarter of the time, 3 pages for the rest; a trace that was cut has none."""
    run = replace(arm(Plan()).runs[0], wall=400)
    points = (LockedPoint(0, 4096, 1), LockedPoint(100, 3 * 4096, 1))
    assert rlimit.locked_mean(replace(run, locked=points)) == 4096 * 2.5
    cut = tuple(LockedPoint(t, 4096, 1) for t in range(MAX_POINTS))
    assert rlimit.truncated(replace(run, locked=cut))
    assert rlimit.locked_mean(replace(run, locked=cut)) != rlimit.locked_mean(run)
    assert rlimit.locked_mean(replace(run, locked=())) == 0
    assert len(rlimit.locked_table([arm(Plan(name="v6", design="v6", pin_ticks=5))]).frame()) == 20
