"""From records to a workload profile: cells, phases, and what is doubtful."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim.workload.capture.container import open_capture
from sim.workload.capture.profiling import Sampling, Selection, alike, merge, profile
from sim.workload.capture.source import CaptureError
from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import load, variable
from tests.sim.workload.capture.made import GHZ, RAW, Pages, raw


def test_records_become_cells(tmp_path: Path) -> None:
    """Addresses, levels, threads, latencies and times of records are counted, each once."""
    data = b"".join(
        variable(load(0x400100 + 4 * (k % 2), 10 + 300 * k, total=20 + k % 2, source=8 * (k % 2)))
        for k in range(100)
    )
    made, seen = profile(raw(tmp_path, data), Pages(), RAW, "raw")
    assert (made.records, made.interval, made.ops_per_record) == (100, 1024, 1025)
    assert made.symbols == ("42:0x4001",)
    assert [(s.pc, s.el, s.op_class) for s in made.statics] == [(0x400100, 0, 1), (0x400104, 0, 1)]
    (phase,) = made.phases
    assert phase.cells == ((0, 1, 50), (1, 2, 50))
    assert phase.fs_per_op == 300 * GHZ.fs_per_tick // 1025
    assert [(r.timing_class, r.level, set(r.cycles)) for r in made.latencies] == [
        (1, 1, {20}),
        (1, 2, {21}),
    ]
    assert seen.records == 100


def test_phases_follow_time(tmp_path: Path) -> None:
    """Two halves with different code are two phases, each with its own time per op."""
    first = [variable(load(0x400100, 200 * k)) for k in range(1000)]
    second = [variable(load(0x500100, 200_000 + 800 * k)) for k in range(250)]
    made, _ = profile(raw(tmp_path, b"".join(first + second)), Pages(), RAW, "raw")
    assert len(made.phases) in (2, 3)  # a window may lie across the change
    assert made.phases[0].fs_per_op == 200 * 10**6 // 1025
    assert made.phases[-1].fs_per_op == pytest.approx(800 * 10**6 // 1025, rel=0.05)
    assert {made.statics[c[0]].pc for c in made.phases[0].cells} == {0x400100}
    late = {made.statics[static].pc: n for static, _, n in made.phases[-1].cells}
    assert late[0x500100] == 250
    assert late.get(0x400100, 0) <= 250 // 50


def test_steady_code_is_one_phase(tmp_path: Path) -> None:
    """The control: random code without a change in time is not cut up."""
    draw = np.random.default_rng(3)
    pcs = 0x400000 + 256 * draw.integers(0, 40, 20_000)
    data = b"".join(variable(load(int(pc), 300 * k)) for k, pc in enumerate(pcs))
    made, _ = profile(raw(tmp_path, data), Pages(), RAW, "raw")
    assert len(made.phases) <= 2


def test_phases_without_timestamps_follow_the_stream(tmp_path: Path) -> None:
    """Records that end without a time are put into windows by their place."""
    records = [load(0x400100, 0)] * 640 + [load(0x500100, 0)] * 640
    data = b"".join(variable(r)[:-9] + b"\x01" for r in records)
    made, _ = profile(raw(tmp_path, data), Pages(), RAW, "raw")
    assert [p.fs_per_op for p in made.phases] == [None, None]
    assert [p.records for p in made.phases] == [640, 640]


def test_alike_flags_a_shift_and_passes_noise() -> None:
    """The homogeneity test: a wrong split in few of 200 pairs, a real shift always found."""
    draw = np.random.default_rng(5)
    p, q = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.4, 0.4, 0.15, 0.05])
    pairs = [(draw.multinomial(2000, p), draw.multinomial(500, p)) for _ in range(200)]
    assert sum(not alike(a, b) for a, b in pairs) <= 8
    shifted = [(draw.multinomial(2000, p), draw.multinomial(2000, q)) for _ in range(50)]
    assert not any(alike(a, b) for a, b in shifted)
    assert merge(np.array([[5, 0], [0, 0], [6, 0], [0, 900]])) == [[0, 2], [3]]


def test_selection_and_missing_interval(tmp_path: Path) -> None:
    """One thread or CPU at a time; a raw buffer needs the period; nothing selected is an error."""
    data = [variable(load(0x400100 + 256 * (k % 2), k, context=42 + k % 2)) for k in range(100)]
    capture = raw(tmp_path, b"".join(data))
    made, _ = profile(capture, Pages(), RAW, "raw", Selection(tid=43))
    assert (made.records, made.symbols) == (50, ("43:0x4002",))
    with pytest.raises(CaptureError, match=r"sampling period.*--interval 1024ops"):
        profile(capture, Pages(), Sampling(), "raw")
    with pytest.raises(CaptureError, match="no whole record"):
        profile(capture, Pages(), RAW, "raw", Selection(cpu=3))


def test_the_container_knows_better(tmp_path: Path) -> None:
    """Period, jitter and clock of a perf.data win over what is given by hand."""
    data = pf.perf_data(
        [
            pf.time_conv(2, 0),
            pf.INFO_V1,
            pf.auxtrace(b"".join(variable(load(0x400100, 100 * k)) for k in range(20)), 0),
        ],
        config=1 | 1 << 16,
        period=4097,
    )
    path = tmp_path / "perf.data"
    path.write_bytes(data)
    made, _ = profile(open_capture(path), Pages(), RAW, "perf.data")
    assert (made.interval, made.ops_per_record) == (4097, 4096 + 128)
    assert made.phases[0].fs_per_op == 200 * 10**6 // 4224


def test_damaged_records_do_not_count(tmp_path: Path) -> None:
    """Halves of a record with a bad byte are left out of a profile."""
    one = variable(load(0x400100, 5))
    made, seen = profile(
        raw(tmp_path, one * 50 + one[:9] + b"\xff" + one[9:] + one), Pages(), RAW, "raw"
    )
    assert (made.records, seen.records, seen.intact) == (51, 53, 51)
