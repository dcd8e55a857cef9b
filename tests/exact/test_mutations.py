"""Seeded bugs: each must be caught by a small, fixed set of random machines.

A mutant is a module whose source has one change. It runs in place of the real one (compiled code
as plain Python) and is compared with the unchanged other engine; a law that breaks, an exception
or any difference counts as caught. The control runs unchanged copies the same way: they must pass.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import sim.machine
from sim import draws
from sim.linux.aux import Geometry
from sim.machine import Machine, MachineSpec, Run, UnmapSpec, simulate
from sim.scenario.model import DESIGNS
from sim.spe import fast, spu
from sim.spe.select import Jitter
from sim.workload.arrays import Stream
from tests.exact import random_machines as made

MAX_OPS = 2500
MACHINES = 250


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to one module."""

    name: str
    module: str
    old: str
    new: str


def _m(name: str, module: str, old: str, new: str = "pass") -> Mutant:
    return Mutant(name, module, old, new)


KERNEL, FAST, SPU = "sim.spe.kernel", "sim.spe.fast", "sim.spe.spu"
CPU, AUX, ENGINE, HYP = "sim.cpu", "sim.linux.aux", "sim.engine", "sim.kvm.hypervisor"

MUTANTS = [
    _m("write after selection on a tie", KERNEL, "if due <= at:", "if due < at:"),
    _m("horizon inclusive for writes", KERNEL, "if due >= horizon:", "if due > horizon:"),
    _m("horizon inclusive for selections", KERNEL, "if at >= horizon:", "if at > horizon:"),
    _m("collision not counted", KERNEL, "state[COLLIDED] += 1"),
    _m("one sample too many in flight", KERNEL, "if state[FLYING] >= config[IN_FLIGHT]:",
       "if state[FLYING] > config[IN_FLIGHT]:"),
    _m("full one record late", KERNEL, "if state[POINTER] > config[LIMIT] - config[RECORD]:",
       "if state[POINTER] > config[LIMIT]:"),
    _m("loss at a fault not counted", KERNEL, "state[LOST] += 1"),
    _m("filtered not counted", KERNEL, "state[FILTERED] += 1"),
    _m("passed not counted", KERNEL, "state[PASSED] += 1"),
    _m("completed not counted", KERNEL, "state[COMPLETED] += 1"),
    _m("selected not counted", KERNEL, "state[SELECTED] += 1"),
    _m("written not counted", KERNEL, "state[WRITTEN] += 1"),
    _m("a block counts one selection less", KERNEL, "state[SELECTED] += m",
       "state[SELECTED] += m - 1"),
    _m("a block draws one byte less", KERNEL, "state[DRAWN] += m", "state[DRAWN] += m - 1"),
    _m("blocks ignore collisions", KERNEL, "and _overlaps(busy, tick, m) == 0", ""),
    _m("latency filter exclusive", KERNEL, "busy[j] - tick[j] >= minimum",
       "busy[j] - tick[j] > minimum"),
    _m("the last primary is forgotten", KERNEL, "state[LAST] = state[PRIMARY]\n",
       "state[LAST] = NEVER\n"),
    _m("completion order ignores age", KERNEL, "best = f\n", "best = best\n"),
    _m("truncation forgotten", FAST, "self._state[:] = self._saved"),
    _m("stale events accepted", FAST, "if generation != self._generation or not self._speculating:",
       "if False:"),
    _m("COUNT = 0 at a stop forgotten", FAST, "counter.count = 0 if at_zero else primary - pop + 1",
       "counter.count = primary - pop + 1"),
    _m("page changes unseen", FAST, "self._sync(self._clock.work(self._engine.now))"),
    _m("speculated zaps kept", FAST, "self._pages[:] = self._zappable"),
    _m("ERnd resumes off its grid", FAST, "state[k.PRIMARY] = pop + to_zero - 1 - n1",
       "state[k.PRIMARY] = pop + to_zero - n1"),
    _m("no flush at a freeze", FAST, "self._places, self._rows, work)",
       "self._places, self._rows, -1)"),
    _m("reference: tie order", SPU, "self._flight[0].busy <= self._place.tick",
       "self._flight[0].busy < self._place.tick"),
    _m("reference: equal ages swapped", SPU, "self._flight[at - 1].busy > sample.busy",
       "self._flight[at - 1].busy >= sample.busy"),
    _m("reference: discards not counted", SPU,
       "self._ledger.discarded_in_flight += len(self._flight)"),
    _m("reference: counter not saved", SPU,
       "self.counter.advance(self._stream.pop(op) - self._anchor)"),
    _m("reference: skipped not counted", SPU, "self._ledger.skipped += 1"),
    _m("ops label not counted", CPU, "ops[self._label] += members"),
    _m("kernel ops not counted", CPU,
       "ops[OpLabel.NOT_IN_POPULATION] += op - self._label_from - members"),
    _m("executed not counted", CPU, "self.ledgers.ops.executed += self._op"),
    _m("running not counted", CPU, "self.ledgers.time.running += now - self._resumed_at"),
    _m("stopped not counted", CPU, "self.ledgers.time.stopped[cause] += ticks"),
    _m("delivered not counted", AUX, "self.delivery.delivered += self.unread"),
    _m("an AUX transaction not counted", AUX, "self.unread += size // self.geometry.record"),
    _m("an open window not settled", AUX, "self.delivery.unread_at_end += records"),
    _m("selections before external changes", ENGINE,
       "{Kind.RECORD_WRITE: Class.WRITE, Kind.SELECTION: Class.SELECT}",
       "{Kind.RECORD_WRITE: Class.WRITE, Kind.SELECTION: -1}"),
]  # fmt: skip


