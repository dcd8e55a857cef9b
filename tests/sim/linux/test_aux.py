"""The AUX ring: the driver's windows, perf's wake-ups, and that no record is lost or doubled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.ledger import DeliveryLedger
from sim.linux.aux import (
    AuxFlag,
    AuxRing,
    Geometry,
    Window,
    free_space,
    next_snapshot_window,
    next_window,
    wakeup_after,
)
from sim.results import AuxCounts
from sim.units import round_down, round_up

KIB = 1024
PAGE = 4 * KIB
SMALL = Geometry(8 * PAGE, PAGE, 4 * PAGE)
RECORD = 64
FAR = 1 << 50


# --- worked cases (arm_spe_pmu.c, arm_spe_perf_aux_output_begin) -----------------------------


@pytest.mark.parametrize(
    ("head", "tail", "wakeup", "window"),
    [
        # An empty ring: up to the wake-up, in steady state half the buffer.
        (0, 0, 4 * PAGE, Window(0, 0, 4 * PAGE)),
        (4 * PAGE, 4 * PAGE, 8 * PAGE, Window(0, 4 * PAGE, 8 * PAGE)),
        (8 * PAGE, 8 * PAGE, 12 * PAGE, Window(0, 0, 4 * PAGE)),
        # (c) unread data ahead of head bounds it, rounded down to a page.
        (8 * PAGE, 5 * PAGE + 64, FAR, Window(0, 0, 5 * PAGE)),
        # (c) unread data behind head: up to the end of the buffer.
        (5 * PAGE, 2 * PAGE, FAR, Window(0, 5 * PAGE, 8 * PAGE)),
        # (d) a wake-up inside a page: that page may be filled, none after it.
        (PAGE, PAGE, 2 * PAGE + 128, Window(0, PAGE, 3 * PAGE)),
        # (d) a wake-up behind the wrap is not in this generation.
        (6 * PAGE, 6 * PAGE, 9 * PAGE, Window(0, 6 * PAGE, 8 * PAGE)),
        # (a) an unaligned head is padded to a record.
        (PAGE + 1, PAGE, 4 * PAGE, Window(63, PAGE + 64, 4 * PAGE)),
        # (b) nothing is left: TRUNCATED.
        (8 * PAGE - 1, 0, FAR, Window(0, 8 * PAGE - 1, 0, truncated=True)),
        # (e) less than a page is left before unread data: pad it all, TRUNCATED.
        (8 * PAGE + 64, PAGE - 64, FAR, Window(PAGE - 129, PAGE - 65, 0, truncated=True)),
    ],
)
def test_worked_windows(head: int, tail: int, wakeup: int, window: Window) -> None:
    """The driver's choice, case by case, in a ring of 8 pages."""
    assert next_window(SMALL, head, tail, wakeup) == window


def test_a_head_too_close_to_the_end_pads_and_wraps_once() -> None:
    """(f) less than a record before the end: pad to it and take the window after the wrap."""
    odd = Geometry(8 * PAGE, PAGE, 4 * PAGE, record=48, align=48)  # 32,768 = 682 × 48 + 32
    head = 682 * 48
    assert next_window(odd, head, head, 12 * PAGE) == Window(32, 0, 4 * PAGE)


@pytest.mark.parametrize(
    ("head", "tail", "space"), [(0, 0, 32767), (1, 0, 32766), (32767, 0, 0), (32768, 1, 0)]
)
def test_one_byte_of_the_ring_stays_free(head: int, tail: int, space: int) -> None:
    """CIRC_SPACE: full differs from empty by one byte."""
    assert free_space(head, tail, SMALL.size) == space


@pytest.mark.parametrize(
    ("head", "tail", "window"),
    [
        (0, 0, Window(0, 0, 7 * PAGE)),
        (8 * PAGE, 5 * PAGE, Window(0, 0, 4 * PAGE)),
        (8 * PAGE + 64, PAGE, Window(PAGE - 65, PAGE - 1, 0, truncated=True)),
    ],
)
def test_the_free_byte_costs_the_page_before_an_aligned_tail(
    head: int, tail: int, window: Window
) -> None:
    """arm_spe_pmu_next_off: limit = round_down(head + CIRC_SPACE, page), one byte below tail."""
    assert next_window(SMALL, head, tail, FAR) == window


