"""How much RLIMIT_MEMLOCK a design needs: closed forms, checked against the simulator.

A design that pins at enable charges, for each vCPU, the pages of the programmed window and the
stage 1 table pages that map them. How many table pages there are depends on where the guest put
the buffer, so there are two figures: the fewest (best alignment) and the most (worst alignment).

Fidelity note. Modelled: a contiguous window, page aligned, mapped by page descriptors of one
granule, with 48-bit addresses or those that are asked for (Arm ARM D8.2; LPA2 and 4 KiB: 5 levels),
each vCPU's need charged by itself, in pages. Not modelled: contiguous hints and block mappings at
stage 1, what else the VMM locks (VFIO, mlock). UNVERIFIED, as RFC v6's code was read by title only:
the unit (pages), CAP_IPC_LOCK, whether a table page that two vCPUs share is charged twice, and how
hugetlb pages are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sim.errors import SpeskewError
from sim.units import div_up

VA_BITS = 48
KERNELS = {4096: (39, 48, 52), 16384: (36, 47, 48, 52), 65536: (42, 48, 52)}
"""CONFIG_ARM64_VA_BITS that Linux has for a granule (arch/arm64/Kconfig)."""
DESCRIPTOR_BYTES = 8
LIBVIRT_HEADROOM = 1 << 30
"""What libvirt adds to guest memory for the VMM itself when it must lock (qemumemlocktest.c)."""


class SizingError(SpeskewError, ValueError):
    """A request that no machine can have; the message says how to fix it."""


class Charged(Enum):
    """What a design counts against RLIMIT_MEMLOCK."""

    NOTHING = "nothing"
    WINDOW = "window"
    MEMORY = "memory"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Charge:
    """A design's charge: what, how many windows can be pinned at once, and who says so."""

    charged: Charged
    text: str
    source: str
    windows: int = 1
    at_configuration: bool = False
    """Is the vCPU's maximum buffer size charged when the VMM sets it?"""
    tables: bool = True
    """Are stage 1 table pages pinned with a window?"""


