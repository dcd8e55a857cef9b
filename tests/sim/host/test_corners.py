"""Where host and hypervisor meet at an awkward moment: in the middle of a pin, with S = 1 pending,
on a page that is gone already, and in huge pages that are shared with others.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sim.host.pressure import Touch, shared_blocks
from sim.kvm.tables import Absence
from sim.ledger import OpLabel, TimeCause
from sim.machine.machine import ENGINES
from sim.machine.spec import BalloonSpec, PressureSpec
from sim.scenario.models.designs import DESIGNS, Policies
from tests.rigs.small_machine import STREAM, WORK
from tests.sim.host.corner import TABLES, after, faults_at, machine_of, names_of, time_of

# --- S = 1 that PMBIRQ has not reported yet ---------------------------------------------------


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize(("sync", "interrupts"), [("every_exit", False), ("irq_only", True)])
def test_an_ordinary_exit_is_an_exit(sync: str, interrupts: bool, engine: str) -> None:
    """v5 looks at PMBSR in every exit, so an ordinary one ends a blackout before the interrupt
    does; v6 waits for the interrupt."""
    machine = after(
        machine_of(
            "v6",
            {"pmbsr_sync": sync},
            engine,
            irq_latency=(3_000_000,),
            exits=(1_000_000,),
        )
    )
    names = names_of(machine)
    assert names.count("FULL") > 2
    assert ("PMBIRQ_AT_CORE" in names) is interrupts


def test_the_presets_read_pmbsr_as_their_series_says() -> None:
    """v6 26/35: memory's PMBSR changes at a maintenance interrupt; v5 33/38: at each exit."""
    sync = {name: design.policies.pmbsr_sync for name, design in DESIGNS.items()}
    assert sync["v6"] == sync["v6-lazy-unpin"] == "irq_only"
    assert sync["v5-memslot-lock"] == "every_exit"


# --- pages that are gone already -------------------------------------------------------------


def test_reclaim_takes_a_page_that_has_no_stage_2_entry() -> None:
    """It is still in memory, so it can be swapped out; its next write waits for it. What is pinned,
    or still on the source, cannot."""
    machine = machine_of("unpinned")
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


@pytest.mark.parametrize("unpin", ["on_disable", "after:1us"])
def test_locked_memory_stays_locked(unpin: str) -> None:
    """`unpin` is of windows: a composed whole_vm keeps its memory at a disable edge."""
    policies = {"backing": "whole_vm", "accounting": "per_pin", "unpin": unpin}
    machine = machine_of("unpinned", policies, unpin_after=64)
    stage2, done = machine.vcpus[0].stage2, machine.start()
    machine.engine.run(done)
    assert stage2 is not None
    assert stage2.pins.all()
    assert time_of(machine, TimeCause.UNPIN) == 0
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
    pinned = after(machine_of("v6", {"unpin": "never"}, pressures=often))
    unpinned = after(machine_of("unpinned", pressures=often))
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
    fixed = after(machine_of("unpinned", {}, engine, **BALLOON))
    assert fixed.host.zaps == 32 + TABLES
    assert 2 <= faults_at(fixed) <= 32
    told = after(machine_of("unpinned-error", {}, engine, **BALLOON))
    assert faults_at(told) == 1
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
    assert (faults_at(after(machine_of(design, policies, **BALLOON))) > 0) is faults
