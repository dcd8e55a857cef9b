"""Entries that are there and fault: the access flag, write permission, and what the SPU updates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from sim.host.migration import Migration
from sim.host.pressure import Touch
from sim.kvm.tables import BLOCK, LEAF, FlagUpdates, Lack, Stage2, stage1_tables
from sim.ledger import TimeCause
from sim.linux.aux import Geometry
from sim.machine.machine import ENGINES, Machine
from sim.policies.stages import LEVELS, Fault
from sim.results import RunResult
from sim.scenario.models.designs import DESIGNS
from sim.spe.buffer import EC_STAGE2_ABORT
from tests.rigs.small_machine import (
    PAGE,
    RUN,
    STREAM,
    WORK,
    faults_of,
    often,
    ran,
    spec,
    stopped,
)

VA = 0xFFFF_8000_0000_0000
SOFTWARE = FlagUpdates(access=False)
OFF: dict[str, Any] = {"flag_updates": False, "memory": 64 * PAGE}
MIGRATED: dict[str, Any] = {
    "migration": Migration(WORK // 10, 3, WORK // 10, 0, 0, post_copy=False),
    "memory": 64 * PAGE,
}
PINNED = ("v3-mlock", "v5-memslot-lock", "v6", "v7-guest-memfd")


def _stage2(updates: FlagUpdates = SOFTWARE, pages: int = 8) -> Stage2:
    return Stage2(stage1_tables(VA, pages * PAGE, PAGE), warm=True, updates=updates)


# --- entries ---------------------------------------------------------------------------------


def test_a_fault_says_what_the_entry_lacks() -> None:
    """Validity before the access flag, the flag before the permission; the level is the leaf's."""
    stage2 = _stage2()
    for take, fault in (
        (stage2.write_protect, Fault.PERMISSION),
        (stage2.age, Fault.ACCESS_FLAG),
        (stage2.unmap, Fault.TRANSLATION),
    ):
        take(3)
        assert stage2.fault(3) == (fault, LEAF)
        assert stage2.fsc(3) == fault.value | 3
        assert not stage2.translates[3]
    assert stage2.translates.sum() == 7


def test_a_set_flag_leaves_the_permission_to_another_fault() -> None:
    """handle_access_fault sets the flag and nothing else; a map makes the entry anew."""
    stage2 = _stage2()
    stage2.age(3)
    stage2.write_protect(3)
    stage2.mark_accessed(3)
    assert stage2.fault(3) == (Fault.PERMISSION, LEAF)
    stage2.map(3)
    stage2.age(3)
    assert stage2.lacks[3] == Lack.ACCESS  # of the entry before nothing is left
    stage2.mark_accessed(3)
    assert stage2.translates[3]


def test_the_first_page_in_the_way_is_blamed() -> None:
    """A stage 1 table whose flag is clear faults every walk through it, before the page does."""
    stage2 = _stage2()
    root = stage2.tables.walk[0][0]
    stage2.unmap(5)
    stage2.age(root)
    assert [stage2.fault(page)[0] for page in range(8)] == [Fault.ACCESS_FLAG] * 8
    assert stage2.old(5) == [root]
    assert stage2.missing(5) == [root, 5]
    stage2.mark_accessed(root)
    assert stage2.fault(5) == (Fault.TRANSLATION, LEAF)


def test_a_whole_block_that_is_gone_faults_a_level_higher() -> None:
    """2 MiB of a buffer of 4: the table that held its entries went with the last of them."""
    stage2 = _stage2(pages=1024)
    for page in range(511):
        stage2.unmap(page)
    assert stage2.fault(0) == (Fault.TRANSLATION, LEAF)
    stage2.unmap(511)
    assert stage2.fault(0) == (Fault.TRANSLATION, BLOCK)
    stage2.unmap(512)
    assert stage2.fault(512) == (Fault.TRANSLATION, LEAF)
    stage2.map(7)
    assert stage2.fault(0) == (Fault.TRANSLATION, LEAF)
    small = _stage2()
    for page in range(8):
        small.unmap(page)  # others lie in its block
    assert small.fault(0) == (Fault.TRANSLATION, LEAF)
    small.unmap_all()
    assert small.fault(0) == (Fault.TRANSLATION, BLOCK)


# --- ageing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("design", PINNED)
def test_ageing_reaches_pinned_and_deaf_designs(design: str) -> None:
    """U1: no pin and no notifier policy keeps the access flag; with PMBIDR.F the SPU sets it."""
    aged = often(Touch.AGE)
    memlock: dict[str, Any] = {"memlock": 1 << 40}
    assert faults_of(ran(design, **aged, **OFF, **memlock)) > 0
    updating = ran(design, **aged, **OFF | {"flag_updates": True}, **memlock)
    assert (faults_of(updating), updating.zaps) == (0, 0)


def test_a_bounce_buffer_is_the_hypervisors_own() -> None:
    """KVM's memory is not aged."""
    assert faults_of(ran("bounce-buffer", **often(Touch.AGE), **OFF)) == 0


def test_each_access_flag_fault_costs_its_own_time() -> None:
    """By hand: as many faults as blackouts of that cause, `t_access_flag` each, nothing pinned
    again."""
    run = ran("v7-guest-memfd", **often(Touch.AGE), **OFF)
    faults, costs = faults_of(run), spec("v6").vm.kvm
    assert faults > 10
    assert run.vcpus[0].blackouts["access_flag"].count == faults
    assert "fault" not in run.vcpus[0].blackouts
    assert stopped(run, TimeCause.FAULT) == faults * costs.access_flag


