"""Where host and hypervisor meet at an awkward moment: in the middle of a pin, with S = 1 pending,
on a page that is gone already, and in huge pages that are shared with others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from sim.host.migration import Migration
from sim.host.pressure import Touch, shared_blocks
from sim.kvm.tables import Absence
from sim.ledger import OpLabel, TimeCause
from sim.machine.machine import ENGINES, Machine
from sim.machine.resolve import machine_spec, stream_of
from sim.machine.spec import BalloonSpec, MachineSpec, PressureSpec
from sim.scenario.models.designs import DESIGNS, Policies
from sim.scenario.models.scenario import Arm, Settings
from tests.rigs.small_machine import PAGE, RUN, STREAM, WORK, spec

TABLES = 4


def _spec(design: str, policies: dict[str, Any] | None = None, **changes: Any) -> MachineSpec:
    """A guest of 64 pages that may lock what it wants."""
    fixed = {"memory": 64 * PAGE, "memlock": 1 << 40, "random_start": False}
    return spec(design, policies, **(fixed | changes))


def _machine(
    design: str, policies: dict[str, Any] | None = None, engine: str = "fast", **changes: Any
) -> Machine:
    return Machine(_spec(design, policies, **changes), (STREAM,), RUN, ENGINES[engine])


def _names(machine: Machine) -> list[str]:
    return [what for _, what, _ in machine.vcpus[0].log]


def _ran(machine: Machine) -> Machine:
    machine.run()
    return machine


def _time(machine: Machine, cause: TimeCause) -> int:
    return machine.vcpus[0].ledgers.time.stopped[cause]


def _faults(machine: Machine) -> int:
    return machine.vcpus[0].ledgers.selections.lost_at_fault


# --- S = 1 that PMBIRQ has not reported yet ---------------------------------------------------


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize(("sync", "interrupts"), [("every_exit", False), ("irq_only", True)])
def test_an_ordinary_exit_is_an_exit(sync: str, interrupts: bool, engine: str) -> None:
    """v5 looks at PMBSR in every exit, so an ordinary one ends a blackout before the interrupt
    does; v6 waits for the interrupt."""
    machine = _ran(
        _machine(
            "v6",
            {"pmbsr_sync": sync},
            engine,
            irq_latency=(3_000_000,),
            exits=(1_000_000,),
        )
    )
    names = _names(machine)
    assert names.count("FULL") > 2
    assert ("PMBIRQ_AT_CORE" in names) is interrupts


def test_the_presets_read_pmbsr_as_their_series_says() -> None:
    """v6 26/35: memory's PMBSR changes at a maintenance interrupt; v5 33/38: at each exit."""
    sync = {name: design.policies.pmbsr_sync for name, design in DESIGNS.items()}
    assert sync["v6"] == sync["v6-lazy-unpin"] == "irq_only"
    assert sync["v5-memslot-lock"] == "every_exit"


@pytest.mark.parametrize("sync", ["every_exit", "irq_only"])
def test_downtime_does_not_leave_a_stop_in_the_hardware(sync: str) -> None:
    """A thread that leaves its CPU takes the SPU's state along: the event is the guest's on the
    destination, no interrupt of the source's SPU is."""
    slow: dict[str, Any] = {"irq_latency": (1_000_000,)}
    still = _ran(_machine("v7-guest-memfd", {"pmbsr_sync": sync}, **slow))
    full = next(t for t, what, _ in still.vcpus[0].log if what == "FULL")
    begun = _time(still, TimeCause.PREFAULT)
    move = Migration(full - begun, 1, 100, 0, 10_000_000, post_copy=False)
    moved = _ran(_machine("v7-guest-memfd", {"pmbsr_sync": sync}, migration=move, **slow))
    names = _names(moved)
    first, paused = names.index("FULL"), names.index("downtime")
    assert names.index("inject") in range(first, paused)
    assert "PMBIRQ_AT_CORE" not in names[first:paused]
    assert names.index("VIRQ") > paused


# --- in the middle of a pin ------------------------------------------------------------------


def test_a_pin_that_a_migration_meets_is_made_again_from_the_source() -> None:
    """Post-copy arrives while v6 pins: the vCPU finishes on the source, and on the destination the
    window and its tables are fetched before they are pinned."""
    kvm = replace(_spec("v6").vm.kvm, pin=1_000_000)
    move = Migration(0, 1, 3_000_000, 0, 64_000_000, post_copy=True)
    machine = _ran(_machine("v6", migration=move, kvm=kvm))
    names = _names(machine)
    assert names.index("PINNED_PAGES") < names.index("downtime") < names.index("RUN", 5)
    fetched = [value for _, what, value in machine.vcpus[0].log if what == "fault"]
    assert fetched[0] == (2 + TABLES) * kvm.remote


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("at", [1, 2, 3, 5, 8])
def test_what_is_pinned_is_charged_whenever_a_memslot_goes(at: int, engine: str) -> None:
    """Between charge, pin and map: per pin, VmLck is what is pinned."""
    kvm = replace(_spec("v6").vm.kvm, charge=1_000_000, pin=1_000_000, map_present=1_000_000)
    machine = _machine(
        "v6", {"accounting": "per_pin", "unpin": "never"}, engine, kvm=kvm, max_buffer=1 << 62
    )
    vcpu, done = machine.vcpus[0], machine.start()
    machine.engine.run(at * 1_000_000)
    assert vcpu.hypervisor is not None
    assert vcpu.stage2 is not None
    vcpu.hypervisor.drop_stage2()
    machine.engine.run(done)
    pinned = int(np.count_nonzero(vcpu.stage2.pins))
    assert pinned > 0
    assert machine.account.locked == pinned * PAGE
    machine.finish()


