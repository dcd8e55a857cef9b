"""mmap_lock and mmu_lock of a VM: who waits for whom, and for how long.

Fidelity note. Modelled: a reader waits for writers, a writer for everyone, in the order in which
they ask; at one instant that is the engine's order (class, kind, vCPU). What is held is a stage's
own time. Not modelled: other users of the locks (page faults of the VMM, MMU notifiers), optimistic
spinning, the cost of contention among readers: 48 to 64 vCPUs that fault at once take 6 us instead
of 0.9 us each (O. Upton, Nov 2022), and `parameters.t_fault` is where to put that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.policies.stages import Lock


@dataclass(slots=True)
class RwLock:
    """A reader/writer lock as the instants until which it is held."""

    read_until: int = 0
    written_until: int = 0

    def read(self, now: int, ticks: int) -> int:
        """Take it for reading for `ticks`; returns the ticks to wait before."""
        wait = max(0, self.written_until - now)
        self.read_until = max(self.read_until, now + wait + ticks)
        return wait

    def write(self, now: int, ticks: int) -> int:
        """Take it for writing for `ticks`; returns the ticks to wait before."""
        wait = max(0, self.written_until - now, self.read_until - now)
        self.written_until = now + wait + ticks
        return wait


@dataclass(slots=True)
class Locks:
    """The locks of one VM."""

    mmap: RwLock = field(default_factory=RwLock)
    mmu: RwLock = field(default_factory=RwLock)

    def wait(self, lock: Lock, now: int, ticks: int) -> int:
        """Ticks until a stage that needs `lock` for `ticks` has it."""
        match lock:
            case Lock.NONE:
                return 0
            case Lock.MMAP_READ:
                return self.mmap.read(now, ticks)
            case Lock.MMAP_WRITE:
                return self.mmap.write(now, ticks)
            case Lock.MMU_READ:
                return self.mmu.read(now, ticks)
            case Lock.MMU_WRITE:
                return self.mmu.write(now, ticks)
