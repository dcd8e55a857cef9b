"""Designs as policies: what KVM does at each hook, as stages that the hypervisor process runs.

A hook is a generator of `Stage(cause, ticks, effect)`; the hypervisor spends the ticks, applies the
effect and sends back its outcome. Policies hold no state (that is in the VM) and know no simulator,
so the event sequences of a design can be read, and asserted, as a list.

Fidelity note, by value of `backing`:

* `on_enable` is RFC v6: walk, charge, pin, map at each enable edge (v6 29/35, 33/35); unpinning on
  disable has indirect evidence only. `on_first_fault` is 2022 option 4: the same, once the first
  record of a window has faulted.
* `whole_vm` (v3, v5) and `guest_memfd` (v7) populate all memory before the guest first runs, at
  `t_prefault` per page (measured with VFIO on x86); afterwards an enable costs its traps only.
* `bounce_buffer` is the 2022 prototype: the SPU never faults; records are copied out at `t_copy`
  (UNVERIFIED), to pages that may have to be faulted in first.

`fix_and_resume` is option 2 of the 2022 thread (walk stage 1, map, resume). `inject_error` is v5's
synthetic external abort (v5 33/38) or the IMPLEMENTATION DEFINED event of Sep 2022. What v6 does on
a hardware stage 2 fault is unknown; its preset fixes and resumes. Batch costs per page are `t_pin`,
`t_map_cold`, `t_map_present`, `t_unpin`, `t_unmap`: partly UNVERIFIED, see parameters.toml.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum

from sim.ledger import TimeCause
from sim.scenario.designs import Policies


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


@dataclass(frozen=True, slots=True)
class Stage:
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


@dataclass(frozen=True, slots=True)
class View:
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


def on_configure(policies: Policies, costs: KvmCosts, view: View) -> Stages:
    """Before a vCPU first runs: all memory is populated, if that keeps the buffer mapped."""
    if policies.backing in ("whole_vm", "guest_memfd"):
        yield Stage(TimeCause.PREFAULT, costs.prefault * view.memory_pages, Effect.POPULATE)


def on_enable(policies: Policies, costs: KvmCosts, view: View) -> Stages:
    """The guest enables the buffer: PMBLIMITR.E with S = 0, or S cleared with E = 1."""
    if policies.backing == "on_enable":
        yield from _pin_window(policies, costs, view)


def _pin_window(policies: Policies, costs: KvmCosts, view: View) -> Generator[Stage, Outcome, bool]:
    """Walk, charge, pin, map; then what `on_next_enable` has kept of earlier windows goes.

    Returns whether the window is pinned.
    """
    pages = view.window_pages + view.table_pages
    walk = Stage(TimeCause.WALK, costs.walk_table * view.table_pages)
    yield walk
    if policies.accounting != "none" and not (yield from _charge_window(policies, costs, walk)):
        return False
    if view.window_wait:
        yield Stage(TimeCause.FAULT, view.window_wait)
    yield Stage(TimeCause.PIN, costs.pin * view.to_pin, Effect.PIN, Lock.MMAP_READ)
    present = pages - view.unmapped_pages
    ticks = costs.map_cold * view.unmapped_pages + costs.map_present * present
    yield Stage(TimeCause.MAP, ticks, Effect.MAP, Lock.MMU_READ)
    if policies.unpin == "on_next_enable" and view.stale_pages:
        yield Stage(TimeCause.UNPIN, costs.unpin * view.stale_pages, Effect.UNPIN_STALE)
        if policies.unmap_on_unpin:
            ticks = costs.unmap * view.stale_pages
            yield Stage(TimeCause.UNPIN, ticks, Effect.UNMAP, Lock.MMU_WRITE)
    return True


def _charge_window(
    policies: Policies, costs: KvmCosts, walk: Stage
) -> Generator[Stage, Outcome, bool]:
    """account_locked_vm, again after each KVM_EXIT_RLIMIT; whether it is charged in the end."""
    charge = Stage(TimeCause.PIN, costs.charge, Effect.CHARGE, Lock.MMAP_WRITE)
    while (outcome := (yield charge)) is Outcome.AGAIN:
        if policies.retry == "reexecute":
            yield walk
    return outcome is Outcome.DONE


def on_disable(policies: Policies, costs: KvmCosts, view: View) -> Stages:
    """The guest disables the buffer, or S becomes 1."""
    if policies.backing == "bounce_buffer" and policies.copy_out == "on_full":
        yield from on_copy_out(policies, costs, view)
    if not pins_windows(policies) or policies.unpin != "on_disable" or view.pinned_pages == 0:
        return
    yield Stage(TimeCause.UNPIN, costs.unpin * view.pinned_pages, Effect.UNPIN)
    if policies.unmap_on_unpin:
        ticks = costs.unmap * view.pinned_pages
        yield Stage(TimeCause.UNPIN, ticks, Effect.UNMAP, Lock.MMU_WRITE)


def on_stage2_fault(policies: Policies, costs: KvmCosts, view: View) -> Stages:
    """A record's write missed stage 2."""
    if is_told(policies, pins_lost=view.pins_lost):
        yield Stage(TimeCause.INJECT, costs.inject, Effect.INJECT_ERROR)
        return
    if policies.stage2_fault == "pin_then_resume" and (
        yield from _pin_window(policies, costs, view)
    ):
        return
    pages = view.missing_pages if policies.fix_scope == "walk" else min(1, view.missing_pages)
    ticks = costs.fault * pages + view.fault_wait
    yield Stage(TimeCause.FAULT, ticks, Effect.MAP_FAULTING, Lock.MMU_READ)


def on_pmbptr_read(policies: Policies, costs: KvmCosts, view: View) -> Stages:
    """The guest looks how far the SPU has come: the last moment for a lazy copy."""
    if policies.backing == "bounce_buffer":
        yield from on_copy_out(policies, costs, view)


def on_copy_out(policies: Policies, costs: KvmCosts, view: View) -> Stages:
    """Records go from KVM's buffer to the guest's: walk, fault in what is missing, copy."""
    if view.copy_bytes == 0:
        return
    yield Stage(TimeCause.WALK, costs.walk_table * view.table_pages)
    if view.copy_missing:
        yield Stage(TimeCause.FAULT, costs.fault * view.copy_missing + view.copy_wait)
    yield Stage(TimeCause.COPY, costs.copy * view.copy_bytes // 1024, Effect.COPY)


def on_invalidate(policies: Policies, *, pinned: bool) -> bool:
    """Does an MMU notifier other than a real unmap take a page's stage 2 entry away?"""
    if policies.notifiers == "ignore":
        return False
    return not (pinned and policies.notifiers == "unmap_only")


def is_told(policies: Policies, *, pins_lost: bool) -> bool:
    """Does the guest get an error for a stage 2 fault?"""
    lost = pins_lost and policies.lost_pin == "inject_error"
    return lost or policies.stage2_fault == "inject_error"


def goes_with_block(policies: Policies, *, pinned: bool) -> bool:
    """Does a page go when a neighbour in its huge page is discarded? KVM unmaps a block whole."""
    return on_invalidate(policies, pinned=pinned and policies.pin_maps == "pages")


def pins_windows(policies: Policies) -> bool:
    """Are pins made and ended while the guest runs? `whole_vm` holds its own to the VM's end."""
    return policies.backing in ("on_enable", "on_first_fault")


def keeps_window(policies: Policies) -> bool:
    """Can a page of an enabled window never be missing when the SPU writes it?"""
    if policies.backing == "bounce_buffer":
        return True
    return policies.backing != "none" and not on_invalidate(policies, pinned=True)
