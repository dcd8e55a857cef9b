"""Stage 1 table pages of a buffer, and stage 2: which records can be written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.kvm.tables import MAX_WINDOWS, Stage2, stage1_tables

KIB, MIB = 1 << 10, 1 << 20
K4, K16, K64 = 4 * KIB, 16 * KIB, 64 * KIB
ALIGNED = 0xFFFF_8000_0000_0000
BOUNDARY = ALIGNED + (1 << 39)
"""Where a new level 1 table begins (4 KiB granule), hence new tables at levels 2 and 3 too."""


@pytest.mark.parametrize(
    ("size", "least", "most"),
    [
        (128 * KIB, 4, 7),
        (2 * MIB, 4, 7),
        (4 * MIB, 5, 8),
        (64 * MIB, 35, 38),
        (256 * MIB, 131, 134),
    ],
)
def test_table_pages_by_alignment(size: int, least: int, most: int) -> None:
    """By arithmetic: an aligned area has the fewest, one across a level 1 boundary the most."""
    assert stage1_tables(ALIGNED, size, K4).tables == least
    assert stage1_tables(BOUNDARY - K4, size, K4).tables == most


@settings(deadline=None)
@given(st.integers(0, (1 << 28) - 1), st.sampled_from([2 * K4, 128 * KIB, 2 * MIB, 4 * MIB]))
def test_no_alignment_is_outside_least_and_most(page: int, size: int) -> None:
    """Any page-aligned address: 4 levels, between the aligned and the straddling count."""
    leaf = -(-size // (2 * MIB))
    tables = stage1_tables(ALIGNED + page * K4, size, K4).tables
    assert 3 + leaf <= tables <= 6 + leaf


@pytest.mark.parametrize(
    ("granule", "levels", "leaf_span", "level2_span"),
    [(K4, 4, 2 * MIB, 1 << 30), (K16, 4, 32 * MIB, 1 << 36), (K64, 3, 512 * MIB, 1 << 42)],
)
def test_levels_by_granule(granule: int, levels: int, leaf_span: int, level2_span: int) -> None:
    """48-bit addresses: 4, 4 and 3 levels; a table page spans granule / 8 entries."""
    one = stage1_tables(ALIGNED, 4 * granule, granule)
    assert one.tables == levels
    assert all(len(walk) == levels for walk in one.walk)
    leaf = stage1_tables(ALIGNED + leaf_span - 2 * granule, 4 * granule, granule)
    assert leaf.tables == levels + 1
    assert [page != first for page, first in zip(leaf.walk[3], leaf.walk[0], strict=True)] == [
        *[False] * (levels - 1),
        True,
    ]
    upper = stage1_tables(ALIGNED + level2_span - 2 * granule, 4 * granule, granule)
    assert upper.tables == levels + 2


def test_walks_begin_at_the_root_and_numbers_follow_the_pages() -> None:
    """Every walk reads the one root first; table pages are numbered after the buffer's pages."""
    tables = stage1_tables(BOUNDARY - 2 * K4, 8 * K4, K4)
    assert {walk[0] for walk in tables.walk} == {8}
    assert set().union(*tables.walk) == set(range(8, 8 + tables.tables))
    assert tables.total == 8 + tables.tables


@settings(deadline=None)
@given(st.data())
def test_windows_hold_their_pages_and_tables_once(data: st.DataObject) -> None:
    """A window lists [first, last) and each table of its walks, once."""
    tables = stage1_tables(BOUNDARY - 3 * K4, 16 * K4, K4)
    first = data.draw(st.integers(0, 16))
    last = data.draw(st.integers(first, 16))
    window = tables.window(first, last)
    read = {table for page in range(first, last) for table in tables.walk[page]}
    assert window.pages.tolist()[: last - first] == list(range(first, last))
    assert sorted(window.pages.tolist()[last - first :]) == sorted(read)
    assert (window.first, window.last, window.tables) == (first, last, len(read))


def test_an_empty_window_has_no_pages() -> None:
    """Nothing enabled: no table either."""
    window = stage1_tables(ALIGNED, 4 * K4, K4).window(2, 2)
    assert (window.pages.size, window.tables) == (0, 0)


# --- stage 2 ---------------------------------------------------------------------------------

STRADDLE = stage1_tables(BOUNDARY - 4 * K4, 8 * K4, K4)  # two leaf tables, two at levels 1 and 2

Change = tuple[bool, list[int]]
SOME = st.lists(st.integers(0, STRADDLE.total - 1), min_size=1, max_size=4, unique=True)


@settings(deadline=None)
@given(st.booleans(), st.lists(st.tuples(st.booleans(), SOME), max_size=80))
def test_a_page_translates_iff_it_and_its_walk_are_mapped(
    warm: bool, changes: list[Change]
) -> None:
    """After any maps and unmaps `translates` and `missing` agree with first principles."""
    stage2 = Stage2(STRADDLE, warm)
    mapped = set(range(STRADDLE.total)) if warm else set()
    for present, pages in changes:
        several = pages[0] if len(pages) == 1 else np.array(pages)
        if present:
            stage2.map(several)
            mapped |= set(pages)
        else:
            stage2.unmap(several)
            mapped -= set(pages)
    for page in range(STRADDLE.pages):
        way = (*STRADDLE.walk[page], page)
        missing = [p for p in way if p not in mapped]
        assert stage2.missing(page) == missing
        assert bool(stage2.translates[page]) == (not missing)
    everything = np.arange(STRADDLE.total)
    assert set(stage2.unmapped(everything).tolist()) == set(range(STRADDLE.total)) - mapped


def test_a_table_affects_exactly_the_pages_that_use_it() -> None:
    """The root maps all pages, a leaf table its half, a buffer page itself."""
    stage2 = Stage2(STRADDLE, warm=True)
    root, *_, leaf = STRADDLE.walk[0]
    assert stage2.affected(root) == (0, 8)
    assert stage2.affected(leaf) == (0, 4)
    assert stage2.affected(STRADDLE.walk[7][-1]) == (4, 8)
    assert stage2.affected(5) == (5, 6)
    stage2.unmap(leaf)
    assert stage2.translates.tolist() == [0] * 4 + [1] * 4


def test_note_fault_blames_the_page_only_if_no_table_is_missing() -> None:
    """A page that the SPU's side took away is unmapped; behind a missing table it stays mapped."""
    stage2 = Stage2(STRADDLE, warm=True)
    stage2.translates[3] = 0  # unmap: per_record
    stage2.note_fault(3)
    assert stage2.missing(3) == [3]
    stage2.map(3)
    assert stage2.translates[3] == 1

    leaf = STRADDLE.walk[0][-1]
    stage2.unmap(leaf)
    stage2.note_fault(2)
    assert stage2.missing(2) == [leaf]
    stage2.map(leaf)
    stage2.note_fault(2)  # it translates: nobody to blame
    assert stage2.missing(2) == []


def test_windows_are_cached_and_the_cache_is_bounded() -> None:
    """The same window is the same object; a driver with many windows cannot fill memory."""
    stage2 = Stage2(stage1_tables(ALIGNED, 512 * K4, K4), warm=True)
    first = stage2.window(0, 5)
    assert stage2.window(0, 5) is first
    for last in range(1, MAX_WINDOWS + 50):
        window = stage2.window(0, last)
        assert window.pages.size == last + window.tables
    again = stage2.window(0, 5)
    assert again is not first
    assert np.array_equal(again.pages, first.pages)
