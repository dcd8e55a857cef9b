"""Translation of the profiling buffer: the guest's stage 1 tables and KVM's stage 2.

Fidelity note. Modelled: which table pages map an AUX area at a virtual address, for 4, 16 and 64
KiB granules (Arm ARM D8.2: 4, 4 and 3 levels for 48 bits), as pages of guest memory that need a
stage 2 mapping like the buffer itself; stage 2 validity and pins per page. A record's write
succeeds iff the buffer page and every table page of its walk are mapped: TLB invalidation is
broadcast, so a cached translation never outlives an unmap. An entry can be there and fault: with
its access flag clear (`age`: stage2_age_walker, which asks no pin), unless the SPU's walks set it
(PMBIDR.F); or read-only (`write_protect`: dirty logging), unless it has a dirty state (VTCR_EL2.HD,
FEAT_HAFDBS) that the SPU updates, which takes PMBIDR.F too. FEAT_HAFDBS and VTCR_EL2.HA are taken
to be there for the CPU's own accesses. Host, guest and stage 2 use one granule. A missing entry is
of level 3; of level 2 if a whole block of the buffer is gone, or all of stage 2. Not modelled:
block mappings, contiguous hints, stage 2 table pages (kernel memory, never unmapped), levels above
2; that the guest's own reads of a page (`perf record` copies it) set its flag again, and that a TLB
may keep an entry whose flag was cleared without an invalidation (clear_young: DAMON, idle page
tracking): both make ageing an upper bound.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import Enum, IntFlag
from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.policies.stages import Fault

_LEVELS = {4096: 4, 16384: 4, 65536: 3}
DESCRIPTOR_BYTES = 8
MAX_WINDOWS = 256
_AREAS = 64
"""AUX areas whose tables are kept: the arms and replications of a scenario share a few."""
LEAF, BLOCK = 3, 2
"""Levels at which stage 2 maps a page and a block, for every granule."""


_FIRST = itemgetter(0)
SomePages = int | NDArray[np.int64]
"""A page, or several."""


class Lack(IntFlag):
    """What an entry that the SPU cannot use is short of."""

    ENTRY = 1
    """It is not valid; the others say nothing then."""
    ACCESS = 2
    """The access flag."""
    WRITE = 4
    """Write permission."""


_ENTRY = int(Lack.ENTRY)
"""As an int: `&` of an IntFlag is Python code."""


@dataclass(frozen=True, slots=True)
class FlagUpdates:
    """What the SPU's own walks of stage 2 update in an entry, as a CPU's do."""

    access: bool = True
    dirty: bool = False

    @staticmethod
    def of(flag_updates: bool, dirty_bit: bool) -> FlagUpdates:
        """From PMBIDR.F and VTCR_EL2.HD."""
        return FlagUpdates(flag_updates, flag_updates and dirty_bit)


class Absence(Enum):
    """Where a page is that is not in the host's memory."""

    SWAPPED = "swapped"
    REMOTE = "remote"  # post-copy: on the source


@dataclass(frozen=True, slots=True)
class Window:
    """A profiling window as pages: buffer pages [first, last), then those of its tables."""

    first: int
    last: int
    table_pages: NDArray[np.int64]

    @property
    def tables(self) -> int:
        """How many table pages."""
        return self.table_pages.size

    @property
    def size(self) -> int:
        """How many pages."""
        return self.last - self.first + self.table_pages.size

    @property
    def pages(self) -> NDArray[np.int64]:
        """All of them, in this order."""
        return np.concatenate([np.arange(self.first, self.last), self.table_pages])


@dataclass(frozen=True, slots=True)
class Stage1Tables:
    """Table pages of an AUX area of `pages` pages at `va`: `walk[page]` lists them, root first.

    Table pages are numbered from `pages` on, one number space with the buffer's own pages, in the
    order in which a walk of page after page comes to them: `users` says for which buffer pages
    [first, last) each is read.
    """

    pages: int
    granule: int
    walk: tuple[tuple[int, ...], ...]
    users: tuple[tuple[int, int], ...]

    @property
    def tables(self) -> int:
        """How many table pages."""
        return len(self.users)

    @property
    def total(self) -> int:
        """Buffer pages and table pages."""
        return self.pages + self.tables

    def of_window(self, first: int, last: int) -> tuple[int, ...]:
        """Table pages that a walk of buffer pages [first, last) reads, each once."""
        if first >= last:
            return ()
        new = bisect_left(self.users, first + 1, key=_FIRST)
        end = bisect_left(self.users, last, key=_FIRST)
        return (*self.walk[first], *range(self.pages + new, self.pages + end))

    def window(self, first: int, last: int) -> Window:
        """Buffer pages [first, last) and their tables."""
        return Window(first, last, np.array(self.of_window(first, last), np.int64))


