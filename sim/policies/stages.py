"""What a hook yields: `Stage(cause, ticks, effect)`, and what it may look at while it does.

A hook is a generator of stages; the hypervisor spends the ticks, applies the effect and sends back
its outcome. Policies hold no state (that is in the VM) and know no simulator, so the event
sequences of a design can be read, and asserted, as a list.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from sim.ledger import TimeCause


class Fault(Enum):
    """What a stage 2 fault says of the entry: PMBSR_EL1.MSS.FSC without the level (Arm ARM D24.7).
    In an entry that is there the access flag is looked at before the permission."""

    TRANSLATION = 0b000100
    ACCESS_FLAG = 0b001000
    PERMISSION = 0b001100


LEVELS = 0b11
"""The level's bits of an FSC."""


class Effect(Enum):
    """What a stage changes when its time is over."""

    NONE = "none"
    CHARGE = "charge"
    PIN = "pin"
    MAP = "map"
    UNPIN = "unpin"
    UNPIN_STALE = "unpin_stale"
    UNMAP = "unmap"
    MAP_FAULTING = "map_faulting"
    MARK_ACCESSED = "mark_accessed"
    INJECT_ERROR = "inject_error"
    POPULATE = "populate"
    COPY = "copy"


class Lock(Enum):
    """Which lock a stage holds: mmap_lock of the VMM (account_locked_vm writes, pin_user_pages
    reads), mmu_lock of KVM (stage 2 faults read since 6.2, unmapping writes).
    """

    NONE = "none"
    MMAP_READ = "mmap_read"
    MMAP_WRITE = "mmap_write"
    MMU_READ = "mmu_read"
    MMU_WRITE = "mmu_write"


class Outcome(Enum):
    """What became of a stage's effect; only a charge can be tried again or given up."""

    DONE = "done"
    AGAIN = "again"
    GIVEN_UP = "given_up"


class Stage(NamedTuple):
    """One step of a path."""

    cause: TimeCause
    ticks: int
    effect: Effect = Effect.NONE
    lock: Lock = Lock.NONE
    """Held for `ticks`; waiting for it comes on top, under the same cause."""


Stages = Generator[Stage, Outcome, None]
"""Yields stages; receives what became of the stage's effect."""


@dataclass(frozen=True, slots=True)
class KvmCosts:
    """Ticks; per page where a page is what is handled, `copy` per KiB."""

    exit: int
    entry: int
    trap: int
    host_irq: int
    inject: int
    ordinary_exit: int
    walk_table: int
    charge: int
    pin: int
    unpin: int
    map_cold: int
    map_present: int
    unmap: int
    fault: int
    vmm_exit: int
    setrlimit: int
    prefault: int
    copy: int
    swap_in: int
    remote: int
    access_flag: int
    drain: int = 0


class View(NamedTuple):
    """What a hook may look at: page counts of the window and of the fault, bytes to copy out."""

    window_pages: int
    table_pages: int
    unmapped_pages: int
    pinned_pages: int
    missing_pages: int
    to_pin: int
    """Pages of the window that are not pinned yet."""
    stale_pages: int = 0
    """Pinned pages that are not of the window."""
    copy_bytes: int = 0
    copy_missing: int = 0
    """Pages of the records to copy, and their tables, that have no stage 2 entry."""
    memory_pages: int = 0
    fault_wait: int = 0
    """Ticks until the pages of the fault are in the host's memory; likewise of window and copy."""
    window_wait: int = 0
    copy_wait: int = 0
    pins_lost: bool = False
    """A real unmap has taken this window's pins away."""
    fault: Fault = Fault.TRANSLATION
    """What PMBSR says of the fault."""
    level: int = 3
    """The lookup level of it."""
    old_pages: int = 0
    """Pages on the way of the fault that have an entry without the access flag."""


Hook = Callable[[KvmCosts, View], Stages]
"""What a design does at one point of the hypervisor's paths."""


def nothing() -> Stages:
    """A hook that a value has no use for."""
    yield from ()
