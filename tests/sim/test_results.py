"""Record layouts, the sink, and log-linear histograms."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sim import results
from sim.results import (
    AUX_DT,
    HIST_SUB_BITS,
    RECORD_DT,
    Blackouts,
    OpSink,
    RecordSink,
    log_linear_bin,
    log_linear_edge,
)


@settings(deadline=None)
@given(st.integers(0, (1 << 63) - 1))
def test_a_bin_holds_its_values(value: int) -> None:
    """Edges bracket the value, and the bin is at most 1/16 of it wide."""
    index = log_linear_bin(value)
    low, high = log_linear_edge(index), log_linear_edge(index + 1)
    assert low <= value < high
    assert (high - low) << HIST_SUB_BITS <= max(low, 1 << HIST_SUB_BITS)


@settings(deadline=None)
@given(st.integers(0, log_linear_bin((1 << 63) - 1)))
def test_edges_are_the_first_values_of_their_bins(index: int) -> None:
    """bin(edge(i)) = i, and the value before it is in the bin before."""
    edge = log_linear_edge(index)
    assert log_linear_bin(edge) == index
    if edge:
        assert log_linear_bin(edge - 1) == index - 1


def test_small_values_are_exact() -> None:
    """Below 32 every value has a bin of its own."""
    assert [log_linear_bin(v) for v in range(32)] == list(range(32))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**12)), max_size=30))
def test_blackouts_add_up(gaps: list[tuple[int, int]]) -> None:
    """Counts, sums and the maximum; each histogram holds every blackout once."""
    total = Blackouts()
    for ops, ticks in gaps:
        total.add(ops, ticks)
    assert total.count == len(gaps)
    assert total.ops == sum(ops for ops, _ in gaps)
    assert total.ticks == sum(ticks for _, ticks in gaps)
    assert total.ops_max == max((ops for ops, _ in gaps), default=0)
    assert total.ticks_max == max((ticks for _, ticks in gaps), default=0)
    assert sum(total.ops_hist.values()) == sum(total.ticks_hist.values()) == len(gaps)
    assert set(total.ops_hist) == {log_linear_bin(ops) for ops, _ in gaps}


def test_the_sink_copies_and_keeps_the_order() -> None:
    """The caller may reuse its buffer; empty chunks are dropped."""
    sink = RecordSink(keep=True)
    buffer, place = np.array([[1, 10, 100]], np.int64), np.array([7], np.int64)
    sink.add(buffer, place)
    buffer[:] = 2, 20, 200
    sink.add(buffer, place)
    sink.add(buffer[:0], place[:0])
    assert sink.written().tolist() == [[1, 10, 100], [2, 20, 200]]


@pytest.mark.parametrize("ops_only", [True, False])
def test_many_rows_go_to_a_file(ops_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit rows are mapped, not held; same rows, and they travel to other processes."""
    monkeypatch.setattr(results, "WORDS_IN_MEMORY", 30)
    rows = np.arange(3 * 47).reshape(-1, 3)
    sink = RecordSink(keep=True, ops_only=ops_only)
    for at in (0, 1, 4, 15, 16, 40, 47):
        more = rows[sink.written().shape[0] : at]
        sink.add(more, 5 * more[:, 0])
    found = sink.written()
    del sink
    kept = rows[:, :1] * [1, 5] if ops_only else rows
    assert isinstance(found.base, np.memmap)
    assert found.tolist() == kept.tolist()
    assert pickle.loads(pickle.dumps(found)).tolist() == kept.tolist()


def test_rows_of_ops_only_are_dropped_as_rows_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """From memory, and from the file behind it."""
    monkeypatch.setattr(results, "WORDS_IN_MEMORY", 4)
    sink = RecordSink(keep=True, ops_only=True)
    rows = np.arange(3 * 9).reshape(-1, 3)
    for part in (rows[:5, :1], rows[5:7]):  # the op alone, or also times, which nobody keeps
        sink.add(part, part[:, 0] + 1)
    sink.drop(3)
    sink.add(rows[8:], rows[8:, 0] + 1)
    assert sink.written().tolist() == [[0, 1], [3, 4], [6, 7], [9, 10], [24, 25]]


@pytest.mark.parametrize("final", [True, False])
def test_ops_are_handed_on(final: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon, a few at a time, in order; where records may be taken back, not before the end."""
    monkeypatch.setattr(results, "OPS_AT_ONCE", 4)
    told: list[list[int]] = []

    def watch(ops: NDArray[np.int64], places: NDArray[np.int64] | None) -> None:
        assert places is not None
        assert places.tolist() == [op << 8 for op in ops.tolist()]
        told.append(ops.tolist())

    sink = OpSink(watch, final=final)
    rows = np.arange(3 * 12).reshape(-1, 3)
    places = rows[:, 0] << 8
    sink.add(rows[:3], places[:3])
    assert told == []
    sink.add(rows[3:9], places[3:9])
    assert told == ([[0, 3, 6, 9], [12, 15, 18, 21]] if final else [])
    if not final:
        sink.drop(8)
    sink.add(rows[9:], places[9:])
    assert sink.written().shape == (0, 3)
    assert [op for ops in told for op in ops] == [
        0,
        *([] if not final else range(3, 27, 3)),
        27,
        30,
        33,
    ]
    assert max(map(len, told)) == 4


@pytest.mark.parametrize("keep", [True, False])
def test_an_empty_sink_has_the_shape_of_rows(keep: bool) -> None:
    """No record, or none kept: [0, 3]."""
    sink = RecordSink(keep)
    if not keep:
        sink.add(np.ones((4, 3), np.int64), np.ones(4, np.int64))
    assert sink.written().shape == (0, 3)
    assert sink.written().dtype == np.int64


def test_layouts_are_the_contract() -> None:
    """Field names of records and AUX transactions that files rely on, packed and little-endian."""
    assert RECORD_DT.names == (
        "vcpu",
        "tid",
        "op",
        "insn",
        "el",
        "op_payload",
        "events",
        "issue",
        "total",
        "xlat",
        "va",
        "pa",
        "target",
        "source",
        "level",
        "t_select",
        "t_write",
    )
    assert AUX_DT.names == (
        "vcpu",
        "tid",
        "offset",
        "size",
        "pad",
        "flags",
        "t",
        "records",
    )
    for layout in (RECORD_DT, AUX_DT):
        sizes = [layout[name].itemsize for name in layout.names or ()]
        assert layout.itemsize == sum(sizes)
        assert all(layout[name].byteorder in "<=|" for name in layout.names or ())
