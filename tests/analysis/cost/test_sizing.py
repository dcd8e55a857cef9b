"""Sizing of RLIMIT_MEMLOCK against brute force and against the simulator itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.cost.sizing import (
    CHARGES,
    Charged,
    Extent,
    Request,
    SizingError,
    levels,
    size,
    table_pages,
    window_of_aux,
)
from sim.kvm.tables import stage1_tables
from sim.linux.aux import Geometry
from sim.machine.machine import simulate
from sim.machine.resolve import machine_spec
from sim.machine.run import Run
from sim.results import RunResult
from sim.scenario.models.quantities import UNLIMITED
from sim.scenario.models.scenario import DESIGNS, Arm, Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.workload.synthetic import synthetic_stream
from tests.rigs.machines import vary

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
K4, K16, K64 = 4 * KIB, 16 * KIB, 64 * KIB
ALIGNED = 0xFFFF_0000_0000_0000
BOUNDARIES = {
    K4: (2 * MIB, 1 << 30, 1 << 39),
    K16: (32 * MIB, 1 << 36, 1 << 47),
    K64: (512 * MIB, 1 << 42),
}
"""Where a table of each level below the root ends."""


def _request(**changes: object) -> Request:
    base = Request(design="v6", vcpus=1, window=2 * MIB, granule=K4, memory=16 * GIB)
    return replace(base, **changes)  # type: ignore[arg-type]


# --- table pages -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "least", "most"),
    [
        (128 * KIB, 4, 7),
        (2 * MIB, 4, 7),
        (4 * MIB, 5, 8),
        (64 * MIB, 35, 38),
        (256 * MIB, 131, 134),
    ],
)
def test_table_pages_are_those_of_the_published_table(window: int, least: int, most: int) -> None:
    """By arithmetic: fewest and most table pages at 4 KiB, by alignment."""
    assert table_pages(window, K4) == Extent(least, most)


@pytest.mark.parametrize(("granule", "expected"), [(K4, 4), (K16, 4), (K64, 3)])
def test_levels_of_48_bits(granule: int, expected: int) -> None:
    """Arm ARM D8.2: 4, 4 and 3 levels."""
    assert levels(granule) == expected == len(stage1_tables(ALIGNED, granule, granule).walk[0])


@pytest.mark.parametrize(
    ("granule", "bits", "expected"),
    [
        (K4, 39, 3),
        (K4, 52, 5),
        (K16, 36, 2),
        (K16, 47, 3),
        (K16, 52, 4),
        (K64, 42, 2),
        (K64, 52, 3),
    ],
)
def test_levels_of_other_kernels(granule: int, bits: int, expected: int) -> None:
    """By hand: 52 bits with 4 KiB are 12 of the page and 40 of five tables of nine, at most."""
    assert levels(granule, bits) == expected


@pytest.mark.parametrize(("bits", "more"), [(39, -8192), (48, 0), (52, 8192)])
def test_a_level_more_is_two_pages_at_worst(bits: int, more: int) -> None:
    """Of a window of 2 MiB and 4 KiB pages, per vCPU; counted too, at the worst place there is."""
    least = Request("v6", 3, 2 * MIB, K4, 1 << 34)
    sized, usual = size(replace(least, va_bits=bits)), size(least)
    assert sized.guaranteed is not None
    assert usual.guaranteed is not None
    assert sized.guaranteed - usual.guaranteed == 3 * more
    last = (1 << (bits - 1)) // K4 - 1  # the next page is in another table of every level
    pages, depth = range(last, last + 512), range(1, levels(K4, bits))
    tables = 1 + sum(len({page >> 9 * level for page in pages}) for level in depth)
    assert tables == sized.tables.most


def test_addresses_that_linux_does_not_have() -> None:
    """39 bits are 4 KiB's alone."""
    with pytest.raises(SizingError, match=r"65536 B has no 39-bit addresses; one of 42, 48, 52"):
        size(Request("v6", 1, 2 * MIB, K64, 1 << 34, va_bits=39))