_WINDOW = "the programmed window and the stage 1 table pages that map it, for each vCPU"
_V6 = "KVM SPE RFC v6, 32/35 and 33/35 (Nov 2025)"
_THREAD = "KVM SPE design thread, Apr to Sep 2022"
CHARGES: dict[str, Charge] = {
    "baremetal": Charge(
        Charged.NOTHING,
        "there is no VM; nothing is pinned for one",
        "perf's own AUX memory counts against perf_event_mlock_kb, not against a VMM's limit",
    ),
    "unpinned": Charge(
        Charged.NOTHING, "nothing is pinned: KVM maps a page when it faults", f"option 2, {_THREAD}"
    ),
    "unpinned-error": Charge(
        Charged.NOTHING,
        "nothing is pinned: a fault is reported to the guest",
        "the answer of RFC v3 to v5 without their pinned memory",
    ),
    "first-fault": Charge(
        Charged.WINDOW,
        f"{_WINDOW}, from the first stage 2 fault on; the last window may still be "
        "pinned when the next one is",
        f"option 4, {_THREAD}; 'ulimit must be respected' (W. Deacon); details are inferred",
        windows=2,
    ),
    "v3-mlock": Charge(
        Charged.MEMORY,
        "the whole guest: the VMM locks it with mlock()",
        "KVM SPE RFC v3 (Oct 2020); that it is the VMM's own mlock limit is inferred",
    ),
    "v5-memslot-lock": Charge(
        Charged.MEMORY,
        "the whole guest: every locked memory slot, before it runs",
        "KVM SPE RFC v5 (Nov 2021), account_locked_vm(); -ENOMEM from the ioctl, no exit",
    ),
    "v6": Charge(
        Charged.WINDOW, f"{_WINDOW}, when the guest enables it", _V6, at_configuration=True
    ),
    "v6-lazy-unpin": Charge(
        Charged.WINDOW,
        f"{_WINDOW}; the last window may still be pinned when the next one is",
        f"{_V6}, with the reviewers' idea (Jan 2026); not written",
        windows=2,
        at_configuration=True,
    ),
    "bounce-buffer": Charge(
        Charged.UNKNOWN,
        "KVM's own buffer; whether it is charged was never said",
        "prototype (Nov 2022); an ioctl for its maximum size was proposed",
    ),
    "v7-guest-memfd": Charge(
        Charged.UNKNOWN,
        "guest_memfd memory that is populated before the first run; its locked-"
        "memory accounting is not public",
        "KVM SPE RFC v7 (Sep 2026), read in a digest",
    ),
    "v7-guest-memfd-untrapped": Charge(
        Charged.UNKNOWN,
        "guest_memfd memory that is populated before the first run; its locked-"
        "memory accounting is not public",
        "KVM SPE RFC v7 (Sep 2026), read in a digest",
    ),
    "spe-exc": Charge(
        Charged.WINDOW,
        f"{_WINDOW}, when the guest enables it",
        f"{_V6}; FEAT_SPE_EXC changes nothing of it",
        at_configuration=True,
    ),
    "spe-nvm": Charge(
        Charged.WINDOW,
        "the programmed window alone, for each vCPU, when the guest enables it",
        f"{_V6}, without the tables that FEAT_SPE_nVM does not read (inferred)",
        at_configuration=True,
        tables=False,
    ),
}
"""Design preset → its charge."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Fewest and most, over all alignments."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sized. Sizes in bytes; `max_buffer` and `huge_page` are None if not set."""

    design: str
    vcpus: int
    window: int
    granule: int
    memory: int
    max_buffer: int | None = None
    huge_page: int | None = None
    vms: int = 1
    """Such VMs on the host; the limit is each VMM process's own."""
    va_bits: int = VA_BITS
    """Of the guest kernel's addresses, CONFIG_ARM64_VA_BITS."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """The answer, bytes. `least` and `guaranteed` are for all vCPUs, without configuration."""

    request: Request
    charge: Charge
    tables: Extent
    least: int | None
    guaranteed: int | None
    least_shared: int | None
    """A lower bound if a table page that several vCPUs use is charged once."""
    guaranteed_base_pages: int | None
    """`guaranteed` if huge pages are counted as base pages."""
    guaranteed_contiguous: int | None
    """`guaranteed` if whole huge pages are counted and each window is contiguous guest memory."""
    configuration: int
    limit: int | None
    """The limit to write: covers `guaranteed` and the charge at configuration."""

    @property
    def host_total(self) -> int | None:
        """Bytes that all VMs of the host may lock together; None if nothing is known."""
        return None if self.limit is None else self.limit * self.request.vms

    @property
    def oversize(self) -> bool:
        """Is the window larger than max_buffer, so that KVM refuses it?"""
        request = self.request
        return request.max_buffer is not None and request.window > request.max_buffer


def levels(granule: int, va_bits: int = VA_BITS) -> int:
    """Levels of a stage 1 walk: of 48 bits 4, 4 and 3 for 4, 16 and 64 KiB granules; of 52 bits 5,
    4 and 3 (FEAT_LPA2 for the first two); of 39 bits and 4 KiB 3."""
    page_bits = granule.bit_length() - 1
    entry_bits = (granule // DESCRIPTOR_BYTES).bit_length() - 1
    return div_up(va_bits - page_bits, entry_bits)


def table_pages(window: int, granule: int, va_bits: int = VA_BITS) -> Extent:
    """Stage 1 table pages of a contiguous window of `window` bytes (a multiple of `granule`).

    A table of a level maps a fixed span. An aligned window touches the fewest; one whose first
    page is the last page of its level 1 table touches one more at each level below the root.
    """
    pages = window // granule
    entries = granule // DESCRIPTOR_BYTES
    spans = [entries**depth for depth in range(1, levels(granule, va_bits))]
    least = 1 + sum(div_up(pages, span) for span in spans)
    most = 1 + sum(1 + div_up(pages - 1, span) for span in spans)
    return Extent(least, most)


def _tables(request: Request, window: int) -> Extent:
    if not CHARGES[request.design].tables:
        return Extent(0, 0)
    return table_pages(window, request.granule, request.va_bits)


def window_of_aux(aux: int, granule: int) -> int:
    """The largest window that Linux programs in an AUX area: its default watermark is half of it.

    Raises SizingError for an area that the driver or perf refuses.
    """
    if aux < 2 * granule or aux & (aux - 1):
        raise SizingError(
            f"an AUX area of {aux} B is no power of two of at least two pages "
            f"({2 * granule} B); use e.g. 4MiB"
        )
    return aux // 2


def size(request: Request) -> Sizing:
    """How much locked memory `request` needs; raises SizingError for an impossible request."""
    _check(request)
    charge = CHARGES[request.design]
    tables = _tables(request, request.window)
    configuration = request.vcpus * (request.max_buffer or 0)
    if charge.charged is Charged.WINDOW:
        return _window_sizing(request, charge, tables, configuration)
    total = {Charged.NOTHING: 0, Charged.MEMORY: request.memory}.get(charge.charged)
    return Sizing(request, charge, tables, total, total, None, None, None, configuration, total)


def _window_sizing(request: Request, charge: Charge, tables: Extent, configuration: int) -> Sizing:
    window, granule, vcpus = request.window, request.granule, request.vcpus
    pinned = charge.windows * window
    most_tables = _tables(request, pinned).most
    base = pinned + most_tables * granule
    contiguous = None
    worst = base
    if request.huge_page is not None:
        runs = 1 + div_up(pinned - granule, request.huge_page)
        contiguous = min((runs + most_tables) * request.huge_page, request.memory)
        worst = min(base // granule * request.huge_page, request.memory)
    return Sizing(
        request=request,
        charge=charge,
        tables=tables,
        least=vcpus * (window + tables.least * granule),
        guaranteed=vcpus * worst,
        least_shared=vcpus * window + _tables(request, vcpus * window).least * granule,
        guaranteed_base_pages=vcpus * base,
        guaranteed_contiguous=None if contiguous is None else vcpus * contiguous,
        configuration=configuration,
        limit=vcpus * max(worst, request.max_buffer or 0),
    )


def _check(request: Request) -> None:
    """Raises SizingError for the first thing that cannot be."""
    if request.va_bits not in KERNELS[request.granule]:
        known = ", ".join(map(str, KERNELS[request.granule]))
        raise SizingError(
            f"Linux with pages of {request.granule} B has no {request.va_bits}-bit addresses; "
            f"one of {known}"
        )
    window, granule, huge = request.window, request.granule, request.huge_page
    if request.design not in CHARGES:
        raise SizingError(f"unknown design {request.design!r}; one of {', '.join(CHARGES)}")
    if window < granule or window % granule:
        raise SizingError(
            f"a window of {window} B is no whole number of pages of {granule} B; "
            f"PMBLIMITR holds pages, so use a multiple of {granule} B"
        )
    if window * request.vcpus > request.memory:
        raise SizingError(
            f"{request.vcpus} windows of {window} B are more than the guest's memory of "
            f"{request.memory} B; raise the memory or lower the window"
        )
    if huge is not None and (huge <= granule or huge & (huge - 1)):
        raise SizingError(
            f"a huge page of {huge} B is no power of two above the granule of {granule} B; "
            "use e.g. 2MiB"
        )
    if request.max_buffer is not None and not CHARGES[request.design].at_configuration:
        raise SizingError(
            f"{request.design} has no maximum buffer size (that is RFC v6's); leave it out"
        )
