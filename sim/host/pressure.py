"""The host invalidates stage 2: processes that take pages of the AUX buffer away.

Fidelity note, by kind of pressure (published rates; kernel sources and mails in parameters.toml):

* NUMA balancing (`unmap: published`, `numa_balancing`) makes every page of the guest PROT_NONE once
  per sweep, in scans of 256 MiB (task_numa_work, numa_balancing_scan_size_mb): one MMU notifier for
  the whole range (change_pud_range), before any page is looked at. So pinned pages are zapped too,
  and all that lies within one scan goes in one instant: a piece of the buffer that is contiguous in
  guest memory (`buffer.physical`) in one burst. Where a piece lies does not change.
* `ksm` write-protects a page that it is about to merge, and notifies before it looks at the
  reference count (write_protect_page in mm/ksm.c): a pinned page loses its stage 2 entry too, and
  stays. It merges only what has not changed between two scans, and a buffer in use has: `ksm` is an
  upper bound.
* `khugepaged` passes over a pinned page, and over all that it would have collapsed with it.
* `compaction` moves pages. Of anonymous memory (`vm.memory_kind`) it skips pinned ones; of shared
  memory (memfd, shmem), which has a mapping, it unmaps first and gives up then (mm/compaction.c).
* `reclaim` takes cold pages out of memory; the next access waits for `t_swap_in`. Of shared memory
  it unmaps a folio before it asks whether that may be pinned (mm/vmscan.c). A buffer in use is not
  cold: an upper bound too.
* `ageing` clears the access flag of pages, pinned or not, and unmaps nothing: reclaim, DAMON and
  idle page tracking do so to see what is used (clear_young, clear_flush_young; stage2_age_walker in
  arch/arm64/kvm/hyp/pgtable.c). The SPU's next write faults unless it sets the flag itself
  (`spe.flag_updates`). The pace is DAMON's at its most (1,000 regions, a page of each every 5 ms),
  at random places; the kernel's own ageing for reclaim is rarer. guest_memfd is aged through the
  VMM's mapping of it: one that no VMM maps would not be, so for v7 this is an upper bound.
* `memslot_change` is a real unmap of the whole buffer: every design honours it, pins go with it.
* `ballooning`, `free_page_reporting` discard free guest pages, never the buffer's. But KVM maps a
  huge page as one block and unmaps a block whole, whatever part of it goes (stage2_unmap_walker in
  arch/arm64/kvm/hyp/pgtable.c); the host has split the huge page (__split_huge_pmd, whose notifier
  names all of it), so its other pages come back one by one and it is hit once. Without
  `vm.huge_pages` nothing happens. perf allocates the AUX area in chunks as large as its watermark
  (rb_alloc_aux, 6.1), and a chunk of a huge page's size has no neighbour; since May 2025 it takes
  single pages for SPE: `buffer.physical` says which, `scattered` is an upper bound. Balloon pages
  are taken to lie anywhere in guest memory (UNVERIFIED). The guest reports no less than a page
  block, which is a huge page but with 64 KiB pages: 2 MiB of 512 MiB
  (drivers/virtio/virtio_balloon.c). v3's mlock() forbids discarding altogether: not modelled.
* `poisson`: pages at random. `per_window`: every page of a window when the window is enabled
  ("always cold", an upper bound). `per_record`: a page after every record written to it.

The buffer's pieces lie anywhere in guest memory, so they are hit one by one, in hashed order, or by
exponential gaps. A zap passes through the design's MMU notifier policy. Not modelled: blocks, but
for ballooning; the time that the host spends; unmapping of stage 1 table pages by other kinds than
ballooning and a memslot change (they are 0.5 % of the pages); `per_record` where a VMM has answered
`run_unpinned` to a design that pins. Live migration is in `sim.host.migration`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from sim import draws
from sim.engine import Engine, Kind, Process

SWEEP_MEMORY = 16 << 30
"""Guest size for which published periods and rates are given, bytes."""


class Touch(Enum):
    """What happens to a page."""

    ZAP = "zap"
    """An MMU notifier takes the stage 2 entry away; the page stays where it is."""
    MOVE = "move"
    """The same, but a pinned page is passed over: it can be neither merged nor moved."""
    SWAP_OUT = "swap_out"
    """As MOVE, and the page has to be read back."""
    UNMAP_THEN_SWAP = "unmap_then_swap"
    """Unmapped, pinned or not, before a pin is noticed; what is not pinned is swapped out."""
    BLOCK = "block"
    """A neighbour in the same huge page is discarded, and KVM unmaps a block as a whole."""
    AGE = "age"
    """The access flag is cleared; the entry stays, and the page."""
    WRITE_PROTECT = "write_protect"
    """Dirty logging: no notifier; the next write faults, pinned or not."""


class Target(Protocol):
    """One vCPU's AUX buffer as the host sees it."""

    pages: int

    def touch(self, page: int, how: Touch) -> bool:
        """Do it unless the design or a pin prevents it; true if the stage 2 entry has changed."""

    def zap(self, first: int, last: int) -> int:
        """`Touch.ZAP` of every buffer page in [first, last); how many went."""

    def movable(self, pages: Iterable[int]) -> bool:
        """Is none of these pages pinned?"""

    def gone(self) -> int:
        """The memslot went: every page and table, and what was pinned; how many pages."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Each page once per period: quantile table of the period in ticks, and the draw key.

    `piece` adjacent pages lie together, and go together where a sweep is made of `scans` steps
    (0: page by page).
    """

    periods: tuple[int, ...]
    key: int
    touch: Touch = Touch.ZAP
    piece: int = 1
    scans: int = 0

    def order(self, pages: int, period: int) -> list[tuple[int, int]]:
        """(ticks into a sweep, first page of a piece), ascending."""
        pieces = range(0, pages, self.piece)
        return sorted((self._due(first, period), first) for first in pieces)

    def _due(self, first: int, period: int) -> int:
        """When the place in guest memory where a piece lies has its turn."""
        ordinal = (1 << 24) + first
        if self.scans == 0:
            return draws.below(self.key, ordinal, period)
        return draws.below(self.key, ordinal, self.scans) * period // self.scans