@lru_cache(maxsize=_AREAS)
def stage1_tables(va: int, size: int, granule: int) -> Stage1Tables:
    """Tables of a contiguous area of `size` bytes at `va`."""
    levels = _LEVELS[granule]
    shift = granule.bit_length() - 1
    entry_bits = (granule // DESCRIPTOR_BYTES).bit_length() - 1
    pages = size // granule
    numbers: dict[tuple[int, int], int] = {}
    users: dict[int, tuple[int, int]] = {}
    walks = []
    for page in range(pages):
        frame = (va >> shift) + page
        walk = []
        for level in range(levels):
            index = frame >> (entry_bits * (levels - level))
            table = numbers.setdefault((level, index), pages + len(numbers))
            first, _ = users.get(table, (page, page))
            users[table] = (first, page + 1)
            walk.append(table)
        walks.append(tuple(walk))
    return Stage1Tables(pages, granule, tuple(walks), tuple(users.values()))


def no_tables(size: int, granule: int) -> Stage1Tables:
    """FEAT_SPE_nVM: `size` bytes whose pointers no stage 1 translates."""
    pages = size // granule
    return Stage1Tables(pages, granule, ((),) * pages, ())


def _count_in(of: NDArray[Any], window: Window) -> int:
    """Pages of a window for which `of` is not 0."""
    buffer = np.count_nonzero(of[window.first : window.last])
    return int(buffer + np.count_nonzero(of[window.table_pages]))


class Stage2:
    """Stage 2 of one AUX area: which pages are mapped and pinned.

    `mapped` says that the SPU can use the entry; `lacks` why not, and says nothing where it can.
    `translates` [buffer pages], uint8, is what the SPU sees: page and tables mapped.
    """

    __slots__ = (
        "_pins",
        "_windows",
        "absent",
        "elsewhere",
        "lacks",
        "mapped",
        "pins",
        "tables",
        "translates",
        "updates",
        "vcpu",
    )

    def __init__(
        self, tables: Stage1Tables, warm: bool, updates: FlagUpdates = FlagUpdates()
    ) -> None:
        self.tables, self.updates = tables, updates
        self.lacks = np.full(tables.total, Lack.ENTRY, np.uint8)
        self._windows: dict[tuple[int, int], Window] = {}
        self.mapped = np.full(tables.total, 1 if warm else 0, np.uint8)
        self.pins = np.zeros(tables.total, np.int32)  # of the vCPU that the task is on
        self.vcpu = 0  # which of those that the task visits
        self._pins = {0: self.pins}
        self.elsewhere = np.zeros(tables.total, np.int32)  # pins of the other ones
        self.absent: dict[int, Absence] = {}  # pages that are not in the host's memory
        self.translates: NDArray[np.uint8] = np.full(tables.pages, int(warm), np.uint8)

    def move_to(self, vcpu: int) -> None:
        """The task goes on on another vCPU, which pins for itself."""
        self.vcpu = vcpu
        self.pins = self.pins_of(vcpu)
        if len(self._pins) > 1:
            self.elsewhere[:] = sum(p for k, p in self._pins.items() if k != vcpu)

    def pins_of(self, vcpu: int) -> NDArray[np.int32]:
        """What a vCPU that the task visits has pinned of its buffer."""
        if vcpu not in self._pins:
            self._pins[vcpu] = np.zeros(self.tables.total, np.int32)
        return self._pins[vcpu]

    def unpin_all(self) -> int:
        """No vCPU holds a pin any more; returns how many pages they held, each its own."""
        held = sum(int(np.count_nonzero(pins)) for pins in self._pins.values())
        for pins in (*self._pins.values(), self.elsewhere):
            pins[:] = 0
        return held

    def pinned(self, pages: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which pages any vCPU holds a pin on."""
        held: NDArray[np.bool_] = (self.pins[pages] + self.elsewhere[pages]) > 0
        return held

    def window(self, first: int, last: int) -> Window:
        """Pages of a window; the driver programs the same few again and again."""
        key = (first, last)
        if key not in self._windows:
            if len(self._windows) >= MAX_WINDOWS:
                self._windows.clear()
            self._windows[key] = self.tables.window(first, last)
        return self._windows[key]

    def unmapped(self, pages: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of `pages` that have no stage 2 entry which the SPU can use."""
        absent: NDArray[np.int64] = pages[self.mapped[pages] == 0]
        return absent

    def mapped_in(self, window: Window) -> int:
        """How many pages of a window have an entry that the SPU can use."""
        return _count_in(self.mapped, window)

    def pinned_in(self, window: Window) -> int:
        """How many pages of a window the vCPU that the task is on has pinned."""
        return _count_in(self.pins, window)

    def pin(self, window: Window) -> None:
        """It pins them all."""
        self.pins[window.first : window.last] = 1
        self.pins[window.table_pages] = 1

    def missing(self, page: int) -> list[int]:
        """Unmapped pages on the way to a buffer page, in the order of the walk."""
        mapped = self.mapped.data
        return [p for p in (*self.tables.walk[page], page) if not mapped[p]]

    def old(self, page: int) -> list[int]:
        """Those of the missing ones that have an entry without the access flag."""
        return [p for p in self.missing(page) if self.has(p) and self.lacks[p] & Lack.ACCESS]

    def has(self, page: int) -> bool:
        """Is there an entry, usable or not?"""
        return bool(self.mapped[page]) or not self.lacks[page] & _ENTRY

    def there(self, pages: NDArray[np.int64]) -> NDArray[np.bool_]:
        """`has` of each."""
        there: NDArray[np.bool_] = (self.mapped[pages] != 0) | (self.lacks[pages] & _ENTRY == 0)
        return there

    def fault(self, page: int) -> tuple[Fault, int]:
        """Status and level of a write to a buffer page that misses: the first page in its way."""
        first = next(iter(self.missing(page)), None)
        if first is None:  # the SPU's side took it away by itself (`unmap: per_record`)
            return Fault.TRANSLATION, LEAF
        if not self.has(first):
            return Fault.TRANSLATION, self._level(first)
        old = self.lacks[first] & Lack.ACCESS
        return Fault.ACCESS_FLAG if old else Fault.PERMISSION, LEAF

    def fsc(self, page: int) -> int:
        """`fault` as PMBSR_EL1.MSS has it."""
        fault, level = self.fault(page)
        return fault.value + level

    def _level(self, page: int) -> int:
        """Of a page without an entry: does a stage 2 table lead to its place still?"""
        block = self.tables.granule // DESCRIPTOR_BYTES
        first = page - page % block
        last = min(first + block, self.tables.pages)
        whole = last - first == block and page < self.tables.pages
        around = slice(first, last) if whole else slice(None)
        invalid = (self.mapped[around] == 0) & ((self.lacks[around] & Lack.ENTRY) != 0)
        return BLOCK if invalid.all() else LEAF

    def map(self, pages: SomePages) -> None:
        """Make stage 2 entries valid."""
        new = self.unmapped(np.atleast_1d(pages))
        self.mapped[new] = 1
        if self.absent:
            for page in new.tolist():
                self.absent.pop(page, None)
        self._uncover(new)

    def unmap_all(self) -> int:
        """Nothing is mapped or pinned any more; returns how many buffer pages were mapped."""
        count = int(np.count_nonzero(self.mapped[: self.tables.pages]))
        self.mapped[:] = 0
        self.lacks[:] = Lack.ENTRY
        self.translates[:] = 0
        self.unpin_all()
        return count

    def unmap(self, pages: SomePages) -> None:
        """Take stage 2 entries away."""
        self.mapped[pages] = 0
        self.lacks[pages] = _ENTRY
        self._cover(pages)

    def age(self, page: int) -> None:
        """stage2_age_walker: clear the access flag of an entry that is there."""
        self._take(page, Lack.ACCESS)

    def write_protect(self, page: int) -> None:
        """The dirty log: an entry that is there becomes read-only."""
        self._take(page, Lack.WRITE)

    def _take(self, page: int, what: Lack) -> None:
        self.lacks[page] = what if self.mapped[page] else self.lacks[page] | what
        self.mapped[page] = 0
        self._cover(page)

    def mark_accessed(self, page: int) -> None:
        """handle_access_fault: set the access flag, and no more than that."""
        self.lacks[page] &= ~np.uint8(Lack.ACCESS)
        if self.lacks[page] == 0:
            self.map(page)

    def affected(self, page: int) -> tuple[int, int]:
        """Buffer pages [first, last) whose translation uses `page`."""
        if page < self.tables.pages:
            return page, page + 1
        return self.tables.users[page - self.tables.pages]

    def _cover(self, pages: SomePages) -> None:
        """These are not mapped any more: nothing behind them translates."""
        buffer, tables = self._split(pages)
        self.translates[buffer] = 0
        for table in tables:
            self.translates[slice(*self.affected(table))] = 0

    def _uncover(self, pages: SomePages) -> None:
        """These are mapped now: what is mapped behind them translates, unless behind others too."""
        buffer, tables = self._split(pages)
        self.translates[buffer] = 1
        for table in tables:
            behind = slice(*self.affected(table))
            self.translates[behind] = self.mapped[behind]
        missing = np.flatnonzero(self.mapped[self.tables.pages :] == 0)
        for first, last in [self.tables.users[table] for table in missing]:
            self.translates[first:last] = 0

    def _split(self, pages: SomePages) -> tuple[NDArray[np.int64], list[int]]:
        """Buffer pages and table pages of these."""
        pages = np.atleast_1d(pages)
        of_tables = pages >= self.tables.pages
        return pages[~of_tables], pages[of_tables].tolist()

    def note_fault(self, page: int) -> None:
        """A write to `page` missed; if no table is to blame, the page itself is gone.

        The SPU's side takes pages away by itself under `unmap: per_record`.
        """
        tables = all(self.mapped[t] for t in self.tables.walk[page])
        if self.mapped[page] and not self.translates[page] and tables:
            self.mapped[page] = 0
            self.lacks[page] = Lack.ENTRY

    def note_zaps(self, first: int, last: int) -> None:
        """`note_fault` for every buffer page in [first, last)."""
        zapped = self.translates[first:last] < self.mapped[first:last]
        for offset in zapped.nonzero()[0].tolist():
            self.note_fault(first + offset)