def _build(module: str, old: str = "", new: str = "") -> ModuleType:
    """A copy of a module with one change, compiled code as plain Python."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    if old:
        assert source.count(old) == 1, f"{module}: {old!r} occurs {source.count(old)} times"
        source = source.replace(old, new)
    for decorator in ("@njit_inline\n", "@njit\n"):
        source = source.replace(decorator, "")
    made_module = ModuleType(f"{module}.mutant")
    # dataclasses look their module up by name
    made_module.__dict__["__name__"] = module
    exec(compile(source, f"<{module}>", "exec", dont_inherit=True), made_module.__dict__)
    if "mix64" in made_module.__dict__:  # called from Python it would return an int of any size
        made_module.__dict__["mix64"] = lambda key, n: np.uint64(draws.splitmix64(int(key), int(n)))
    return made_module


@cache
def _machines() -> list[tuple[int, Stream, MachineSpec]]:
    """Small machines, the same for every mutant."""
    found = []
    for seed in range(5000, 5000 + MACHINES):
        r = random.Random(seed)
        stream = made.stream(r, dense=True)
        if stream.ops <= MAX_OPS:
            found.append((seed, stream, made.spec(r, stream, dense=True)))
    return [*found, *_often_frozen(found), _killed(found)]


def _often_frozen(
    machines: list[tuple[int, Stream, MachineSpec]],
) -> list[tuple[int, Stream, MachineSpec]]:
    """Every other op selected and many freezes, so that some find the counter at 0."""
    return [
        (seed, stream, replace(
            spec, policies=DESIGNS["unpinned"][0], interval=1, period=1, jitter=Jitter.OFF,
            resync=False, in_flight=1, exits=(96, 112, 160, 240), unmap=UnmapSpec("never"),
            vcpus=1, aux=Geometry(1 << 20, spec.granule, 1 << 19), switch_ticks=0, warm=True,
        ))
        for seed, stream, spec in machines[:60]
    ]  # fmt: skip


def _killed(machines: list[tuple[int, Stream, MachineSpec]]) -> tuple[int, Stream, MachineSpec]:
    """Two vCPUs; the second one's enable is refused while the first has a window open."""
    for seed, stream, spec in machines:
        page = spec.granule
        policies = DESIGNS["v6"][0].model_copy(update={"vmm": "refuse_kill"})
        spec = replace(
            spec, policies=policies, vcpus=2, max_buffer=1 << 62, memlock=12 * page,
            memlock_hard=12 * page, cap_ipc_lock=False, interval=200, period=1, jitter=Jitter.OFF,
            aux=Geometry(16 * page, page, 8 * page), switch_ticks=0, exits=None, resync=False,
            unmap=UnmapSpec("never"), random_start=True,
        )  # fmt: skip
        result = simulate(spec, (stream,), Run("x", seed, 0))
        if any(vcpu.ledgers.delivery.unread_at_end for vcpu in result.vcpus):
            return seed, stream, spec
    raise AssertionError("no machine is destroyed with records in an open window")


@cache
def _expected(index: int, engine: str) -> dict[str, object]:
    seed, stream, spec = _machines()[index]
    return made.everything(simulate(spec, (stream,), Run("x", seed, 0, True, True), engine))


def _differs(factory: Any, other: str) -> bool:
    """Does some machine tell this sampler from the other engine?"""
    for index, (seed, stream, spec) in enumerate(_machines()):
        run = Run("x", seed, 0, True, True)
        try:
            said = made.everything(Machine(spec, (stream,), run, factory).run())
        except Exception:  # a mutant may break in any way; the control shows that the copy does not
            return True
        if said != _expected(index, other):
            return True
    return False


def _sampler(module: str, mutant: ModuleType) -> tuple[Any, str]:
    """(sampler factory, the engine it must equal)."""
    if module == KERNEL:
        host = _build(FAST)
        host.__dict__["k"] = mutant
        return host.__dict__["MacroSampler"], "reference"
    if module == FAST:
        return mutant.__dict__["MacroSampler"], "reference"
    return mutant.__dict__["SampleTimer"], "fast"


@pytest.fixture(autouse=True)
def _plain_numpy() -> Iterator[None]:
    """numpy scalars warn where compiled integers wrap."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "MAX_CHUNK", 64)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeded bug changes a record, an event time or a ledger, or breaks a law."""
    module = _build(mutant.module, mutant.old, mutant.new)
    if mutant.module in (KERNEL, FAST, SPU):
        factory, other = _sampler(mutant.module, module)
        assert _differs(factory, other)
        return
    for index in range(len(_machines())):
        _expected(index, "fast")  # before the shared module is replaced
    name = {CPU: "Cpu", AUX: "AuxRing", ENGINE: "Engine", HYP: "Hypervisor"}[mutant.module]
    monkeypatch.setattr(sim.machine, name, module.__dict__[name])
    assert _differs(spu.SampleTimer, "fast")


@pytest.mark.parametrize("module", [KERNEL, FAST, SPU])
def test_an_unchanged_copy_passes(module: str) -> None:
    """The control: copies made and run in the same way differ from nothing."""
    factory, other = _sampler(module, _build(module))
    assert not _differs(factory, other)
