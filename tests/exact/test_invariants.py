"""What must hold for every design, policy and host pressure, on random machines."""

from __future__ import annotations

import random
from bisect import bisect_right
from functools import cache

import pytest

from sim.machine.machine import simulate
from sim.machine.run import Run
from sim.machine.spec import MachineSpec
from sim.results import RunResult, VcpuResult
from sim.scenario.models.designs import DESIGNS
from tests.exact import random_machines as made

SEEDS = range(40_000, 40_150)


@cache
def _runs() -> list[tuple[int, MachineSpec, RunResult]]:
    found = []
    for seed in SEEDS:
        r = random.Random(seed)
        stream = made.stream(r, dense=True)
        spec = made.spec(r, stream, dense=True)
        found.append((seed, spec, simulate(spec, (stream,), Run("x", seed, 0, True, True))))
    return found


def _blind(vcpu: VcpuResult) -> list[tuple[int, int]]:
    """Intervals of wall time from S = 1 to profiling again."""
    found, since = [], -1
    for t, what, _ in vcpu.log:
        if what in ("FULL", "FAULT") and since < 0:
            since = t
        elif what == "profiled" and since >= 0:
            found.append((since, t))
            since = -1
    return found + ([(since, 1 << 62)] if since >= 0 else [])


def test_the_runs_reach_every_backing_and_every_end() -> None:
    """A control: all designs, exits, kills and live-locks are among the machines."""
    backings = {spec.policies.backing for _, spec, _ in _runs() if spec.policies.virtual}
    assert backings == {d.policies.backing for d in DESIGNS.values()}
    assert sum(run.rlimit.exits > 0 for _, _, run in _runs()) > 5
    assert any("destroyed" in run.ended_because for _, _, run in _runs())


def test_nothing_is_recorded_while_s_is_set() -> None:
    """Each record is written before S = 1, at that instant, or after profiling has begun again."""
    checked = 0
    for seed, _, run in _runs():
        for vcpu in run.vcpus:
            blind = _blind(vcpu)
            starts = [a for a, _ in blind]
            for t in vcpu.written[:, 2].tolist():
                i = bisect_right(starts, t - 1) - 1
                assert i < 0 or t >= blind[i][1], (seed, t, blind[i])
                checked += bool(blind)
    assert checked > 1000


def test_locked_memory_never_falls_under_its_mark() -> None:
    """VmLck of a high-water mark only rises, on one host; without accounting nothing is locked."""
    for seed, spec, run in _runs():
        locked = [point.locked_bytes for point in run.locked]
        stays = spec.policies.backing != "whole_vm" and spec.host.migration is None
        if spec.policies.accounting == "high_water_mark" and stays:
            assert locked == sorted(locked), seed
        if spec.policies.accounting == "none":
            assert run.rlimit.locked_bytes_peak == 0, seed


def test_locked_memory_stays_under_the_limit_of_its_time() -> None:
    """A charge that would pass the limit fails; only CAP_IPC_LOCK lets it through."""
    for seed, spec, run in _runs():
        if not spec.vm.cap_ipc_lock:
            growing = zip(run.locked, run.locked[1:], strict=False)
            for before, after in growing:
                if after.locked_bytes > before.locked_bytes:
                    assert after.locked_bytes <= after.limit_bytes, seed


def test_an_exit_says_by_how_much() -> None:
    """Every KVM_EXIT_RLIMIT has an excess, and none comes without an enable."""
    for seed, _, run in _runs():
        assert (run.rlimit.exits > 0) == (run.rlimit.excess_bytes_max > 0), seed
        assert run.rlimit.exits == 0 or run.rlimit.enables > 0, seed


@pytest.mark.parametrize("engine", ["reference"])
def test_the_other_engine_says_the_same(engine: str) -> None:
    """Everything that a run says about the model, on the same machines."""
    for seed, spec, run in _runs()[:60]:
        r = random.Random(seed)
        stream = made.stream(r, dense=True)
        other = simulate(spec, (stream,), Run("x", seed, 0, True, True), engine)
        a, b = made.everything(run), made.everything(other)
        assert not [name for name, value in a.items() if b[name] != value], seed
