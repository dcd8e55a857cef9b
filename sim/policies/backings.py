"""What keeps the buffer mapped at stage 2: the policy `backing`.

Fidelity note, by value:

* `on_enable` is RFC v6: walk, charge, pin, map at each enable edge (v6 29/35, 33/35); unpinning on
  disable has indirect evidence only. `on_first_fault` is 2022 option 4: the same, once the first
  record of a window has faulted.
* `whole_vm` (v3, v5) and `guest_memfd` (v7) populate all memory before the guest first runs, at
  `t_prefault` per page (measured with VFIO on x86); afterwards an enable costs its traps only.
* `bounce_buffer` is the 2022 prototype: the SPU never faults; records are copied out at `t_copy`
  (UNVERIFIED), to pages that may have to be faulted in first.

Batch costs per page are `t_pin`, `t_map_cold`, `t_map_present`, `t_unpin`, `t_unmap`: partly
UNVERIFIED, see parameters.toml.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.ledger import TimeCause
from sim.policies.stages import Effect, KvmCosts, Lock, Outcome, Stage, Stages, View, nothing
from sim.policies.values import Policy, Values

if TYPE_CHECKING:
    from sim.policies.bundle import Bundle


@dataclass(frozen=True, kw_only=True)
class Backing(Policy):
    """A value of `backing`. As it is, it does nothing at any hook; a value overrides what it does,
    and says what others must know of it."""

    holds: bool = True
    """Pages stay mapped unless a notifier that the design honours takes them."""
    populates: bool = False
    """All guest memory is mapped before the guest runs, on a live migration's destination too."""
    pins_memory: bool = False
    """All guest memory is pinned, and charged, before the guest runs."""
    pins_at_enable: bool = False
    """A pin of the window is made at an enable edge."""
    pins_at_fault: bool = False
    """A pin is made when a fault is answered, and not before."""
    bounces: bool = False
    """The SPU writes a buffer of KVM's own, which never faults and may be full first."""
    write_protected: bool = True
    """Dirty logging takes its pages' stage 2 entries."""
    exits_under_dirty_log: bool = False
    """With dirty logging on, an enable edge exits to the VMM."""

    @property
    def pins_windows(self) -> bool:
        """Are pins made and ended while the guest runs?"""
        return self.pins_at_enable or self.pins_at_fault

    def idles_at(self, hook: str) -> bool:
        """Does this value leave a hook as it is here?"""
        return getattr(type(self), hook) is getattr(Backing, hook)

    def on_configure(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """Before a vCPU first runs."""
        return nothing()

    def on_enable(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """The guest enables the buffer: PMBLIMITR.E with S = 0, or S cleared with E = 1."""
        return nothing()

    def on_disable(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """The guest disables the buffer, or S becomes 1."""
        return nothing()

    def on_pmbptr_read(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """The guest looks how far the SPU has come."""
        return nothing()

    def on_bounce_full(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """KVM's own buffer is full and the guest's is not."""
        return nothing()


@dataclass(frozen=True, kw_only=True)
class Populated(Backing):
    """All guest memory is populated before the guest first runs."""

    populates: bool = True

    def on_configure(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """Fault in and map every page."""
        yield Stage(TimeCause.PREFAULT, costs.prefault * view.memory_pages, Effect.POPULATE)


@dataclass(frozen=True, kw_only=True)
class PinnedWindow(Backing):
    """A window is pinned, and its pins end as `unpin` says."""

    spends: tuple[str, ...] = ("t_walk_table", "t_charge", "t_map_cold", "t_map_present")

    def on_enable(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """v6 pins here, option 4 does not."""
        if self.pins_at_enable:
            yield from pin_window(design, costs, view)

    def on_disable(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """The end of a pin is another policy's."""
        return design.unpin.on_disable(design, costs, view)


@dataclass(frozen=True, kw_only=True)
class BounceBuffer(Backing):
    """KVM's own buffer, copied to the guest's."""

    bounces: bool = True
    spends: tuple[str, ...] = ("t_walk_table", "t_copy")

    def on_disable(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """The eager copy."""
        return copy_out(costs, view) if design.copy_out.at_disable else nothing()

    def on_pmbptr_read(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """The last moment for a lazy copy."""
        return copy_out(costs, view)

    def on_bounce_full(self, design: Bundle, costs: KvmCosts, view: View) -> Stages:
        """Make room, so that the SPU can go on."""
        return copy_out(costs, view)


def pin_window(design: Bundle, costs: KvmCosts, view: View) -> Generator[Stage, Outcome, bool]:
    """Walk, charge, pin, map; then what the rule of unpinning has kept of earlier windows goes.

    Returns whether the window is pinned.
    """
    pages = view.window_pages + view.table_pages
    walk = Stage(TimeCause.WALK, costs.walk_table * view.table_pages)
    yield walk
    if design.accounting.charges and not (yield from _charge(design, costs, walk)):
        return False
    if view.window_wait:
        yield Stage(TimeCause.FAULT, view.window_wait)
    yield Stage(TimeCause.PIN, costs.pin * view.to_pin, Effect.PIN, Lock.MMAP_READ)
    present = pages - view.unmapped_pages
    ticks = costs.map_cold * view.unmapped_pages + costs.map_present * present
    yield Stage(TimeCause.MAP, ticks, Effect.MAP, Lock.MMU_READ)
    yield from design.unpin.on_pinned(design, costs, view)
    return True


def _charge(design: Bundle, costs: KvmCosts, walk: Stage) -> Generator[Stage, Outcome, bool]:
    """account_locked_vm, again after each KVM_EXIT_RLIMIT; whether it is charged in the end."""
    charge = Stage(TimeCause.PIN, costs.charge, Effect.CHARGE, Lock.MMAP_WRITE)
    while (outcome := (yield charge)) is Outcome.AGAIN:
        if design.retry.walks_again:
            yield walk
    return outcome is Outcome.DONE


def copy_out(costs: KvmCosts, view: View) -> Stages:
    """Records go from KVM's buffer to the guest's: walk, fault in what is missing, copy."""
    if view.copy_bytes == 0:
        return
    yield Stage(TimeCause.WALK, costs.walk_table * view.table_pages)
    if view.copy_missing:
        yield Stage(TimeCause.FAULT, costs.fault * view.copy_missing + view.copy_wait)
    yield Stage(TimeCause.COPY, costs.copy * view.copy_bytes // 1024, Effect.COPY)


BACKINGS = Values(
    "backing",
    "keeps the buffer mapped",
    Backing("none", "nothing", holds=False),
    Populated("whole_vm", "all guest memory locked before it runs", pins_memory=True),
    PinnedWindow("on_enable", "a pin when the guest enables it", pins_at_enable=True),
    PinnedWindow("on_first_fault", "a pin when it first faults", pins_at_fault=True),
    BounceBuffer("bounce_buffer", "a buffer of KVM's own, copied out"),
    Populated(
        "guest_memfd",
        "all guest memory pre-faulted in guest_memfd",
        write_protected=False,
        exits_under_dirty_log=True,
    ),
    between="; ",
)
