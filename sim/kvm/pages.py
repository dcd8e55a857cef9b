"""The pages of one vCPU's buffer in KVM's hands: its window, pins, stage 2 entries, and who pays.

Fidelity note. Modelled: a pin is a page's, by the vCPU that the task is on; what one of them has
pinned another does not unmap; pins are charged as they are made (RFC v6 33/35) and held until they
are given back, a memslot goes or the VM ends, which is checked at the end. Holds no simulator: what
these changes cost and when they happen is `sim.policies` and `sim.kvm.hypervisor`. Not
modelled: huge pages (but see `sim.host.pressure`: ballooning).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.cpu.ports import Log
from sim.engine import MAX_VCPUS
from sim.kvm.tables import Absence, Stage2
from sim.kvm.vm import Vm
from sim.ledger import LawBrokenError


class Pages:
    """Buffer and table pages of the vCPU `index`; `window` is the one that was enabled last."""

    def __init__(self, vm: Vm, stage2: Stage2, index: int, log: Log) -> None:
        self.vm, self.stage2 = vm, stage2
        self._index, self._log = index, log
        self.granule = stage2.tables.granule
        self.window = stage2.window(0, 0)
        self.pins_lost = False  # a real unmap has taken them away since the window was enabled
        self._unpinned = self.window.pages  # what was unpinned last, and nobody else pinned then
        self._held = 0  # pages pinned and not unpinned again

    # --- the window ----------------------------------------------------------------------

    def open(self, first: int, last: int) -> None:
        """Buffer pages [first, last) are the window now."""
        self.window = self.stage2.window(first, last)
        self.pins_lost = False
        self.stage2.note_zaps(first, last)

    def pins(self) -> tuple[int, int]:
        """Pages that the vCPU which the task is on has pinned, and those of the window that it has
        not."""
        pinned = int(np.count_nonzero(self.stage2.pins))
        of_window = self.stage2.pinned_in(self.window) if pinned else 0
        return pinned, self.window.size - of_window

    def missing(self, page: int) -> Sequence[int]:
        """Pages that a fix of a fault on `page` maps."""
        return self.vm.policies.fix_scope.of(self.stage2.missing(page))

    def wait_for(self, pages: Iterable[int]) -> int:
        """Ticks until these pages are in the host's memory."""
        absent, costs = self.stage2.absent, self.vm.costs
        ticks = {Absence.SWAPPED: costs.swap_in, Absence.REMOTE: costs.remote}
        return sum(ticks[absent[page]] for page in pages if page in absent) if absent else 0

    # --- pins ----------------------------------------------------------------------------

    def payer(self, vcpu: int) -> int:
        """The vCPU in the locked-memory account: of the task's `vcpu`-th."""
        return self._index + vcpu * MAX_VCPUS

    def charge(self) -> int:
        """Charge what will be pinned; returns the excess (0: charged)."""
        pinned, new = self.pins()
        need = (pinned + new) * self.granule
        return self.vm.account.pin(self.payer(self.stage2.vcpu), need)

    def pin(self) -> None:
        """Pin the window and its tables."""
        pinned, new = self.pins()
        self.vm.account.counts.pinned_pages += new
        self._held += new
        self.stage2.pin(self.window)
        held = pinned + new
        self._log("PINNED_PAGES", held)
        # as charged, unless a memslot change has taken pins away since
        self.vm.account.hold(self.payer(self.stage2.vcpu), held * self.granule)

    def unpin(self, vcpu: int, keep: NDArray[np.int64] | None = None) -> None:
        """A vCPU gives its pins back, all but those on `keep`."""
        pins = self.stage2.pins_of(vcpu)
        pinned = gone = pins.nonzero()[0]
        if keep is not None:
            gone = np.setdiff1d(pinned, keep)
        pins[gone] = 0
        self._held -= gone.size
        held = pinned.size - gone.size
        self._log("PINNED_PAGES", held)
        self.stage2.move_to(self.stage2.vcpu)
        if self.vm.policies.unmap_on_unpin:
            self._unpinned = gone[~self.stage2.pinned(gone)]
        self.vm.account.hold(self.payer(vcpu), held * self.granule)

    # --- stage 2 -------------------------------------------------------------------------

    def map(self, pages: NDArray[np.int64]) -> None:
        """Make their entries valid."""
        self.stage2.map(pages)

    def map_window(self) -> None:
        """Those of the window."""
        if self.stage2.mapped_in(self.window) < self.window.size:
            self.map(self.window.pages)

    def map_all(self) -> None:
        """Populate: every page and table of the buffer."""
        self.map(np.arange(self.stage2.tables.total))

    def fix(self, page: int) -> None:
        """Answer a fault on a buffer page."""
        for missing in self.missing(page):
            self.stage2.map(missing)

    def mark_accessed(self, page: int) -> None:
        """Answer an Access Flag fault on a buffer page."""
        for old in self.vm.policies.fix_scope.of(self.stage2.old(page)):
            self.stage2.mark_accessed(old)

    def unmap_unpinned(self) -> None:
        """Take the entries away of what was unpinned last."""
        self.stage2.unmap(self._unpinned)

    def populate(self) -> None:
        """All guest memory is mapped, and pinned if the design says so."""
        self.map_all()
        if self.vm.policies.backing.pins_memory:
            self.stage2.pins[:] = 1
            self._held = self.stage2.pins.size

    def drop(self) -> int:
        """Every entry and pin goes; returns how many buffer pages were mapped."""
        self.pins_lost = bool(self.stage2.pins.any())
        gone = self.stage2.unmap_all()
        self._held = 0
        return gone

    def uncharge(self, vcpus: Iterable[int]) -> None:
        """Nothing is pinned any more on these vCPUs that the task has visited."""
        for vcpu in vcpus:
            self.vm.account.hold(self.payer(vcpu), 0)
        self._log("PINNED_PAGES", 0)

    def destroy(self) -> None:
        """The VM ends: every pin that is left goes; raises LawBrokenError if one was forgotten."""
        if (found := self.stage2.unpin_all()) != self._held:
            raise LawBrokenError(f"pins: {found:,} pages are pinned, {self._held:,} by the books")
        self._held = 0
