"""MMU notifiers: which pinned pages the host can take, by design."""

from __future__ import annotations

import random
from typing import Any
from unittest.mock import MagicMock

import pytest

from sim.host.pressure import Touch
from sim.kvm.notifiers import GuestBuffer
from sim.kvm.tables import Stage2, stage1_tables
from sim.ledger import TimeCause
from sim.linux.aux import Geometry
from sim.machine.spec import UnmapSpec
from tests.rigs.small_machine import PAGE, WORK, faults_of, often, ran, stopped
from tests.sim.policies.played import (
    bundle,
)


@pytest.mark.parametrize("touch", [Touch.MOVE, Touch.SWAP_OUT])
def test_what_is_pinned_does_not_move(touch: Touch) -> None:
    """THP collapse, and of anonymous memory compaction and reclaim, pass over a pinned window,
    whatever the notifiers; NUMA balancing's PROT_NONE and KSM's write protection do not."""
    assert faults_of(ran("v6", {"notifiers": "honour_all"}, **often(touch))) == 0
    assert faults_of(ran("unpinned", **often(touch))) > 0
    assert faults_of(ran("v6", {"notifiers": "honour_all"}, **often(Touch.ZAP))) > 0


def test_shared_memory_is_unmapped_before_a_pin_is_noticed() -> None:
    """Reclaim of a memfd takes a pinned page's stage 2 entry, and leaves the page in memory; a
    design that ignores such notifiers does not notice."""
    policies, pressed = {"notifiers": "honour_all"}, often(Touch.UNMAP_THEN_SWAP)
    pinned, free = ran("v6", policies, **pressed), ran("unpinned", **pressed)
    assert faults_of(pinned) > 0
    paid = [stopped(run, TimeCause.FAULT) / faults_of(run) for run in (pinned, free)]
    assert paid[1] > 1.5 * paid[0]  # t_swap_in besides
    assert faults_of(ran("v6", {"notifiers": "unmap_only"}, **pressed)) == 0


def test_guest_memfd_yields_to_nobody() -> None:
    """v7's memory is not mapped from anywhere that could be unmapped."""
    for touch in (Touch.ZAP, Touch.MOVE, Touch.SWAP_OUT, Touch.UNMAP_THEN_SWAP):
        run = ran("v7-guest-memfd", memory=64 * PAGE, **often(touch))
        assert (faults_of(run), run.zaps) == (0, 0)


def test_a_page_that_another_vcpu_has_pinned_does_not_move() -> None:
    """A kept pin counts wherever the task is."""
    kept = {"unpin": "never", "notifiers": "honour_all"}
    fixed: dict[str, Any] = {"switch_ticks": WORK // 40, "visits": 2, **often(Touch.MOVE)}
    fixed |= {"aux": Geometry(2 * PAGE, PAGE, PAGE), "memlock": 1 << 40}
    assert ran("v6", kept, **fixed).zaps < ran("v6", {"notifiers": "honour_all"}, **fixed).zaps


@pytest.mark.parametrize("kind", ["published", "poisson"])
def test_pinned_pages_stay_under_unmap_only_and_go_under_honour_all(kind: str) -> None:
    """6.7: with v6's filter pressure never faults a record; the naive notifier does."""
    unmap = UnmapSpec(kind, (WORK // 64 // (32 if kind == "poisson" else 1),))
    pinned = ran("v6", unmap=unmap)
    naive = ran("v6", {"notifiers": "honour_all"}, unmap=unmap)
    assert pinned.vcpus[0].ledgers.selections.lost_at_fault == 0
    assert naive.vcpus[0].ledgers.selections.lost_at_fault > 0
    assert pinned.zaps > 0  # pages outside the window are not pinned
    assert naive.zaps > 0


def test_per_record_does_not_touch_pinned_pages() -> None:
    """The upper bound passes through the notifier policy too."""
    run = ran("v6", unmap=UnmapSpec("per_record"))
    assert run.vcpus[0].ledgers.selections.lost_at_fault == 0
    naive = ran("v6", {"notifiers": "honour_all"}, unmap=UnmapSpec("per_record"))
    assert naive.vcpus[0].ledgers.selections.lost_at_fault > 100


@pytest.mark.parametrize(
    ("notifiers", "pinned", "honoured"),
    [
        ("honour_all", True, True),
        ("honour_all", False, True),
        ("unmap_only", True, False),
        ("unmap_only", False, True),
    ],
)
def test_only_unmap_only_protects_and_only_pinned_pages(
    notifiers: str, pinned: bool, honoured: bool
) -> None:
    """6.7: an event that is no real unmap is ignored for pinned pages, if the design filters."""
    assert bundle("unpinned", notifiers=notifiers).on_invalidate(pinned=pinned) is honoured


@pytest.mark.parametrize("notifiers", ["honour_all", "unmap_only", "ignore"])
def test_a_window_zapped_at_once_is_zapped_page_by_page(notifiers: str) -> None:
    """Pinned here and elsewhere, mapped or not, old or not: the same pages go."""
    r = random.Random(notifiers)
    for _ in range(60):
        one, many = (_buffer(random.Random(seed), notifiers) for seed in [r.random()] * 2)
        first = r.randrange(one.pages)
        last = r.randrange(first, one.pages + 1)
        gone = sum(many.touch(page, Touch.ZAP) for page in range(first, last))
        assert one.zap(first, last) == gone
        for name in ("mapped", "lacks", "translates"):
            assert getattr(one.stage2, name).tolist() == getattr(many.stage2, name).tolist()


def _buffer(r: random.Random, notifiers: str) -> GuestBuffer:
    """Pages in every state, under a sampler that looks them up at each write."""
    stage2 = Stage2(stage1_tables(0, 16 * PAGE, PAGE), warm=True)
    for page in range(stage2.tables.total):
        stage2.pins[page], stage2.elsewhere[page] = r.randrange(2), r.randrange(2)
        r.choice([stage2.unmap, stage2.age, stage2.write_protect, stage2.map])(page)
    sampler = MagicMock()
    policies = bundle("unpinned", notifiers=notifiers)
    return GuestBuffer(policies, stage2, sampler, MagicMock())