# --- pages that are gone already -------------------------------------------------------------


def test_reclaim_takes_a_page_that_has_no_stage_2_entry() -> None:
    """It is still in memory, so it can be swapped out; its next write waits for it. What is pinned,
    or still on the source, cannot."""
    machine = _machine("unpinned")
    vcpu, target = machine.vcpus[0], machine.host.targets[0]
    assert vcpu.stage2 is not None
    assert target.touch(3, Touch.ZAP)
    assert not target.touch(3, Touch.SWAP_OUT)  # no entry went
    assert vcpu.stage2.absent == {3: Absence.SWAPPED}
    vcpu.stage2.absent[4] = Absence.REMOTE
    vcpu.stage2.pins[5] = 1
    target.touch(4, Touch.SWAP_OUT)
    target.touch(5, Touch.SWAP_OUT)
    assert vcpu.stage2.absent == {3: Absence.SWAPPED, 4: Absence.REMOTE}


def test_swapped_pages_arrive_with_the_rest() -> None:
    """Pre-copy reads them back and sends them: on the destination no fault waits for swap."""
    late = Migration(WORK // 20, 1, 64_000, 0, 64_000, post_copy=False)
    machine = _machine("unpinned", migration=late)
    stage2, done = machine.vcpus[0].stage2, machine.start()
    assert stage2 is not None
    for page in range(8):
        machine.host.targets[0].touch(page, Touch.SWAP_OUT)
    machine.engine.run(done)
    kvm = machine.spec.vm.kvm
    assert stage2.absent == {}
    waited = _time(machine, TimeCause.FAULT) - kvm.swap_in  # for the page in use before
    assert waited > 0
    assert waited % kvm.fault == 0
    machine.finish()


def test_locked_memory_is_whole_on_the_destination() -> None:
    """v5 populates it before the VM runs there; pages that the dirty log had write-protected are
    mapped like the others, and still pinned."""
    policies = {"stage2_fault": "fix_and_resume"}
    move = Migration(WORK // 8, 2, WORK // 8, 0, 64_000, post_copy=False)
    machine = _machine("v5-memslot-lock", policies, migration=move)
    stage2, done = machine.vcpus[0].stage2, machine.start()
    machine.engine.run(done)
    assert stage2 is not None
    assert stage2.mapped.all()
    assert stage2.pins.all()
    machine.finish()
    assert _faults(machine) > 0


@pytest.mark.parametrize("unpin", ["on_disable", "after:1us"])
def test_locked_memory_stays_locked(unpin: str) -> None:
    """`unpin` is of windows: a composed whole_vm keeps its memory at a disable edge."""
    policies = {"backing": "whole_vm", "accounting": "per_pin", "unpin": unpin}
    machine = _machine("unpinned", policies, unpin_after=64)
    stage2, done = machine.vcpus[0].stage2, machine.start()
    machine.engine.run(done)
    assert stage2 is not None
    assert stage2.pins.all()
    assert _time(machine, TimeCause.UNPIN) == 0
    machine.finish()


# --- policies that need each other -----------------------------------------------------------


@pytest.mark.parametrize(
    ("policies", "says"),
    [
        ({"backing": "on_first_fault"}, "use stage2_fault: pin_then_resume"),
        ({"stage2_fault": "pin_then_resume"}, "use backing: on_first_fault"),
        ({"backing": "guest_memfd", "stage2_fault": "pin_then_resume"}, "backing: guest_memfd"),
    ],
)
def test_a_policy_that_could_have_no_effect_is_refused(policies: dict[str, str], says: str) -> None:
    """With the policy that it needs."""
    with pytest.raises(ValidationError, match=says):
        Policies.model_validate(policies)


def test_pins_at_a_fault_are_fine_where_windows_are_pinned() -> None:
    """The controls: option 4, and v6 with a second pin when one was lost."""
    for backing in ("on_first_fault", "on_enable"):
        assert Policies.model_validate({"backing": backing, "stage2_fault": "pin_then_resume"})


# --- huge pages ------------------------------------------------------------------------------


def test_khugepaged_collapses_all_or_nothing() -> None:
    """One pinned page in a span keeps it all; without pins the span goes."""
    often = (PressureSpec("khugepaged", Touch.MOVE, (WORK // 500,), span=32),)
    pinned = _ran(_machine("v6", {"unpin": "never"}, pressures=often))
    unpinned = _ran(_machine("unpinned", pressures=often))
    assert pinned.host.zaps <= 32  # at most once, before the first pin
    assert unpinned.host.zaps > 64


@pytest.mark.parametrize(
    ("chunk", "block", "groups"),
    [(8, 512, [8, 8, 1, 1, 1]), (1, 512, [1] * 19), (512, 512, [1, 1, 1]), (16, 4, [1, 1, 1])],
)
def test_who_shares_a_huge_page(chunk: int, block: int, groups: list[int]) -> None:
    """Chunks smaller than a block share it, pages and tables each once; larger ones fill it."""
    found = shared_blocks(16, 3, chunk, block)
    assert [len(group) for group in found] == groups
    pages = [page for group in found for page in group]
    assert len(set(pages)) == len(pages)
    assert {16, 17, 18} <= set(pages)


BALLOON: dict[str, Any] = {"balloons": (BalloonSpec("ballooning", (WORK // 2,), 32, 512),)}


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_ballooned_neighbour_takes_the_block(engine: str) -> None:
    """Unpinned: all pages go at once and come back one by one; where a fault is an error, the event
    ends. The block is page mappings from then on."""
    fixed = _ran(_machine("unpinned", {}, engine, **BALLOON))
    assert fixed.host.zaps == 32 + TABLES
    assert 2 <= _faults(fixed) <= 32
    told = _ran(_machine("unpinned-error", {}, engine, **BALLOON))
    assert _faults(told) == 1
    assert told.vcpus[0].ledgers.ops.by_label[OpLabel.EVENT_DISABLED] > STREAM.ops // 3


@pytest.mark.parametrize(
    ("design", "policies", "faults"),
    [
        ("v6", {}, False),
        ("v6", {"pin_maps": "blocks"}, True),
        ("v6", {"notifiers": "honour_all"}, True),
        ("v5-memslot-lock", {"stage2_fault": "fix_and_resume"}, True),
        ("v7-guest-memfd", {}, False),
        ("v7-guest-memfd", {"pin_maps": "blocks"}, False),
        ("bounce-buffer", {}, False),
    ],
)
def test_who_keeps_its_window_from_a_neighbour(
    design: str, policies: dict[str, str], faults: bool
) -> None:
    """Page mappings under a filter, guest_memfd's deaf notifiers and a buffer of KVM's own."""
    assert (_faults(_ran(_machine(design, policies, **BALLOON))) > 0) is faults


def _resolved(**keys: Any) -> MachineSpec:
    workload = {"kind": "synthetic", "phases": [{"name": "x", "length": 100, "iterations": 100}]}
    settings = Settings.model_validate({"workload": workload} | keys)
    arm = Arm(name="a", design="v6", policies=DESIGNS["v6"].policies, settings=settings)
    return machine_spec(arm, stream_of(settings))


def _press(kind: str, **keys: Any) -> dict[str, Any]:
    return {"pressure": [{"kind": kind} | keys]}


@pytest.mark.parametrize("kind", ["ballooning", "free_page_reporting"])
def test_nothing_happens_without_huge_pages(kind: str) -> None:
    """Free pages are never the buffer's: with page mappings there is nothing to take."""
    for granule in ("4KiB", "16KiB", "64KiB"):
        aux = "256KiB" if granule == "64KiB" else "128KiB"
        spec = _resolved(host=_press(kind), vm={"granule": granule}, driver={"aux": aux})
        assert spec.host.balloons == ()


@pytest.mark.parametrize(("granule", "reports"), [("4KiB", 0), ("16KiB", 0), ("64KiB", 1)])
def test_reports_are_parts_of_a_huge_page_with_64_kib_only(granule: str, reports: int) -> None:
    """A page block is a huge page; the virtio driver makes an exception for 64 KiB pages."""
    spec = _resolved(
        host=_press("free_page_reporting"),
        vm={"granule": granule, "huge_pages": True},
        driver={"aux": "256KiB"},
    )
    assert len(spec.host.balloons) == reports
    for balloon in spec.host.balloons:
        assert (balloon.block, balloon.chunk) == (8192, 2)
        assert sum(balloon.law) / len(balloon.law) == pytest.approx(2 * 192e9, rel=0.01)


@pytest.mark.parametrize(
    ("driver", "buffer", "chunk"),
    [
        ({"aux": "128KiB"}, "contiguous", 16),
        ({"aux": "128KiB", "watermark": "24KiB"}, "contiguous", 8),
        ({"aux": "128KiB", "capture": "snapshot"}, "contiguous", 32),
        ({"aux": "128KiB"}, "scattered", 1),
        ({"aux": "4MiB"}, "contiguous", 512),
    ],
)
def test_chunks_are_as_large_as_the_watermark(
    driver: dict[str, str], buffer: str, chunk: int
) -> None:
    """rb_alloc_aux; and a pace of t_balloon over all of memory."""
    host = _press("ballooning", buffer=buffer)
    (balloon,) = _resolved(host=host, vm={"huge_pages": True}, driver=driver).host.balloons
    assert (balloon.chunk, balloon.block) == (chunk, 512)
    assert sum(balloon.law) / len(balloon.law) == pytest.approx(2250e-9 * 8192 * 192e9, rel=0.01)
