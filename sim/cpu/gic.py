"""Interrupt delivery: PMBIRQ, a level PPI (INTID 21), from the SPU to the core.

Fidelity note. Modelled: one hardware law for the time from S = 1 to the exception, the same in
every arm, drawn per stop ordinal (`t_irq_latency`); the line is a level, so a stop that software
clears before it arrives is retracted, unless it arrives within `t_irq_retract` (0 by default,
UNVERIFIED): then the exception is taken late and software finds S = 0. What PSTATE.I and priority
hold back at EL1 on baremetal is decided by `sim.cpu.core`; in a VM the exception goes to EL2, which
guest masking cannot hold. Not modelled: GIC list registers, priorities other than masked/unmasked,
other interrupts' handlers.
No published measurement of the law exists: `t_irq_latency` is an estimate.
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from sim import draws
from sim.engine import Due, Engine, Kind, Process


class Gic:
    """One core's PMBIRQ line. `arrived` is true from arrival at the core until the level drops;
    `ordinal` is that of the last stop.
    """

    __slots__ = (
        "_due",
        "_engine",
        "_key",
        "_law",
        "_on_arrival",
        "_on_late",
        "_process",
        "_retract",
        "_risen",
        "_vcpu",
        "arrived",
        "level",
        "ordinal",
    )

    def __init__(
        self,
        engine: Engine,
        vcpu: int,
        law: tuple[int, ...],
        key: int,
        on_arrival: Callable[[], None],
        retract: int,
        on_late: Callable[[], None],
    ) -> None:
        self._engine, self._vcpu, self._law, self._key = engine, vcpu, law, key
        self._on_arrival = on_arrival
        self._retract, self._on_late = retract, on_late
        self.ordinal = self._due = 0
        self.level = False
        self.arrived = False
        self._risen: Due = engine.signal()
        self._process = engine.process(self.deliver())

    def line(self, level: bool) -> None:
        """PMBIRQ rises or falls."""
        if level and not self.level:
            self.ordinal += 1
            self.level = True
            latency = draws.pick(self._law, self._key, self.ordinal)
            self._due = self._engine.now + latency
            self._engine.fire(self._risen, latency, Kind.PMBIRQ, self._vcpu)
        elif not level and self.level:
            on_its_way = not self.arrived
            self.level = self.arrived = False
            if on_its_way:
                self._risen = self._engine.signal()
                self._let_pass()
                self._process.interrupt("retracted")

    def after_rounds(self, ordinal: int) -> None:
        """`sim.machine.rounds` has delivered every interrupt up to this one."""
        self.ordinal = ordinal

    def _let_pass(self) -> None:
        """The last stretch to the core cannot be recalled: the exception is taken all the same."""
        left = self._due - self._engine.now
        if left < self._retract:
            self._engine.call(left, Kind.PMBIRQ, self._vcpu, lambda _: self._on_late())

    def deliver(self) -> Process:
        """PROCESS interrupt delivery: the line rises, the interrupt travels, the core has it."""
        while True:
            try:
                yield self._risen
                self._risen = self._engine.signal()
                self.arrived = True
                self._on_arrival()
            except simpy.Interrupt:
                continue