# --- properties ------------------------------------------------------------------------------


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Geometry, int, int, int]:
    """A ring in any state that perf allows: tail <= head < tail + size."""
    page = 1 << draw(st.sampled_from([12, 14, 16]))
    size = page << draw(st.integers(1, 5))
    geometry = Geometry(size, page, size // 2)
    tail = draw(st.integers(0, 6 * size) | st.integers(0, 6 * size // page).map(lambda n: n * page))
    used = draw(st.integers(0, size - 1) | st.integers(0, size // 64 - 1).map(lambda n: n * 64))
    wakeup = tail + used + draw(st.integers(geometry.record, 3 * size))
    return geometry, tail + used, tail, wakeup


@settings(deadline=None)
@given(_cases())
def test_windows_are_inside_the_buffer_and_of_whole_pages(
    case: tuple[Geometry, int, int, int],
) -> None:
    """Limit is in the buffer, page aligned, at least a record beyond the pointer, or none."""
    geometry, head, tail, wakeup = case
    window = next_window(geometry, head, tail, wakeup)
    assert 0 <= window.pad <= free_space(head, tail, geometry.size)
    if window.truncated:
        assert window.limit == 0
        return
    assert 0 <= window.head < window.limit <= geometry.size
    assert window.limit % geometry.page == 0
    assert window.limit - window.head >= geometry.record
    assert window.head == (head + window.pad) % geometry.size
    assert window.head % geometry.record == 0


@settings(deadline=None)
@given(_cases())
def test_windows_never_touch_what_the_reader_holds(case: tuple[Geometry, int, int, int]) -> None:
    """Padding and window end before the first unread byte comes round again."""
    geometry, head, tail, wakeup = case
    window = next_window(geometry, head, tail, wakeup)
    length = 0 if window.truncated else window.limit - window.head
    assert window.pad + length <= free_space(head, tail, geometry.size)
    assert head + window.pad + length < tail + geometry.size


@settings(deadline=None)
@given(_cases())
def test_windows_never_pass_the_page_of_a_due_wakeup(
    case: tuple[Geometry, int, int, int],
) -> None:
    """A wake-up that lies in the window is in its last page."""
    geometry, head, tail, wakeup = case
    window = next_window(geometry, head, tail, wakeup)
    begin = head + window.pad
    end = begin + window.limit - window.head
    if not window.truncated and begin < wakeup < end:
        assert end == round_up(wakeup, geometry.page)


@settings(deadline=None)
@given(_cases())
def test_truncation_means_less_than_a_page_of_room(case: tuple[Geometry, int, int, int]) -> None:
    """The driver gives up only if no whole page lies between head and what is unread."""
    geometry, head, tail, wakeup = case
    window = next_window(geometry, head, tail, wakeup)
    free_to = round_down(tail + geometry.size - 1, geometry.page)
    if window.truncated:
        assert free_to <= round_up(head, geometry.page)
        assert window.pad == free_space(head, tail, geometry.size)


# --- the ring --------------------------------------------------------------------------------


def _ring(geometry: Geometry = SMALL) -> AuxRing:
    return AuxRing(geometry, DeliveryLedger(), vcpu=3, keep=True)


def test_steady_state_windows_are_halves_of_the_buffer() -> None:
    """With the default watermark the interrupt comes every half buffer."""
    ring = _ring()
    for turn in range(6):
        window = ring.begin()
        assert window is not None
        half = (turn % 2) * 4 * PAGE
        assert window == Window(0, half, half + 4 * PAGE)
        ring.end(4 * PAGE, 0, 11, turn)
    assert ring.delivery.delivered == 5 * 256  # the sixth is unread
    ring.finish()
    assert ring.delivery.delivered == 6 * 256


def test_a_switch_splits_a_half_and_the_wakeup_stays() -> None:
    """A short transaction leaves the next window the rest of the half."""
    ring = _ring()
    ring.begin()
    ring.end(10 * RECORD, 0, 11, 1)
    assert ring.begin() == Window(0, 10 * RECORD, 4 * PAGE)
    ring.end(4 * PAGE - 10 * RECORD, 0, 11, 2)
    assert ring.begin() == Window(0, 4 * PAGE, 8 * PAGE)


def test_wakeups_are_multiples_of_the_watermark() -> None:
    """aux_wakeup = round_down(head, watermark), however far head went beyond it."""
    ring = _ring(Geometry(8 * PAGE, PAGE, 1_000))
    assert ring.begin() == Window(0, 0, PAGE)
    ring.end(15 * RECORD, 0, 1, 1)
    assert ring.wakeup == 0
    assert ring.begin() == Window(0, 15 * RECORD, PAGE)
    ring.end(PAGE - 15 * RECORD, 0, 1, 2)
    assert ring.wakeup == 4_000


def test_rows_are_the_aux_records() -> None:
    """One row a transaction: offset, size, flags, time; an empty one without flags has none."""
    ring = _ring()
    ring.begin()
    ring.end(2 * RECORD, int(AuxFlag.COLLISION), 11, 5)
    ring.begin()
    ring.end(0, 0, 11, 6)
    ring.begin()
    ring.end(0, int(AuxFlag.TRUNCATED), 12, 7)
    rows = ring.rows()
    assert rows[["vcpu", "tid", "offset", "size", "pad", "flags", "t"]].tolist() == [
        (3, 11, 0, 128, 0, 8, 5),
        (3, 12, 128, 0, 0, 1, 7),
    ]
    assert ring.counts.records == 2


def test_a_ring_that_keeps_nothing_counts_everything() -> None:
    """Without `keep` there are no rows, but the ledger is the same."""
    ring = AuxRing(SMALL, DeliveryLedger(), vcpu=0)
    ring.begin()
    ring.end(5 * RECORD, 0, 1, 1)
    ring.finish()
    assert (ring.rows().size, ring.counts.records, ring.delivery.delivered) == (0, 1, 5)


def test_a_snapshot_without_data_sends_no_record() -> None:
    """Its only flag is OVERWRITE; one that collided is told (perf_aux_output_end)."""
    ring = AuxRing(SMALL, DeliveryLedger(), vcpu=0, keep=True, overwrite=True)
    for size, flags in ((0, 0), (RECORD, 0), (0, int(AuxFlag.COLLISION))):
        ring.begin()
        ring.end(size, flags, 1, 1)
    assert ring.rows()["flags"].tolist() == [2, 10]
    assert ring.counts == AuxCounts(records=2, collisions=1)


def test_perf_counts_flags() -> None:
    """Each PERF_RECORD_AUX, and those that are truncated, have gaps, saw collisions."""
    ring = AuxRing(SMALL, DeliveryLedger(), vcpu=0)
    for flags in (0, 1, 5, 8, 13):
        ring.begin()
        ring.end(RECORD, flags, 1, 1)
    assert ring.counts == AuxCounts(records=5, lost=3, gaps=2, collisions=2)


def test_padding_is_part_of_the_stream() -> None:
    """Records of a size that does not divide the ring: padding is in the transaction's size."""
    ring = _ring(Geometry(8 * PAGE, PAGE, 4 * PAGE, record=48, align=48))
    written = 0
    for turn in range(40):
        window = ring.begin()
        assert window is not None
        fits = (window.limit - window.head) // 48
        ring.end(fits * 48, 0, 1, turn)
        written += fits
    ring.finish()
    rows = ring.rows()
    assert rows["pad"].sum() > 0
    assert (rows["size"] - rows["pad"]).sum() == written * 48
    assert ring.delivery.delivered == written
    ends = (rows["offset"] + rows["size"])[:-1]
    assert np.array_equal(ends, rows["offset"][1:])


@settings(deadline=None)
@given(st.lists(st.integers(0, 300), max_size=60), st.sampled_from([1, 2, 4]))
def test_a_ring_in_use_loses_and_doubles_nothing(takes: list[int], watermark_pages: int) -> None:
    """However a window is cut short: rows are contiguous and add up to what was delivered."""
    ring = _ring(Geometry(8 * PAGE, PAGE, watermark_pages * PAGE))
    written = 0
    for turn, take in enumerate(takes):
        window = ring.begin()
        assert window is not None
        assert not window.truncated
        fits = min(take, (window.limit - window.head) // RECORD)
        ring.end(fits * RECORD, 0, 1, turn)
        written += fits
    ring.finish()
    rows = ring.rows()
    assert ring.delivery.delivered == written == rows["size"].sum() // RECORD
    assert np.array_equal(np.cumsum(rows["size"]) - rows["size"], rows["offset"])


# --- padding and wake-ups --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "wakeup", "watermark", "after"),
    [
        (0, 0, 4096, 0),
        (4095, 0, 4096, 0),
        (4096, 0, 4096, 4096),
        (8191, 0, 4096, 4096),
        (12_300, 4096, 4096, 12_288),
        (4031, 4000, 1000, 4000),
    ],
)
def test_worked_wakeups(head: int, wakeup: int, watermark: int, after: int) -> None:
    """rb_need_aux_wakeup: a watermark beyond the last wake-up, then round_down(head, watermark)."""
    assert wakeup_after(head, wakeup, watermark) == after


def test_padding_that_reaches_a_wakeup_wakes_and_moves_on() -> None:
    """perf_aux_output_skip: a pad across the watermark makes the next wake-up bound the window."""
    ring = _ring(Geometry(8 * PAGE, PAGE, PAGE))
    ring.keeps_up = False
    ring.head, ring.tail = PAGE - 1, PAGE - 1  # as a truncated window leaves it
    window = ring.begin()
    assert window == Window(1, PAGE, 2 * PAGE)
    assert (ring.wakeup, ring.wake_due) == (PAGE, True)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=80),
    st.sampled_from([64, 1000, PAGE, 4 * PAGE, 8 * PAGE]),
    st.sampled_from([RECORD, 48]),
)
def test_no_wakeup_is_lost(steps: list[tuple[int, bool]], watermark: int, record: int) -> None:
    """Whatever the reader does, crossing a watermark, TRUNCATED or a full ring each wake it."""
    ring = _ring(Geometry(8 * PAGE, PAGE, watermark, record, record))
    ring.keeps_up = False
    for turn, (take, moves) in enumerate(steps):
        ring.wake_due = False
        before = ring.head // watermark
        if moves:
            ring.take()
            ring.moved()
        window = ring.begin()
        failed = window is None or window.truncated
        if window is not None and window.truncated:
            ring.end(0, int(AuxFlag.TRUNCATED), 1, turn)
        elif window is not None:
            fits = min(take, (window.limit - window.head) // record)
            ring.end(fits * record, 0, 1, turn)
        assert ring.wake_due is (failed or ring.head // watermark > before)
        assert ring.head - ring.wakeup < watermark
        assert ring.tail <= ring.head < ring.tail + ring.geometry.size


def test_a_tail_counts_at_the_next_begin_only() -> None:
    """The window that is open does not grow when the reader moves on."""
    ring = _ring()
    ring.keeps_up = False
    for turn in range(2):
        window = ring.begin()
        assert window is not None
        ring.end(window.limit - window.head, 0, 1, turn)
    assert ring.begin() == Window(PAGE - 1, 8 * PAGE - 1, 0, truncated=True)
    ring.end(0, int(AuxFlag.TRUNCATED), 1, 2)
    ring.take()
    assert ring.begin() is None  # copied, but aux_tail has not moved: full, and silent about it
    ring.moved()
    assert ring.begin() == Window(1, 0, 4 * PAGE)


def test_the_reader_takes_only_what_has_been_committed() -> None:
    """Records of a transaction that ends while it copies belong to its next turn."""
    ring = _ring()
    ring.keeps_up = False
    ring.begin()
    ring.end(10 * RECORD, 0, 1, 1)
    assert ring.take() == 10 * RECORD
    ring.begin()
    ring.end(5 * RECORD, 0, 1, 2)
    ring.moved()
    assert (ring.delivery.delivered, ring.tail) == (10, 10 * RECORD)
    ring.finish()
    assert ring.delivery.delivered == 15


@pytest.mark.parametrize("keeps_up", [True, False])
def test_a_destroyed_vm_leaves_unread_what_a_slow_reader_had_not_copied(keeps_up: bool) -> None:
    """The open window is lost either way; committed records only if nobody had taken them."""
    ring = _ring()
    ring.keeps_up = keeps_up
    ring.begin()
    ring.end(10 * RECORD, 0, 1, 1)
    ring.begin()
    ring.abandon(7)
    ring.finish(killed=True)
    lost, read = ring.delivery.unread_at_end, ring.delivery.delivered
    assert (lost, read) == ((7, 10) if keeps_up else (17, 0))


# --- snapshot mode ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "window"),
    [
        (0, Window(0, 0, 4 * PAGE)),
        (64, Window(0, 64, 4 * PAGE)),
        (4 * PAGE, Window(0, 4 * PAGE, 8 * PAGE)),
        (8 * PAGE, Window(0, 0, 4 * PAGE)),
        (4 * PAGE - 32, Window(32, 4 * PAGE, 8 * PAGE)),
        (8 * PAGE - 32, Window(32, 0, 4 * PAGE)),
    ],
)
def test_worked_snapshot_windows(head: int, window: Window) -> None:
    """arm_spe_pmu_next_snapshot_off: limits at the halves; too close to one, the next."""
    assert next_snapshot_window(SMALL, head) == window


@settings(deadline=None)
@given(st.integers(0, 1 << 40), st.integers(1, 6))
def test_snapshot_windows_lie_in_one_half(head: int, pages: int) -> None:
    """Limit > PMBPTR by a record at least; never beyond the buffer or across its middle."""
    geometry = Geometry(PAGE << pages, PAGE, 0)
    window = next_snapshot_window(geometry, head)
    half = geometry.size // 2
    assert window.limit - window.head >= RECORD
    assert window.limit in (half, 2 * half)
    assert window.head // half == (window.limit - 1) // half
    assert window.head == (head + window.pad) % geometry.size


@settings(deadline=None)
@given(st.lists(st.integers(0, 300), max_size=60))
def test_a_snapshot_holds_the_last_records(takes: list[int]) -> None:
    """What is read at the end is the newest ring full; every older record is overwritten."""
    ring = _ring()
    ring.overwrite = True
    written = 0
    for turn, take in enumerate(takes):
        window = ring.begin()
        assert window is not None
        fits = min(take, (window.limit - window.head) // RECORD)
        ring.end(fits * RECORD, 0, 1, turn)
        written += fits
        assert not ring.wake_due
    ring.finish()
    capacity = SMALL.size // RECORD
    assert ring.delivery.delivered == min(written, capacity)
    assert ring.delivery.overwritten == max(0, written - capacity)
    flags = ring.rows()["flags"]
    assert (flags == AuxFlag.OVERWRITE).all()


def test_a_copy_in_progress_dies_with_the_vm() -> None:
    """Records that the reader has taken but not yet copied are unread when the VM is destroyed."""
    ring = _ring(Geometry(8 * PAGE, PAGE, 4 * PAGE))
    ring.keeps_up = False
    window = ring.begin()
    assert window is not None
    ring.end(10 * 64, 0, 1000, 0)
    ring.take()
    ring.finish(killed=True)
    assert (ring.delivery.unread_at_end, ring.delivery.delivered) == (10, 0)
