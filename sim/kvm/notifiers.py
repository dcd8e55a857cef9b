"""MMU notifiers: what the host does to a page passes through the design before stage 2 changes.

Fidelity note. Modelled: the policies `honour_all`, `unmap_only` and `ignore` (`on_invalidate`);
pins, which keep a page from being moved, merged or swapped but not its stage 2 entry from being
zapped, where the kernel notifies before it looks at the reference count (`sim.host.pressure`);
dirty logging, which asks no notifier; ageing, whose notifiers (clear_young, clear_flush_young) ask
neither a pin nor the policy, as nothing is invalidated; a memslot change, which every design
honours. Source: kvm_unmap_gfn_range and its callers; the notifier patches of RFC v5 and v6. Not
modelled: the time that KVM spends in a notifier.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from sim.host.pressure import Touch
from sim.kvm.hypervisor import Hypervisor
from sim.kvm.tables import Absence, Lack, Stage2
from sim.policies.bundle import Bundle
from sim.spe.spu import Sampler

_TAKEN = {Touch.AGE: int(Lack.ACCESS), Touch.WRITE_PROTECT: int(Lack.WRITE)}


@dataclass(slots=True)
class GuestBuffer:
    """The host's view of a vCPU's AUX buffer; a zap passes the design's notifier policy."""

    policies: Bundle
    stage2: Stage2
    sampler: Sampler
    hypervisor: Hypervisor
    pages: int = field(init=False)

    def __post_init__(self) -> None:
        self.pages = self.stage2.tables.pages

    def touch(self, page: int, how: Touch) -> bool:
        """Take a page's stage 2 entry away unless the design or a pin prevents it."""
        if not self._yields(page, how):
            return False
        if how in (Touch.SWAP_OUT, Touch.UNMAP_THEN_SWAP) and not self._pinned(page):
            self.stage2.absent.setdefault(page, Absence.SWAPPED)  # with a stage 2 entry or without
        if not self._changes(page, how):
            return False
        self.sampler.before_change()
        match how:
            case Touch.AGE:
                self.stage2.age(page)
            case Touch.WRITE_PROTECT:
                self.stage2.write_protect(page)
            case _:
                self.stage2.unmap(page)
        self.sampler.on_change()
        return True

    def zap(self, first: int, last: int) -> int:
        """`touch(page, Touch.ZAP)` of every buffer page in [first, last) at once; how many went."""
        stage2, pages = self.stage2, np.arange(first, last)
        yields = [self.policies.on_invalidate(pinned=pinned) for pinned in (False, True)]
        pages = pages[np.array(yields)[stage2.pinned(pages).astype(np.int64)]]
        pages = pages[stage2.there(pages)]
        if pages.size:
            self.sampler.before_change()
            stage2.unmap(pages)
            self.sampler.on_change()
        return int(pages.size)

    def _changes(self, page: int, how: Touch) -> bool:
        """Is there something to take?"""
        stage2 = self.stage2
        taken = _TAKEN.get(how)
        gone = taken is not None and not stage2.mapped[page] and stage2.lacks[page] & taken
        return stage2.has(page) and not gone

    def _yields(self, page: int, how: Touch) -> bool:
        pinned = self._pinned(page)
        match how:
            case Touch.AGE:
                return not self.stage2.updates.access
            case Touch.WRITE_PROTECT:
                updates = self.stage2.updates
                return self.policies.backing.write_protected and not updates.dirty
            case Touch.ZAP | Touch.UNMAP_THEN_SWAP:
                return self.policies.on_invalidate(pinned=pinned)
            case Touch.BLOCK:
                return self.policies.goes_with_block(pinned=pinned)
            case Touch.MOVE | Touch.SWAP_OUT:
                return not pinned and self.policies.on_invalidate(pinned=False)

    def movable(self, pages: Iterable[int]) -> bool:
        """Is none of them pinned?"""
        return not any(self._pinned(page) for page in pages)

    def _pinned(self, page: int) -> bool:
        return bool(self.stage2.pins[page] or self.stage2.elsewhere[page])

    def gone(self) -> int:
        """A memslot change, which every design honours."""
        return self.hypervisor.drop_stage2()
