"""Locked memory: what KVM charges to RLIMIT_MEMLOCK.

Fidelity note. Modelled: both charges of RFC v6 33/35 (the maximum buffer size at configuration, the
need at enable), the high-water mark that is never lowered before the VM is destroyed (per vCPU or
per VM; a live migration destroys it on the source), per-pin accounting, CAP_IPC_LOCK (assumed to
bypass the limit, as v5 did; v6: unknown).
`charge: whole` checks a need before anything is pinned; `incremental` charges page by page as
pinning proceeds, so an excess is one page at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sim.results import MAX_POINTS, LockedPoint, RlimitCounts


@dataclass(slots=True)
class Account:
    """One VM's locked memory, bytes. `limit` is the VMM's soft RLIMIT_MEMLOCK."""

    limit: int
    hard_limit: int
    cap_ipc_lock: bool
    high_water: bool
    per_vm: bool
    enforced: bool
    now: Callable[[], int]
    counts: RlimitCounts = field(default_factory=RlimitCounts)
    points: list[LockedPoint] = field(default_factory=list)
    _current: dict[int, int] = field(default_factory=dict)
    _highest: dict[int, int] = field(default_factory=dict)
    _vm_highest: int = 0
    _reserved: int = 0
    _configured: dict[int, int] = field(default_factory=dict)
    _configured_vm: int = 0
    _configured_limit: int = 0

    def __post_init__(self) -> None:
        self._configured_limit = self.limit

    @property
    def locked(self) -> int:
        """VmLck: what is charged now."""
        if not self.enforced:
            return 0
        if not self.high_water:
            return self._reserved + sum(self._current.values())
        return self._vm_highest if self.per_vm else sum(self._highest.values())

    def reserve(self, size: int) -> int:
        """Charge all guest memory before it runs (`whole_vm`); returns the excess (0: charged)."""
        excess = self._excess(size)
        if not excess:
            self._reserved, self._configured_limit = size, self.limit
            self._note()
        return excess

    def configure(self, vcpu: int, size: int) -> int:
        """Charge a vCPU's maximum buffer size; returns the excess (0: charged)."""
        if not self.high_water:
            return 0
        if self.per_vm:
            self._current[vcpu] = size
            wanted = sum(self._current.values())
        else:
            wanted = self.locked - self._highest.get(vcpu, 0) + size
        excess = self._excess(wanted)
        if excess:
            self._current.pop(vcpu, None)
            return excess
        self._raise_to(vcpu, size)
        return 0

    def forget_configuration(self) -> None:
        """Nothing is pinned yet: per-VM marks keep what configuration reserved."""
        self._current.clear()
        self._configured, self._configured_vm = dict(self._highest), self._vm_highest
        self._configured_limit = self.limit

    def move(self) -> None:
        """Another VMM process has configured the VM on another host: its limit is what the first
        one began with, its marks are those of configuration. Each vCPU gives its pins back
        as it leaves the source (`hold`)."""
        self._highest, self._vm_highest = dict(self._configured), self._configured_vm
        self.limit = self._configured_limit
        self._note()

    def pin(self, vcpu: int, need: int) -> int:
        """Charge a vCPU's pinned bytes at an enable edge; returns the excess (0: charged)."""
        before = self._current.get(vcpu, 0)
        self._current[vcpu] = need
        excess = self._excess(self._wanted(vcpu, need))
        if excess:
            self._current[vcpu] = before
            return excess
        self._raise_to(vcpu, need)
        return 0

    def hold(self, vcpu: int, held: int) -> None:
        """A vCPU has unpinned all but `held` bytes."""
        self._current[vcpu] = held
        self._note()

    def release(self) -> None:
        """The VM is destroyed: everything is uncharged. A run's trace ends before that."""
        self._current.clear()
        self._highest.clear()
        self._vm_highest = self._reserved = 0

    def set_limit(self, limit: int) -> None:
        """The VMM called setrlimit; another thread of it may have read an older limit."""
        self.limit = min(limit, self.hard_limit)
        self._note()

    def _wanted(self, vcpu: int, need: int) -> int:
        if not self.high_water:
            return self._reserved + sum(self._current.values())
        if self.per_vm:
            return max(self._vm_highest, sum(self._current.values()))
        return sum(self._highest.values()) + max(0, need - self._highest.get(vcpu, 0))

    def _excess(self, wanted: int) -> int:
        """Bytes over the limit; growth only, so what is charged already never fails again."""
        if not self.enforced or self.cap_ipc_lock or wanted <= self.locked_charged():
            return 0
        return max(0, wanted - self.limit)

    def locked_charged(self) -> int:
        """What has been accepted before; re-pinning it needs no new charge."""
        return self.locked if self.high_water else -1

    def _raise_to(self, vcpu: int, size: int) -> None:
        self._highest[vcpu] = max(self._highest.get(vcpu, 0), size)
        self._vm_highest = max(self._vm_highest, sum(self._current.values()))
        self._note()

    def _note(self) -> None:
        locked = self.locked
        self.counts.locked_bytes_peak = max(self.counts.locked_bytes_peak, locked)
        last = self.points[-1] if self.points else None
        changed = last is None or (last.locked_bytes, last.limit_bytes) != (locked, self.limit)
        if changed and len(self.points) < MAX_POINTS:
            self.points.append(LockedPoint(self.now(), locked, self.limit))
