"""Pressure on memory, live migration, locks and a busy host: what each does to which design."""

from __future__ import annotations

from collections import Counter

from sim.engine import Engine
from sim.host.pressure import Host, Touch
from sim.ledger import TimeCause
from sim.machine.spec import UnmapSpec
from tests.rigs.small_machine import WORK, faults_of, often, ran, spec, stopped


def test_a_page_that_was_reclaimed_takes_time_to_read_back() -> None:
    """Each fault on one costs t_swap_in on top; a page that only moved does not."""
    moved, swapped = (ran("unpinned", **often(t)) for t in (Touch.MOVE, Touch.SWAP_OUT))
    costs = spec("unpinned").vm.kvm
    assert stopped(moved, TimeCause.FAULT) == costs.fault * faults_of(moved)
    assert faults_of(swapped) > 0
    assert stopped(swapped, TimeCause.FAULT) == (costs.fault + costs.swap_in) * faults_of(swapped)


def test_pinning_brings_reclaimed_pages_back_first() -> None:
    """pin_user_pages waits for swapped pages; the same pressure without swap costs v6 no fault."""
    calm, swapped = (ran("v6", **often(t)) for t in (Touch.MOVE, Touch.SWAP_OUT))
    swap_in = spec("v6").vm.kvm.swap_in
    assert stopped(calm, TimeCause.FAULT) == 0
    assert stopped(swapped, TimeCause.FAULT) > 0
    assert stopped(swapped, TimeCause.FAULT) % swap_in == 0


def test_a_huge_page_takes_its_span() -> None:
    """khugepaged unmaps 512 pages at once: here, aligned groups of eight."""
    run = ran("unpinned", warm=True, **often(Touch.MOVE, span=8))
    single = ran("unpinned", warm=True, **often(Touch.MOVE))
    assert run.zaps > 2 * single.zaps


def test_host_notes_what_went() -> None:
    """`zaps` counts pages of memslot changes like any other."""
    run = ran("unpinned", memslot_changes=WORK // 10, unmap=UnmapSpec("never"))
    assert Counter(what for _, what, _ in run.vcpus[0].log)["FAULT"] == faults_of(run) > 0
    assert run.zaps >= 32
    assert isinstance(Host(Engine(), False).targets, dict)
