"""Bare metal: what is under the kernel where there is no hypervisor."""

from __future__ import annotations

from sim.cpu.ports import PerfEvent, Spend, Wait
from sim.engine import Process
from sim.ledger import TimeCause
from sim.policies.exceptions import Masking


class Baremetal:
    """No hypervisor: PMBIRQ, or the exception for it, is taken at EL1, by the driver."""

    virtual = False
    next_exit_only = False
    guest_takes = True
    """The kernel, at least: there is nobody else."""

    def __init__(self, event: PerfEvent, spend: Spend, masking: Masking) -> None:
        self._event, self._spend = event, spend
        self.masking = self.virq_masking = masking

    def boot(self, *, profiled: bool) -> Process:
        """Nothing has to be made ready."""
        yield from ()

    def pmbirq(self) -> Process:
        """The exception is taken; the handler runs."""
        return self._event.irq()

    def migrated(self) -> None:
        """One core is as good as another."""

    def paused(self, cause: TimeCause, until: int) -> Wait:
        """Nobody stops a whole machine."""
        return self._spend(cause, 0)

    def ordinary_exit(self) -> Wait:
        """There is nothing to exit to."""
        return self._spend(TimeCause.ORDINARY_EXIT, 0)