def _places(pages: int, granule: int) -> Iterator[int]:
    """Page addresses: every place in a leaf table, and every cut of the window by each boundary."""
    leaf = granule // 8
    yield from (ALIGNED + page * granule for page in range(leaf))
    for boundary in BOUNDARIES[granule]:
        back = min(pages, boundary // granule)  # never out of the address space
        yield from (ALIGNED + boundary - page * granule for page in range(back + 1))


@pytest.mark.parametrize(
    ("granule", "pages"),
    [
        (K4, 1),
        (K4, 2),
        (K4, 31),
        (K4, 512),
        (K4, 515),
        (K16, 1),
        (K16, 5),
        (K16, 40),
        (K64, 1),
        (K64, 2),
        (K64, 9),
    ],
)
def test_fewest_and_most_over_all_alignments(granule: int, pages: int) -> None:
    """The closed forms are the minimum and the maximum of the simulator's own tables."""
    counts = {stage1_tables(va, pages * granule, granule).tables for va in _places(pages, granule)}
    assert Extent(min(counts), max(counts)) == table_pages(pages * granule, granule)


@settings(deadline=None)
@given(st.sampled_from([K4, K16, K64]), st.integers(1, 700), st.integers(0, (1 << 32) - 1))
def test_no_place_is_outside_the_extent(granule: int, pages: int, frame: int) -> None:
    """Any page of a 48-bit address space."""
    span = (1 << 48) // granule - pages
    va = ALIGNED + frame * 2654435761 % span * granule
    extent = table_pages(pages * granule, granule)
    assert extent.least <= stage1_tables(va, pages * granule, granule).tables <= extent.most


# --- against the simulator -------------------------------------------------------------------

LOOP = Phase(name="loop", length=100, iterations=100_000)
WORKLOAD = Synthetic(kind="synthetic", phases=(LOOP,))
STREAM = synthetic_stream(WORKLOAD, core="neoverse-n1", exclude_kernel=True, micro_ops=False)


def _run(
    request: Request, memlock: int, va: int, policies: dict[str, str] | None = None
) -> RunResult:
    """v6 with an AUX area of two windows at `va` under a limit."""
    chosen = DESIGNS["v6"][0].model_copy(update=policies or {})
    arm = Arm(name="v6", design="v6", policies=chosen, settings=Settings(workload=WORKLOAD))
    spec = vary(
        machine_spec(arm, STREAM),
        aux=Geometry(2 * request.window, request.granule, request.window),
        granule=request.granule,
        aux_va=va,
        vcpus=request.vcpus,
        max_buffer=UNLIMITED if request.max_buffer is None else request.max_buffer,
        memlock=memlock,
        exits=None,
    )
    return simulate(spec, (STREAM,), Run("v6", 3, 0, False, False))


CASES = [
    (granule, pages, vcpus) for granule, pages in ((K4, 16), (K16, 4), (K64, 2)) for vcpus in (1, 3)
]


@pytest.mark.parametrize(("granule", "pages", "vcpus"), CASES)
def test_least_is_exact_at_the_best_alignment(granule: int, pages: int, vcpus: int) -> None:
    """At `least` no exit; one page less: one exit, by that page."""
    request = _request(granule=granule, window=pages * granule, vcpus=vcpus)
    least = size(request).least
    assert least is not None
    fits, short = (_run(request, limit, ALIGNED) for limit in (least, least - granule))
    assert all(vcpu.stops >= 2 for vcpu in fits.vcpus)  # both halves were programmed
    assert (fits.rlimit.exits, fits.rlimit.locked_bytes_peak) == (0, least)
    assert (short.rlimit.exits, short.rlimit.excess_bytes_max) == (1, granule)


@pytest.mark.parametrize(("granule", "pages", "vcpus"), CASES)
def test_guaranteed_is_exact_at_the_worst_alignment(granule: int, pages: int, vcpus: int) -> None:
    """At `guaranteed` no exit where the first window has the most tables; one page less: one."""
    request = _request(granule=granule, window=pages * granule, vcpus=vcpus)
    guaranteed = size(request).guaranteed
    assert guaranteed is not None
    va = ALIGNED + BOUNDARIES[granule][-1] - granule
    fits, short = (_run(request, limit, va) for limit in (guaranteed, guaranteed - granule))
    assert (fits.rlimit.exits, fits.rlimit.locked_bytes_peak) == (0, guaranteed)
    assert (short.rlimit.exits, short.rlimit.excess_bytes_max) == (1, granule)


@pytest.mark.parametrize("granule", [K4, K16, K64])
def test_windows_that_stay_pinned_need_both_at_once(granule: int) -> None:
    """v6-lazy-unpin's figure is exact for a pin that is never released: the whole AUX area."""
    request = _request(design="v6-lazy-unpin", granule=granule, window=2 * granule)
    guaranteed = size(request).guaranteed
    assert guaranteed is not None
    va = ALIGNED + BOUNDARIES[granule][-1] - granule
    never = {"unpin": "never"}
    fits, short = (_run(request, limit, va, never) for limit in (guaranteed, guaranteed - granule))
    assert (fits.rlimit.exits, fits.rlimit.locked_bytes_peak) == (0, guaranteed)
    assert (short.rlimit.exits, short.rlimit.excess_bytes_max) == (1, granule)


@pytest.mark.parametrize("max_pages", [4, 5, 8, 30])
def test_the_limit_covers_configuration_and_enable(max_pages: int) -> None:
    """No -ENOMEM and no exit at `limit`; a page less gives the one or the other."""
    request = _request(window=4 * K4, vcpus=3, max_buffer=max_pages * K4)
    answer = size(request)
    assert answer.limit is not None
    assert answer.configuration == 3 * max_pages * K4
    va = ALIGNED + BOUNDARIES[K4][-1] - K4
    fits, short = (_run(request, limit, va).rlimit for limit in (answer.limit, answer.limit - K4))
    assert (fits.config_enomem, fits.exits) == (0, 0)
    assert short.config_enomem + short.exits == 1
    assert bool(short.config_enomem) == (max_pages * K4 > 4 * K4 + answer.tables.most * K4)


def test_an_oversize_window_is_said_to_be() -> None:
    """A window above max_buffer is refused by KVM: nothing is pinned, as in the simulator."""
    request = _request(window=4 * K4, max_buffer=2 * K4)
    assert size(request).oversize
    assert not size(replace(request, max_buffer=4 * K4)).oversize
    run = _run(request, 64 * K4, ALIGNED)
    assert (run.rlimit.exits, run.rlimit.pinned_pages) == (0, 0)


# --- other designs, other options ------------------------------------------------------------


def test_every_design_preset_has_a_charge_that_fits_its_policies() -> None:
    """A design that pins nothing charges nothing; one that pins at enable charges windows."""
    by_backing = {
        "none": Charged.NOTHING,
        "on_enable": Charged.WINDOW,
        "on_first_fault": Charged.WINDOW,
        "whole_vm": Charged.MEMORY,
        "bounce_buffer": Charged.UNKNOWN,
        "guest_memfd": Charged.UNKNOWN,
    }
    for name, design in DESIGNS.items():
        expected = by_backing[design.policies.backing]
        assert CHARGES[name].charged is expected, name


def test_designs_by_what_they_charge() -> None:
    """Whole guest memory for v3 and v5, nothing without pins, nothing known for the rest."""
    answers = {name: size(_request(design=name)) for name in CHARGES}
    assert {n for n, a in answers.items() if a.limit == 16 * GIB} == {"v3-mlock", "v5-memslot-lock"}
    assert {n for n, a in answers.items() if a.limit is None} == {
        "bounce-buffer",
        "v7-guest-memfd",
        "v7-guest-memfd-untrapped",
    }
    assert {n for n, a in answers.items() if a.limit == 0} == {
        "baremetal",
        "unpinned",
        "unpinned-error",
    }
    assert answers["v6"].guaranteed == 2 * MIB + 7 * K4
    assert answers["first-fault"].guaranteed == 4 * MIB + 8 * K4
    assert all(charge.source for charge in CHARGES.values())


def test_shared_tables_lower_the_least_and_only_that() -> None:
    """Charged once, the tables of 8 aligned windows of a leaf table each are 8 + 3, not 8 x 4."""
    answer = size(_request(vcpus=8))
    assert answer.least == 8 * (2 * MIB + 4 * K4)
    assert answer.least_shared == 8 * 2 * MIB + 11 * K4
    assert size(_request()).least_shared == size(_request()).least


@given(st.integers(1, 600), st.sampled_from([2 * MIB, 32 * MIB]))
def test_huge_pages_cost_at_most_one_per_page(pages: int, huge: int) -> None:
    """Whole huge pages: apart, one for each pinned page; contiguous, as few as the run touches."""
    answer = size(_request(window=pages * K4, huge_page=huge, memory=64 * GIB))
    tables = table_pages(pages * K4, K4).most
    touched = max((start + pages - 1) // (huge // K4) + 1 for start in range(huge // K4))
    assert answer.guaranteed == min((pages + tables) * huge, 64 * GIB)
    assert answer.guaranteed_contiguous == (touched + tables) * huge
    assert answer.guaranteed_base_pages == (pages + tables) * K4
    assert answer.least == size(_request(window=pages * K4)).least


def test_guest_memory_bounds_the_huge_pages_of_a_vcpu() -> None:
    """A vCPU cannot pin more than the guest has."""
    answer = size(_request(vcpus=2, huge_page=2 * MIB, memory=GIB))
    assert answer.guaranteed == 2 * GIB


def test_the_window_of_an_aux_area_is_half() -> None:
    """perf's default watermark; an area that perf or the driver refuses is refused."""
    assert window_of_aux(4 * MIB, K4) == 2 * MIB
    assert window_of_aux(2 * K64, K64) == K64
    for bad in (3 * MIB, K4, 0):
        with pytest.raises(SizingError, match="power of two"):
            window_of_aux(bad, K4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"design": "v8"}, "unknown design 'v8'; one of baremetal"),
        ({"window": K4 + 1}, "use a multiple of 4096 B"),
        ({"window": 0}, "use a multiple of 4096 B"),
        ({"window": K4, "granule": K64}, "use a multiple of 65536 B"),
        ({"vcpus": 9, "memory": 16 * MIB}, "more than the guest's memory"),
        ({"huge_page": K4}, "power of two above the granule"),
        ({"huge_page": 3 * MIB}, "power of two above the granule"),
        ({"design": "unpinned", "max_buffer": MIB}, "no maximum buffer size"),
    ],
)
def test_impossible_requests_say_why(changes: dict[str, object], message: str) -> None:
    """What cannot be is refused with the way out."""
    with pytest.raises(SizingError, match=message):
        size(_request(**changes))
