"""Our driver is the kernel's: Linux' own, compiled, gives the same run to the last bit.

Every register access of the port with its time and value, every ledger, record and AUX row, and the
log: on random machines of `tests.exact.random_machines`, and on every arm of the stock scenarios.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from sim.linux.driver import DriverRules
from sim.linux.tree import building, programming
from sim.linux.tree.programming import KernelDriver, Wanted
from sim.machine import resolve
from sim.machine.machine import Machine, simulate
from sim.machine.run import Run
from sim.machine.spec import MachineSpec
from sim.runs import batch
from sim.scenario.files import loader
from sim.scenario.models.scenario import Arm
from sim.spe.fast import MacroSampler
from sim.spe.reference import SampleTimer
from sim.spe.register_port import Reg, Registers, Value
from sim.spe.select import Jitter
from sim.workload.arrays import Stream
from tests.exact import random_machines as made
from tests.needs import need
from tests.rigs.machines import vary
from tests.sim.linux.kernels import patched

Linux = Callable[[str], Path]
VERSIONS = ("6.1", "6.12")
MACHINES = 30
"""Random machines of a version."""
OPS = 200_000
"""Ops of a stock scenario's arm: some dozens of interrupts with a smaller ring."""
STOCK = sorted(path.stem for path in loader.stock_folder().glob("*.yaml"))


@pytest.fixture(autouse=True)
def compiler() -> None:
    """Drivers are compiled."""
    need("gcc")


class Traced:
    """A register port that keeps every access: when, which, and the value."""

    def __init__(self, under: Registers, now: Callable[[], int], kept: list[Any]) -> None:
        self._under, self._now, self._kept = under, now, kept

    def write(self, reg: Reg, value: Value) -> Any:
        """Kept, and passed on."""
        self._kept.append((self._now(), "W", reg, value))
        return self._under.write(reg, value)

    def read(self, reg: Reg) -> Generator[Any, Any, Value]:
        """Passed on, and kept."""
        value = yield from self._under.read(reg)
        self._kept.append((self._now(), "R", reg, value))
        return value


def run_traced(spec: MachineSpec, stream: Stream, run: Run, sampler: Any) -> dict[str, Any]:
    """All that a run says, and the accesses of every vCPU's driver."""
    machine = Machine(spec, (stream,), run, sampler)
    said: dict[str, Any] = {}
    for vcpu in machine.vcpus:
        kept: list[Any] = []
        said[f"{vcpu.index}.registers"] = kept
        event: Any = vcpu.event
        holder = event if spec.event.kernel is None else event._around
        traced = Traced(
            holder.registers if spec.event.kernel else event._registers,
            lambda: machine.engine.now,
            kept,
        )
        if spec.event.kernel is None:
            event._registers = traced
        else:
            object.__setattr__(holder, "registers", traced)
    return said | made.everything(machine.run())


def same(spec: MachineSpec, kernel: KernelDriver, stream: Stream, run: Run, sampler: Any) -> Any:
    """Both drivers' runs agree; what they say."""
    ours = run_traced(spec, stream, run, sampler)
    theirs = run_traced(vary(spec, kernel=kernel), stream, run, sampler)
    assert [name for name, value in ours.items() if theirs[name] != value] == []
    return ours


def random_one(seed: int, version: str, tree: Path) -> tuple[MachineSpec, KernelDriver, Stream]:
    """A random machine, with the driver of a version and with the kernel's."""
    r = random.Random(seed)
    stream = made.stream(r, dense=seed % 2 == 0)
    spec = made.spec(r, stream, dense=seed % 2 == 0)
    # neither version has discard mode; discarding machines profile all the same
    spec = vary(spec, rules=DriverRules(stops_on_failure=version == "6.12"))
    event, jitter = spec.event, spec.spu.jitter
    wanted = Wanted(
        event.period,
        event.aux,
        event.aux.watermark,
        jitter=jitter is not Jitter.OFF,
        ernd=jitter is Jitter.ERND,
        snapshot=event.snapshot,
    )
    sources = programming.tree(str(tree))
    kernel = KernelDriver(str(building.program(sources)), sources.name, wanted.setup())
    return spec, kernel, stream


