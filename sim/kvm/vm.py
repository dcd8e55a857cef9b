"""What the vCPUs of a VM share: policies, costs, the locked-memory account, locks, its life.

Fidelity note: holds state only. What happens to a VM as a whole is here (it is destroyed, stopped
or moved); what a vCPU does is in `sim.kvm.hypervisor`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from simpy.events import Event

from sim.cpu.ports import GuestCpu
from sim.engine import FOREVER
from sim.kvm.locks import Locks
from sim.kvm.memlock import Account
from sim.ledger import TimeCause
from sim.policies.bundle import Bundle
from sim.policies.stages import KvmCosts
from sim.spe.buffer import RECORD_BYTES


class VcpuThread(Protocol):
    """KVM's side of a vCPU."""

    def arrive(self, *, remote: bool) -> None:
        """The VM goes on on another host."""


class HostView(Protocol):
    """What the host does to guest memory, as far as KVM triggers it."""

    def window_enabled(self, vcpu: int, first: int, last: int) -> None:
        """A window of buffer pages has been enabled (unmap: per_window)."""


@dataclass(frozen=True, slots=True)
class VmSizes:
    """Bytes of guest memory, of a vCPU's largest window, of its bounce buffer, of the largest
    record; ticks of `unpin: after` (FOREVER for other rules)."""

    memory: int
    max_buffer: int
    bounce: int
    unpin_after: int = FOREVER
    record: int = RECORD_BYTES


@dataclass(slots=True)
class Vm:
    """What the vCPUs of a VM share."""

    policies: Bundle
    costs: KvmCosts
    account: Account
    host: HostView
    sizes: VmSizes
    running: Event
    """All vCPUs have begun to run."""
    cpus: list[GuestCpu] = field(default_factory=list)
    hypervisors: list[VcpuThread] = field(default_factory=list)
    locks: Locks = field(default_factory=Locks)
    dirty_logging: bool = False
    booting: int = 0
    killed: bool = False
    ended_because: str = ""

    def kill(self, why: str) -> None:
        """The VMM destroys the VM: every vCPU ends where it is."""
        self.killed = True
        self.ended_because = self.ended_because or why
        for cpu in self.cpus:
            cpu.kill()

    def pause(self, ticks: int) -> None:
        """Live migration stops every vCPU for so long."""
        for cpu in self.cpus:
            cpu.pause(TimeCause.DOWNTIME, cpu.engine.now + ticks)

    def arrive(self, *, remote: bool) -> None:
        """The VM goes on on another host: stage 2 and locked memory begin anew there."""
        self.account.move()
        for hypervisor in self.hypervisors:
            hypervisor.arrive(remote=remote)
