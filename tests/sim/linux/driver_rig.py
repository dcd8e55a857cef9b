"""A driver on scripted registers: every access is recorded, and answered from two fields."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simpy.events import Event

from sim.engine import Process
from sim.ledger import DeliveryLedger, SelectionsLedger, TimeCause
from sim.linux.aux import AuxRing, Geometry
from sim.linux.driver import DriverCosts, DriverRules, SpeEvent
from sim.spe.ahead import RunsAhead
from sim.spe.buffer import BSC_FULL, CLEAR, EC_BUFFER, Pmbsr
from sim.spe.register_port import Limit, Reg, Value
from sim.spe.select import Interval, IntervalCounter, Jitter
from sim.spe.spu import Spu

PAGE = 4096
GEOMETRY = Geometry(8 * PAGE, PAGE, 4 * PAGE)
FULL = Pmbsr(s=True, ec=EC_BUFFER, mss=BSC_FULL)
OFF = ("W", Reg.PMBLIMITR, Limit(0, enable=False))


class IdleSampler:
    """A sampler that never samples: registers only."""

    def __init__(self) -> None:
        self.counter = IntervalCounter(Interval(4096, Jitter.OFF, 0))
        self.pointer = self.limit = self.cut = self.kernel_calls = self.truncations = self.loads = 0

    def enable(self, op: int, rounds: RunsAhead | None) -> None:
        pass

    def disable(self, op: int, work: int) -> None:
        pass

    def before_change(self) -> None:
        pass

    def on_change(self) -> None:
        pass

    def load(self) -> None:
        self.loads += 1

    def written(self) -> int:
        """Nothing is ever written."""
        return 0

    def settle(self) -> None:
        pass

    def void(self) -> int:
        """Nothing was written."""
        return 0

    def collisions(self) -> int:
        return 0

    def close(self, selections: SelectionsLedger) -> NDArray[np.int64]:
        raise AssertionError("not run")


@dataclass
class Rig:
    """A driver on registers that record every access; `status` and `pointer` are what is read."""

    period: int = 5000
    status: Pmbsr = CLEAR
    pointer: int = 0
    rules: DriverRules = field(default_factory=DriverRules)
    accesses: list[tuple[str, Reg, Value | None]] = field(default_factory=list)
    spent: list[tuple[TimeCause, int]] = field(default_factory=list)
    woken: list[bool] = field(default_factory=list)
    """Was the event off when perf was woken?"""

    def __post_init__(self) -> None:
        self.sampler = IdleSampler()
        self.spu = Spu(lambda stop: self.sampler, lambda stop, op: None, lambda level: None)
        self.ring = AuxRing(GEOMETRY, DeliveryLedger(), 0, keep=True)
        self.event = SpeEvent(
            self.spu,
            self,
            self.ring,
            self.period,
            DriverCosts(10, 20, 30),
            self._spend,
            lambda: 77,
            1000,
            self.rules,
            lambda: self.woken.append(self.event.off),
        )
        self.event.started = True

    def _spend(self, cause: TimeCause, ticks: int) -> Process:
        self.spent.append((cause, ticks))
        yield from ()

    def write(self, reg: Reg, value: Value) -> tuple[Event, ...]:
        self.accesses.append(("W", reg, value))
        if isinstance(value, Pmbsr):
            self.status = value
        return ()

    def read(self, reg: Reg) -> Generator[Event, Any, Value]:
        self.accesses.append(("R", reg, None))
        yield from ()
        return self.status if reg is Reg.PMBSR else self.pointer

    def do(self, operation: Process) -> list[tuple[str, Reg, Value | None]]:
        """Run one driver operation; returns its register accesses."""
        self.accesses = []
        assert list(operation) == []
        return self.accesses
