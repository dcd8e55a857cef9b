"""Modules with one seeded bug, compiled code as plain Python."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import sim.machine.machine
import sim.machine.vcpu
from sim import draws
from sim.engine import FOREVER, Engine
from tests.entered import entered, is_inner

MACHINE_SECONDS = 12
"""Time of this process for one small machine, three times what the slowest needs."""
MEETING_POINTS = {"sim.host.pressure": ("Blocks", "MemslotChange", "Random", "Sweep", "Touch")}
"""Classes by which a module and its users recognise each other: a copy must share them."""
BUILDERS = (sim.machine.machine, sim.machine.vcpu)
"""Where a machine is put together, from names that a mutant can take the place of."""
_TOLD = Engine.next_due


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to one module."""

    name: str
    module: str
    old: str
    new: str


def mutant(name: str, module: str, old: str, new: str = "pass") -> Mutant:
    """A change to a module; by default a statement is deleted."""
    return Mutant(name, module, old, new)


def build(module: str, old: str = "", new: str = "") -> ModuleType:
    """A copy of a module with one change, compiled code as plain Python."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    if old:
        assert source.count(old) == 1, f"{module}: {old!r} occurs {source.count(old)} times"
        source = source.replace(old, new)
    for decorator in ("@njit_inline\n", "@njit_inner\n", "@njit\n"):
        source = source.replace(decorator, "")
    made_module = ModuleType(f"{module}.mutant")
    # dataclasses look their module up by name
    made_module.__dict__["__name__"] = module
    exec(compile(source, f"<{module}>", "exec", dont_inherit=True), made_module.__dict__)
    for name, value in list(made_module.__dict__.items()):  # compiled without a decorator
        plain = getattr(value, "py_func", None)
        if plain is not None and plain.__globals__ is made_module.__dict__:
            made_module.__dict__[name] = plain
    if "mix64" in made_module.__dict__:  # called from Python it would return an int of any size
        made_module.__dict__["mix64"] = lambda key, n: np.uint64(draws.splitmix64(int(key), int(n)))
    for name, value in list(made_module.__dict__.items()):
        if is_inner(value):  # plain Python calls it now
            made_module.__dict__[name] = entered(value)
    for name in MEETING_POINTS.get(module, ()):
        made_module.__dict__[name] = getattr(import_module(module), name)
    return made_module


def install(part: str, made: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines are built from this part from now on."""
    builders = [module for module in BUILDERS if part in module.__dict__]
    assert builders, f"no machine is built from {part}"
    for module in builders:
        monkeypatch.setattr(module, part, made)


def hints(monkeypatch: pytest.MonkeyPatch, known: int) -> None:
    """`fast` is told of its vCPU's next event `known` times of four, else that none is due.

    What it is not told of comes as a surprise, and it must go back. A hint changes no result.
    """

    def now_and_then(engine: Engine, vcpu: int) -> int:
        return _TOLD(engine, vcpu) if engine.events % 4 < known else FOREVER

    monkeypatch.setattr(Engine, "next_due", now_and_then)


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """A mutant may never end: TimeoutError then, which tells it apart as well as anything.

    Of the process's own time: what else the machine does is no reason to give up.
    """

    def give_up(*_: object) -> None:
        raise TimeoutError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
