"""Designs as policies: what KVM does at each hook, as stages that the hypervisor process runs.

A hook is a generator of `Stage(cause, ticks, effect)`; the hypervisor spends the ticks, applies the
effect and sends back its outcome. Policies hold no state (that is in the VM) and know no simulator,
so the event sequences of a design can be read, and asserted, as a list.

Fidelity note. `on_enable` is RFC v6: walk, charge, pin, map, at each enable edge (v6 29/35,
33/35); unpinning on disable has indirect evidence only. `fix_and_resume` is option 2 of the 2022
thread (walk stage 1, map, resume). `inject_error` is v5's synthetic external abort (v5 33/38).
What v6 does on a hardware stage 2 fault is unknown; this preset fixes and resumes. Batch costs per
page are `t_pin`, `t_map_cold`, `t_map_present`, `t_unpin`, `t_unmap`: partly UNVERIFIED, see
parameters.toml.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum

from sim.ledger import TimeCause
from sim.scenario.model import Policies


class Effect(Enum):
    """What a stage changes when its time is over."""

    NONE = "none"
    CHARGE = "charge"
    PIN = "pin"
    MAP = "map"
    UNPIN = "unpin"
    UNMAP = "unmap"
    MAP_FAULTING = "map_faulting"
    INJECT_ABORT = "inject_abort"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a path."""

    cause: TimeCause
    ticks: int
    effect: Effect = Effect.NONE


Stages = Generator[Stage, bool, None]
"""Yields stages; receives whether the stage's effect succeeded."""


@dataclass(frozen=True, slots=True)
class KvmCosts:
    """Ticks; per page where a page is what is handled."""

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


@dataclass(frozen=True, slots=True)
class View:
    """What a hook may look at: page counts of the window and of the fault."""

    window_pages: int
    table_pages: int
    unmapped_pages: int
    pinned_pages: int
    missing_pages: int
    to_pin: int
    """Pages of the window that are not pinned yet."""


def on_enable(policies: Policies, costs: KvmCosts, view: View) -> Stages:
    """The guest enables the buffer: PMBLIMITR.E with S = 0, or S cleared with E = 1."""
    if policies.backing != "on_enable":
        return
    pages = view.window_pages + view.table_pages
    yield Stage(TimeCause.WALK, costs.walk_table * view.table_pages)
    while not (yield Stage(TimeCause.PIN, costs.charge, Effect.CHARGE)):
        if policies.retry == "reexecute":
            yield Stage(TimeCause.WALK, costs.walk_table * view.table_pages)
    yield Stage(TimeCause.PIN, costs.pin * view.to_pin, Effect.PIN)
    present = pages - view.unmapped_pages
    ticks = costs.map_cold * view.unmapped_pages + costs.map_present * present
    yield Stage(TimeCause.MAP, ticks, Effect.MAP)


def on_disable(policies: Policies, costs: KvmCosts, view: View) -> Stages:
    """The guest disables the buffer, or S becomes 1."""
    if policies.unpin != "on_disable" or view.pinned_pages == 0:
        return
    yield Stage(TimeCause.UNPIN, costs.unpin * view.pinned_pages, Effect.UNPIN)
    if policies.unmap_on_unpin:
        yield Stage(TimeCause.UNPIN, costs.unmap * view.pinned_pages, Effect.UNMAP)


def on_stage2_fault(policies: Policies, costs: KvmCosts, view: View) -> Stages:
    """A record's write missed stage 2."""
    if policies.stage2_fault == "inject_error":
        yield Stage(TimeCause.INJECT, costs.inject, Effect.INJECT_ABORT)
        return
    pages = view.missing_pages if policies.fix_scope == "walk" else min(1, view.missing_pages)
    yield Stage(TimeCause.FAULT, costs.fault * pages, Effect.MAP_FAULTING)


def honours_unmap(policies: Policies, *, pinned: bool) -> bool:
    """Does an MMU notifier other than a real unmap take a page's stage 2 entry away?"""
    return not (pinned and policies.notifiers == "unmap_only")
