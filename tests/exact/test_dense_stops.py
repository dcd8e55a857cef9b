"""Three samplers agree where stops are dense: windows of a few records, ties on every side.

The random machines of `random_machines` with a full buffer every 1 to 16 records, ordinary exits,
unmappings and switches every few ops, and a fast engine that starts with tiny chunks.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import pytest

from sim.linux.aux import Geometry
from sim.linux.driver import DriverRules
from sim.machine.machine import Machine
from sim.machine.run import Run
from sim.machine.spec import MachineSpec, UnmapSpec
from sim.machine.vcpu import SamplerFactory
from sim.results import RunResult
from sim.scenario.models.scenario import DESIGNS
from sim.spe import fast
from sim.spe.filter import Filter
from sim.spe.reference import SampleTimer
from sim.workload.arrays import Stream
from tests.exact import random_machines as made
from tests.exact.per_op import PerOpTimer
from tests.rigs.machines import table, vary

SEEDS = 40
MAX_OPS = 2500


class SmallChunks(fast.MacroSampler):
    """The fast engine's sampler, beginning with chunks of one candidate."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._chunk = 1


def _denser(r: random.Random, spec: MachineSpec) -> MachineSpec:
    """Small windows; some of the other causes of a state change, every few ops."""
    page = r.choice([64, 128, 256, 1024])
    spec = vary(spec, aux=Geometry(8192, page, page * r.choice([1, 2, 4])))
    if r.random() < 0.3:
        spec = vary(spec, irq_latency=(r.choice([0, 16, 32, 100_000]),))
    if r.random() < 0.2:
        gaps = table([r.choice([48, 49, 160, 640]) for _ in range(4)])
        spec = vary(spec, exits=gaps, kvm=replace(spec.vm.kvm, ordinary_exit=0))
    if r.random() < 0.2:
        gaps = table([r.choice([17, 48, 64, 640]) for _ in range(4)])
        spec = vary(spec, unmap=UnmapSpec("poisson", gaps))
    if r.random() < 0.2:
        spec = vary(spec, switch_ticks=r.choice([48, 160, 1000]))
    if r.random() < 0.2:
        everything_passes = np.ones_like(spec.spu.filter.passes)
        spec = vary(spec, filter=Filter(everything_passes, 0))
    return spec


@lru_cache(maxsize=2)
def _machine(seed: int) -> tuple[Stream, MachineSpec]:
    r = random.Random(seed)
    stream = made.stream(r, dense=True)
    while stream.ops > MAX_OPS:
        stream = made.stream(r, dense=True)
    return stream, _denser(r, made.spec(r, stream, dense=True))


def _run(seed: int, factory: SamplerFactory, *, hold: bool = False) -> RunResult:
    stream, spec = _machine(seed)
    spec = vary(spec, resync=spec.spu.resync and not hold)
    return Machine(spec, (stream,), Run("x", seed, 0, True, True), factory).run()


def _assert_same(seed: int, one: RunResult, other: RunResult) -> None:
    a, b = made.everything(one), made.everything(other)
    differing = [name for name, value in a.items() if b[name] != value]
    assert not differing, f"seed {seed}: {differing}"


class Seen(NamedTuple):
    """What is left of a block of machines for the control: vCPUs that…"""

    often: int
    """…stop five times or more,"""
    discarded: int
    """…lose what is in flight,"""
    faults: int
    """…and lose a record at a fault."""


@cache
def _agreed(block: int) -> Seen:
    """Runs a block of seeds under both engines, which agree."""
    r, often, discarded, faults = random.Random(block), 0, 0, 0
    for seed in range(20_000 + SEEDS * block, 20_000 + SEEDS * (block + 1)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fast, "MIN_CHUNK", r.choice([1, 2, 7, 64]))
            patch.setattr(fast, "MAX_CHUNK", r.choice([64, 1000]))
            slow, quick = _run(seed, SampleTimer), _run(seed, SmallChunks)
        _assert_same(seed, slow, quick)
        for vcpu in quick.vcpus:
            often += vcpu.stops >= 5
            discarded += vcpu.ledgers.selections.discarded_in_flight > 0
            faults += vcpu.ledgers.selections.lost_at_fault > 0
    return Seen(often, discarded, faults)


@pytest.mark.parametrize("block", range(6))
def test_engines_agree(block: int) -> None:
    """Everything that a run says about the model."""
    _agreed(block)


@pytest.mark.parametrize("block", range(3))
def test_per_op_model_agrees(block: int) -> None:
    """COUNT and ECOUNT executed literally, on other machines of the kind."""
    for seed in range(21_000 + SEEDS * block, 21_000 + SEEDS * (block + 1)):
        literal = _run(seed, PerOpTimer, hold=True)
        _assert_same(seed, literal, _run(seed, SmallChunks, hold=True))


def test_stops_are_dense() -> None:
    """A control: most machines stop often, for both reasons, and some with others in flight."""
    often, discarded, faults = map(sum, zip(*map(_agreed, range(4)), strict=True))
    assert often > SEEDS // 2
    assert discarded > SEEDS // 8
    assert faults > SEEDS // 8


def test_one_slot_discards_nothing() -> None:
    """K = 1: with S = 1 nothing else is in flight."""
    for seed in range(20_000, 20_000 + SEEDS * 2):
        stream, spec = _machine(seed)
        run = Run("x", seed, 0)
        result = Machine(vary(spec, in_flight=1), (stream,), run, fast.MacroSampler).run()
        assert all(v.ledgers.selections.discarded_in_flight == 0 for v in result.vcpus)


def test_an_enable_maps_what_the_records_unmapped() -> None:
    """unmap: per_record against a pinned window whose notifier yields: the first record of a
    window never faults, every later one does once."""
    compared = 0
    for seed in range(22_000, 22_060):
        stream, spec = _machine(seed)
        policies = DESIGNS["v6"][0].model_copy(update={"notifiers": "honour_all"})
        spec = vary(
            spec,
            policies=policies,
            unmap=UnmapSpec("per_record"),
            vcpus=1,
            memlock=1 << 40,
            max_buffer=1 << 62,
            switch_ticks=0,
            exits=None,
            warm=True,
            rules=DriverRules(),
            reader=None,
            snapshot=False,
            **made.CALM,
        )
        result = Machine(spec, (stream,), Run("x", seed, 0, True, True), fast.MacroSampler).run()
        found, log = result.vcpus[0].ledgers.selections, result.vcpus[0].log
        windows = result.rlimit.enables
        assert found.written - windows <= found.lost_at_fault <= found.written - windows + 2, seed
        assert result.zaps == found.written
        compared += sum(what == "FULL" for _, what, _ in log) > 2
    assert compared > 3