@dataclass(frozen=True, slots=True)
class Random:
    """`span` adjacent pages at random: quantile table of the gap in ticks, and the draw key."""

    gaps: tuple[int, ...]
    key: int
    touch: Touch = Touch.ZAP
    span: int = 1


@dataclass(frozen=True, slots=True)
class Blocks:
    """Groups of pages that lie in one huge page each, with other pages: a group goes once, when a
    first neighbour is discarded. Quantile table of that time in ticks, and the draw key."""

    gaps: tuple[int, ...]
    key: int
    groups: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class MemslotChange:
    """The whole buffer, every `gap` ticks."""

    gap: int


Pressure = Sweep | Random | Blocks | MemslotChange


class Host:
    """Everything that the host does to the guests' buffers; counts the pages that went."""

    def __init__(self, engine: Engine, per_window: bool) -> None:
        self._engine = engine
        self._per_window = per_window
        self.targets: dict[int, Target] = {}
        self.zaps = 0

    def add(self, vcpu: int, target: Target, pressures: Sequence[Pressure]) -> None:
        """Watch a vCPU's buffer; start the processes that press on it."""
        self.targets[vcpu] = target
        for pressure in pressures:
            match pressure:
                case Sweep():
                    self._engine.process(self.sweep(vcpu, target, pressure))
                case Random():
                    self._engine.process(self.random(vcpu, target, pressure))
                case Blocks():
                    self._engine.process(self.blocks(vcpu, target, pressure))
                case MemslotChange():
                    self._engine.process(self.change(vcpu, target, pressure))

    def window_enabled(self, vcpu: int, first: int, last: int) -> None:
        """unmap: per_window."""
        if self._per_window:
            self.zaps += self.targets[vcpu].zap(first, last)

    def sweep(self, vcpu: int, target: Target, pressure: Sweep) -> Process:
        """PROCESS NUMA balancing, KSM: each piece once per sweep, beginning inside a sweep."""
        turn = 0
        skip = draws.pick(pressure.periods, pressure.key, 0)
        skip = draws.below(pressure.key, 1 << 40, skip)
        while True:
            period = draws.pick(pressure.periods, pressure.key, turn)
            waited = 0
            for at, first in pressure.order(target.pages, period):
                if turn == 0 and at < skip:
                    continue
                due = at - (skip if turn == 0 else 0)
                yield self._engine.at(due - waited, Kind.HOST_UNMAP, vcpu)
                waited = due
                for page in range(first, min(first + pressure.piece, target.pages)):
                    self.touch(target, page, pressure.touch)
            rest = period - (skip if turn == 0 else 0) - waited
            yield self._engine.at(rest, Kind.HOST_UNMAP, vcpu)
            turn += 1

    def random(self, vcpu: int, target: Target, pressure: Random) -> Process:
        """PROCESS random unmapping: exponential gaps, uniform places."""
        ordinal = 0
        while True:
            gap = draws.pick(pressure.gaps, pressure.key, 2 * ordinal)
            yield self._engine.at(gap, Kind.HOST_UNMAP, vcpu)
            page = draws.below(pressure.key, 2 * ordinal + 1, target.pages)
            first = page - page % pressure.span
            group = range(first, min(first + pressure.span, target.pages))
            if pressure.span == 1 or target.movable(group):
                for hit in group:
                    self.touch(target, hit, pressure.touch)
            ordinal += 1

    def blocks(self, vcpu: int, target: Target, pressure: Blocks) -> Process:
        """PROCESS ballooning: each block that holds pages of the buffer, once."""
        key, groups = pressure.key, pressure.groups
        due = sorted((draws.pick(pressure.gaps, key, k), k) for k in range(len(groups)))
        waited = 0
        for at, k in due:
            yield self._engine.at(at - waited, Kind.HOST_UNMAP, vcpu)
            waited = at
            for page in groups[k]:
                self.touch(target, page, Touch.BLOCK)

    def change(self, vcpu: int, target: Target, pressure: MemslotChange) -> Process:
        """PROCESS memslot changes."""
        while True:
            yield self._engine.at(pressure.gap, Kind.HOST_UNMAP, vcpu)
            self.zaps += target.gone()

    def touch(self, target: Target, page: int, how: Touch) -> None:
        """One page; counted if it went."""
        if target.touch(page, how):
            self.zaps += 1


def shared_blocks(pages: int, tables: int, chunk: int, block: int) -> tuple[tuple[int, ...], ...]:
    """Groups of buffer pages, and table pages, that share a huge page of `block` pages with others.

    The guest has allocated the buffer in aligned chunks of `chunk` pages, table pages one by one.
    """
    alone = [(table,) for table in range(pages, pages + tables)]
    if chunk >= block:  # a chunk fills its huge pages: no neighbour in them to discard
        return tuple(alone)
    return (*(tuple(range(k, k + chunk)) for k in range(0, pages, chunk)), *alone)
