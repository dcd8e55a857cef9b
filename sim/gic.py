"""Interrupt delivery: PMBIRQ, a level PPI (INTID 21), from the SPU to the core.

Fidelity note. Modelled: one hardware law for the time from S = 1 to the exception, the same in
every arm, drawn per stop ordinal (`t_irq_latency`); the line is a level, so a stop that software
clears before it arrives is never taken. What PSTATE.I and priority hold back at EL1 on baremetal is
decided by `sim.cpu`; in a VM the exception goes to EL2, which guest masking cannot hold. Not
modelled: GIC list registers, priorities other than masked/unmasked, other interrupts' handlers.
No published measurement of the law exists: `t_irq_latency` is an estimate.
"""

from __future__ import annotations

from collections.abc import Callable

from sim import draws
from sim.engine import Engine, Kind, Process


class Gic:
    """One core's PMBIRQ line. `arrived` is true from arrival at the core until the level drops."""

    __slots__ = ("_engine", "_key", "_law", "_on_arrival", "_ordinal", "_vcpu", "arrived", "level")

    def __init__(
        self, engine: Engine, vcpu: int, law: tuple[int, ...], key: int,
        on_arrival: Callable[[], None],
    ) -> None:  # fmt: skip
        self._engine, self._vcpu, self._law, self._key = engine, vcpu, law, key
        self._on_arrival = on_arrival
        self._ordinal = 0
        self.level = False
        self.arrived = False

    def line(self, level: bool) -> None:
        """PMBIRQ rises or falls."""
        if level and not self.level:
            self._ordinal += 1
            self.level = True
            self._engine.process(self.deliver(self._ordinal))
        elif not level:
            self.level = self.arrived = False

    def deliver(self, ordinal: int) -> Process:
        """PROCESS interrupt delivery: one assertion on its way to the core."""
        delay = draws.pick(self._law, self._key, ordinal)
        yield self._engine.at(delay, Kind.PMBIRQ, self._vcpu)
        if self.level and ordinal == self._ordinal:
            self.arrived = True
            self._on_arrival()