@pytest.mark.parametrize("block", range(3))
@pytest.mark.parametrize("version", VERSIONS)
def test_random_machines(version: str, block: int, linux: Linux) -> None:
    """Each with either engine; the kernel's code is reached where it can go wrong."""
    seen: set[str] = set()
    for seed in range(block * MACHINES // 3, (block + 1) * MACHINES // 3):
        spec, kernel, stream = random_one(seed, version, linux(version))
        sampler = SampleTimer if seed % 3 == 0 else MacroSampler
        said = same(spec, kernel, stream, Run("x", seed, 0, True, True), sampler)
        seen |= {"window"} if said["0.registers"] else set()
        seen |= {what for _, what, _ in said["0.log"]} & {"FULL", "FAULT", "SWITCH", "ENABLE"}
    assert {"window", "FULL"} <= seen


def shortened(name: str, version: str, tree: Path) -> list[Arm]:
    """The arms of a stock scenario, each once, with a ring of two pages and a tree's driver; what
    they would have of ours is of its version."""
    options = [f"driver.kernel_tree={tree}", f'driver.version="{version}"']
    arms: dict[str, Arm] = {}
    for arm in loader.load(name, options).arms:
        settings = arm.settings
        driver = settings.driver.model_copy(update={"aux": 2 * settings.vm.page_bytes})
        small = settings.model_copy(update={"driver": driver})
        chosen = arm.model_copy(update={"settings": small})
        arms.setdefault(repr(chosen.policies) + repr(small), chosen)
    return list(arms.values())


@pytest.mark.parametrize("name", STOCK)
@pytest.mark.parametrize("version", VERSIONS)
def test_stock_scenarios(version: str, name: str, linux: Linux) -> None:
    """Every arm's first ops: what the tree programs, and all that the run says."""
    for arm in shortened(name, version, linux(version)):
        stream = batch.stream_of(arm)
        spec = resolve.machine_spec(arm, stream)
        kernel = spec.event.kernel
        assert kernel is not None
        plain = arm.settings.driver.model_copy(update={"kernel_tree": ""})
        settings = arm.settings.model_copy(update={"driver": plain})
        own = resolve.machine_spec(arm.model_copy(update={"settings": settings}), stream)
        parts = ("policies", "vcpus", "granule", "task", "vm", "host")
        assert all(getattr(own, part) == getattr(spec, part) for part in parts)
        assert (own.spu.interval, own.spu.jitter) == (spec.spu.interval, spec.spu.jitter)
        assert own.spu.filter.passes.tolist() == spec.spu.filter.passes.tolist()
        run = Run(arm.name, 7, 0, True, True, (min(OPS, stream.ops),) * spec.vcpus)
        same(own, kernel, stream, run, MacroSampler)


CLAMP = ("period < spe_pmu->min_period", "period < 1")
PMSICR = ("local64_set(&hwc->period_left, read_sysreg_s(SYS_PMSICR_EL1));", "")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_period_that_is_not_sanitised_shows(version: str, linux: Linux, tmp_path: Path) -> None:
    """Twice the records: an interval below the least one is no longer raised to it."""
    delivered = {}
    for name, tree in (
        ("as it is", linux(version)),
        ("patched", patched(linux(version), tmp_path, CLAMP)),
    ):
        options = [f"driver.kernel_tree={tree}", "spe.interval=512ops", "spe.jitter=off"]
        arm = loader.load("synthetic", options).arms[0]
        stream = batch.stream_of(arm)
        spec = resolve.machine_spec(arm, stream)
        result = simulate(spec, (stream,), Run("x", 1, 0, stop_at=(OPS,) * spec.vcpus))
        delivered[name] = sum(vcpu.ledgers.delivery.delivered for vcpu in result.vcpus)
    assert delivered["as it is"] > 100
    assert delivered["patched"] == pytest.approx(2 * delivered["as it is"], rel=0.05)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_pmsicr_that_is_not_saved_is_seen(version: str, linux: Linux, tmp_path: Path) -> None:
    """Control on all of the above: one line less in stop(), and machines differ."""
    tree = patched(linux(version), tmp_path, PMSICR)
    differing = 0
    for seed in range(6):
        spec, kernel, stream = random_one(seed, version, tree)
        spec = vary(spec, switch_ticks=3000, per_task=True)
        run = Run("x", seed, 0, True, True)
        ours = run_traced(spec, stream, run, MacroSampler)
        theirs = run_traced(vary(spec, kernel=kernel), stream, run, MacroSampler)
        differing += ours["0.written"] != theirs["0.written"]
    assert differing > 1
