"""Hostile perf.data files: a CaptureError or the records, never a crash, a hang or a swamp."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.workload.capture import perfdata
from sim.workload.capture.container import open_capture
from sim.workload.capture.source import CaptureError, Reading
from sim.workload.capture.symbols import SymbolTable
from tests.rigs import perf_file as pf
from tests.rigs.spe_bytes import fixed, load, variable

quick = settings(max_examples=250, deadline=None)
GOOD = pf.perf_data(
    [
        pf.time_conv(20971520, 19),
        pf.INFO_V2,
        pf.comm(42, b"x"),
        pf.mmap2(42, 0x400000, 0x1000, 0, b"/no/x"),
        pf.mmap2(42, 0x500000, 0x1000, 0, b"/no/y", "ab"),
        pf.switch_out(5, 0, 42),
        pf.event(12, 0, struct.pack("<ii", 42, 42) + pf.sid(3, 0)),
        pf.aux(0, 128, 9),
        pf.auxtrace(fixed(load(0x400100, 3)) * 2, 0),
        pf.auxtrace(variable(load(0x400100, 3)), 0, cpu=1),
        pf.event(4, 0, bytes(24) + pf.sid(9, 0)),
        pf.event(2, 0, bytes(16) + pf.sid(9, 0)),
        pf.event(68, 0, b""),
    ]
)
WORDS = st.sampled_from(
    [
        0,
        1,
        7,
        8,
        16,
        48,
        0xFF,
        0xFFFF,
        1 << 31,
        (1 << 32) - 1,
        1 << 62,
        (1 << 63) - 1,
        1 << 63,
        (1 << 64) - 1,
    ]
)


def read(data: bytes) -> int:
    """Records read from a file with these bytes; -1 if it was refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "perf.data"
        path.write_bytes(data)
        try:
            return _read(path, named=data[:8] == b"PERFILE2")
        except CaptureError as error:
            refusal = str(error)
    assert refusal.startswith(str(path))
    return -1


def _read(path: Path, *, named: bool) -> int:
    capture = open_capture(path)
    found = sum(batch.records.size for batch in capture.batches(Reading()))
    if named:
        file = perfdata.scan(path)
        table = SymbolTable(file.mappings, file.pid_of, file.build_ids)
        assert table.name(42, 0x400010)
    return found


def test_the_good_file_is_good() -> None:
    """The control: unchanged, all three records come out."""
    assert read(GOOD) == 3


@quick
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=6))
def test_changed_bytes(changes: list[tuple[int, int]]) -> None:
    """Any bytes changed."""
    data = bytearray(GOOD)
    for at, value in changes:
        data[at] = value
    read(bytes(data))


@quick
@given(st.integers(0, len(GOOD) // 8 - 1), WORDS)
def test_changed_words(place: int, word: int) -> None:
    """Any aligned word replaced by an extreme one: sizes, offsets, counts, times."""
    read(GOOD[: 8 * place] + struct.pack("<Q", word) + GOOD[8 * place + 8 :])


@quick
@given(st.integers(0, len(GOOD)))
def test_cut_anywhere(length: int) -> None:
    """Any prefix; only a cut in the features leaves anything to read, and none is read wrongly."""
    assert read(GOOD[:length]) in (-1, 3) or length < 8


@quick
@given(st.integers(0, len(GOOD)))
def test_killed_anywhere(length: int) -> None:
    """A file that its killed writer left after any byte: what is whole of it, or a refusal."""
    assert -1 <= read(pf.killed(GOOD)[:length]) <= 3 or length < 8


@quick
@given(st.integers(0, 100), st.integers(0, 0xFFFF), st.binary(max_size=200))
def test_any_record(kind: int, misc: int, body: bytes) -> None:
    """Any record among good ones."""
    record = pf.event(kind, misc, body + bytes(-len(body) % 8))
    read(pf.perf_data([pf.time_conv(), pf.INFO_V1, record, pf.auxtrace(fixed(load(1, 2)), 0)]))