def test_an_error_for_an_access_flag_ends_the_event() -> None:
    """v5's answer to any fault, on memory that it has pinned; one that looks at the status goes
    on."""
    aged: dict[str, Any] = {**often(Touch.AGE), **OFF, "memlock": 1 << 40}
    assert faults_of(ran("v5-memslot-lock", **aged)) == 1
    answered = ran("v5-memslot-lock", {"stage2_fault": "fix_flags_or_error"}, **aged)
    assert faults_of(answered) > 10
    assert answered.vcpus[0].ledgers.ops.as_dict()["event_disabled"] == 0


def test_a_policy_that_looks_at_the_status_does_not_pin_again() -> None:
    """pin_then_resume charges and pins for an access flag what is pinned already."""
    aged: dict[str, Any] = {**often(Touch.AGE), **OFF, "memlock": 1 << 40}
    words = ("pin_then_resume", "fix_flags_or_pin")
    blind, seeing = (ran("v6", {"stage2_fault": word}, **aged) for word in words)
    assert faults_of(blind) > 10
    charges = (stopped(run, TimeCause.PIN) for run in (blind, seeing))
    assert next(charges) > 2 * next(charges)
    assert stopped(blind, TimeCause.FAULT) == 0 < stopped(seeing, TimeCause.FAULT)


# --- dirty logging ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dirty_bit", "flag_updates", "faults"),
    [(False, True, True), (False, False, True), (True, False, True), (True, True, False)],
)
def test_the_dirty_log_takes_a_permission(
    dirty_bit: bool, flag_updates: bool, faults: bool
) -> None:
    """A read-only entry faults the SPU; one with a dirty state does so unless PMBIDR.F is 1."""
    flags = {"dirty_bit": dirty_bit, "flag_updates": flag_updates}
    run = ran("v6", {"unpin": "never"}, **MIGRATED, **flags, memlock=1 << 40)
    found = run.vcpus[0].blackouts
    assert ("permission" in found) is faults
    if faults:
        assert found["permission"].count > 3


def _seen(design: str, policies: dict[str, Any], engine: str, **changes: Any) -> set[int]:
    """What KVM reads in PMBSR.MSS of stage 2 faults."""
    machine = Machine(spec(design, policies, **changes), (STREAM,), RUN, ENGINES[engine])
    spu, seen = machine.vcpus[0].spu, set()
    read = spu.read_pmbsr

    def reading() -> Any:
        status = read()
        if status.ec == EC_STAGE2_ABORT:
            seen.add(status.mss)
        return status

    hypervisor = machine.vcpus[0].hypervisor
    assert hypervisor is not None
    hypervisor._spu = _Spied(spu, reading)  # type: ignore[assignment]
    machine.run()
    return seen


class _Spied:
    """The SPU, its PMBSR read by another."""

    def __init__(self, spu: Any, reading: Any) -> None:
        self.__dict__.update(inner=spu, read_pmbsr=reading)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_pmbsr_says_why(engine: str) -> None:
    """FSC 0b001011, 0b001111 and 0b000111 as they land in PMBSR_EL1, in both engines."""
    everything = {
        **often(Touch.AGE),
        **OFF,
        **MIGRATED,
        "memlock": 1 << 40,
        "aux": Geometry(8 * PAGE, PAGE, 2 * PAGE),
    }
    flags = {"stage2_fault": "fix_flags_or_error"}
    seen = _seen("v5-memslot-lock", flags, engine, **everything)
    assert _faults(seen) == {(Fault.ACCESS_FLAG, LEAF), (Fault.PERMISSION, LEAF)}
    zapped = _seen("unpinned", {}, engine, **often(Touch.ZAP))
    assert _faults(zapped) == {(Fault.TRANSLATION, LEAF)}
    dropped = _seen("unpinned", {}, engine, memslot_changes=WORK // 20)
    assert (Fault.TRANSLATION, BLOCK) in _faults(dropped)


def _faults(seen: Iterable[int]) -> set[tuple[Fault, int]]:
    return {(Fault(mss & ~LEVELS), mss & LEVELS) for mss in seen}


# --- what a design claims --------------------------------------------------------------------


def test_no_design_claims_that_its_pages_cannot_fault() -> None:
    """`keeps_entries` is about notifiers: of the designs that keep them, all but one with a buffer
    of its own fault on an aged page."""
    keeping = [name for name, design in DESIGNS.items() if design.policies.bundle.keeps_entries]
    aged: dict[str, Any] = {**often(Touch.AGE), **OFF, "memlock": 1 << 40}
    faulting = {name for name in keeping if faults_of(ran(name, **aged))}
    assert set(keeping) - faulting == {"bounce-buffer"}
    assert {"v6", "v7-guest-memfd", "first-fault"} <= faulting


def test_both_engines_agree_where_nothing_but_flags_is_taken() -> None:
    """Also where stops would be served ahead of time."""

    def numbers(result: RunResult) -> Any:
        vcpu = result.vcpus[0]
        return vcpu.ledgers.as_dict(), vcpu.blackouts, vcpu.profile.tolist()

    for design in ("unpinned", "v6"):
        chosen = spec(design, **often(Touch.AGE), **OFF, memlock=1 << 40)
        quiet = replace(RUN, keep_log=False)
        runs = [Machine(chosen, (STREAM,), quiet, factory).run() for factory in ENGINES.values()]
        assert numbers(runs[0]) == numbers(runs[1])
