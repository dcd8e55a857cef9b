"""drmemtrace traces: written from streams, imported, equal; and what is refused, and how."""

from __future__ import annotations

import gzip
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.workload.importers import drmemtrace
from sim.workload.importers.blocks import TraceError, TruncatedError, Wanted
from sim.workload.importers.threads import import_trace, program_of
from sim.workload.index import build_index
from sim.workload.presets import get_preset
from sim.workload.recording.elfsymbols import touched
from sim.workload.spestream import block_taken, read_spestream
from tests.rigs.trace_writers import (
    DR,
    Executed,
    drmemtrace_chunks,
    elf_file,
    executed,
    ops_of,
    zipped,
)
from tests.sim.workload.importers.traces import (
    B_NE,
    LDP,
    LDR,
    LOOP,
    NOP,
    RET,
    STREAMS,
    SVC,
    few,
    load,
    records,
    same,
    shipped,
)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        *((name, 30_000) for name in STREAMS),
        ("threads.1", None),
        *(pytest.param(name, 300_000, marks=pytest.mark.deep) for name in STREAMS),
    ],
)
def test_shipped_streams_survive(name: str, blocks: int | None, tmp_path: Path) -> None:
    """A shipped stream or its first blocks, written as a zip of chunks and imported, has the same
    ops, addresses, classes, branches, symbols and names.
    """
    stream = shipped(name)
    truth = executed(stream, blocks)
    trace = tmp_path / "x.trace.zip"
    trace.write_bytes(zipped(drmemtrace_chunks(truth, chunk_ops=500_000)))
    elf = tmp_path / stream.program
    elf.write_bytes(elf_file(stream.symbols, stream.build_id))
    program = program_of((str(elf),), "x")
    result = import_trace(partial(drmemtrace.read, trace), tmp_path / "o.spestream", program)
    again = read_spestream(result.files[0])
    same(executed(again), truth)
    assert (result.ops, result.lost, result.symbols) == (truth.pc.size, 0, len(again.symbols))
    assert again.symbols == touched(stream.symbols, truth.pc)
    assert len(again.symbols) > 1
    assert (again.program, again.build_id) == (stream.program, stream.build_id)


def test_levels_are_those_of_the_recorded_stream(tmp_path: Path) -> None:
    """The index of an imported stream has the memory levels and ticks of the recorded one."""
    stream = shipped("threads.1")
    result = load(drmemtrace_chunks(executed(stream))[0], tmp_path)
    preset = get_preset("neoverse-n1")
    ours, _, _ = build_index(read_spestream(result.files[0]), preset, False)
    theirs, _, _ = build_index(stream, preset, False)
    np.testing.assert_array_equal(ours["levels"], theirs["levels"])
    assert len(np.unique(ours["levels"])) > 1
    assert ours["size"].tolist() == theirs["size"].tolist()


def test_encodings_hold_until_they_change(tmp_path: Path) -> None:
    """Code that is rewritten gets a new block, at the same pc."""
    ops = few(
        (0x1000, NOP, 0),
        (0x1004, RET, 0),
        (0x1000, NOP, 0),
        (0x1004, RET, 0),
        (0x1000, LDR, 0x9000),
        (0x1004, RET, 0),
        (0x1000, LDR, 0x9008),
        (0x1004, RET, 0),
    )
    stream = read_spestream(load(drmemtrace_chunks(ops)[0], tmp_path).files[0])
    same(executed(stream), ops)
    assert stream.block_len.size == 2


def test_a_signal_is_a_discontinuity(tmp_path: Path) -> None:
    """A kernel event breaks the flow, even after an indirect branch, and nothing is inferred."""
    ops = few((0x1000, NOP, 0), (0x1004, B_NE, 0), (0x2000, RET, 0), (0x3000, NOP, 0), apart=(2, 3))
    stream = read_spestream(load(drmemtrace_chunks(ops)[0], tmp_path).files[0])
    same(executed(stream), ops)
    assert not block_taken(stream)[0]
    flow = few((0x1000, NOP, 0), (0x1004, B_NE, 0), (0x0FFC, RET, 0), (0x3000, NOP, 0))
    stream = read_spestream(load(drmemtrace_chunks(flow)[0], tmp_path).files[0])
    assert stream.discontinuities.size == 0
    assert block_taken(stream)[0]


@pytest.mark.parametrize("taken", [True, False])
def test_the_last_branch_is_known(taken: bool, tmp_path: Path) -> None:
    """The record's type says whether a last conditional branch jumped."""
    ops = few((0x1000, NOP, 0), (0x1004, B_NE, 0), taken=taken)
    assert read_spestream(load(drmemtrace_chunks(ops)[0], tmp_path).files[0]).taken_last is taken


def test_kernel_code_is_left_out(tmp_path: Path) -> None:
    """Between the marks of a system call's trace nothing is taken, and the user is told."""
    data = records(
        (47, 4, SVC),
        (31, 4, 0x1000),
        (28, 27, 1),
        (47, 4, LDR),
        (10, 4, 0xFFFF0000),
        (0, 8, 0x7000),
        (28, 28, 1),
        (47, 4, LDR),
        (10, 4, 0x1004),
        (7, 8, 0x5000),
        (0, 8, 0x9000),
        (0, 8, 0x9008),
    )
    result = load(data, tmp_path)
    same(executed(read_spestream(result.files[0])), few((0x1000, SVC, 0), (0x1004, LDR, 0x9000)))
    assert result.remarks == ("1 ops of the kernel were left out",)


def test_windows_and_lost_addresses(tmp_path: Path) -> None:
    """A new trace window is a break; an address of an op that takes none is counted."""
    data = records(
        (28, 14, 0),
        (47, 4, NOP),
        (10, 4, 0x1000),
        (0, 8, 0x9000),
        (28, 14, 0),
        (47, 4, NOP),
        (10, 4, 0x1004),
        (28, 14, 1),
        (47, 4, RET),
        (16, 4, 0x1008),
    )
    result = load(data, tmp_path)
    ops = executed(read_spestream(result.files[0]))
    assert ops.apart.tolist() == [False, False, True]
    assert result.lost == 1


@pytest.mark.parametrize(
    ("skip", "limit"), [(0, 1), (0, 3), (2, 4), (3, 3), (6, 9), (0, 7), (0, 6)]
)
def test_skip_and_limit(skip: int, limit: int, tmp_path: Path) -> None:
    """Exactly the ops asked for, and what followed the last of them is still known."""
    result = load(drmemtrace_chunks(LOOP)[0], tmp_path, Wanted(skip, limit))
    stream = read_spestream(result.files[0])
    end = min(skip + limit, 7)
    expected = Executed(*(getattr(LOOP, name)[skip:end] for name in Executed.__dataclass_fields__))
    same(executed(stream), expected)
    assert stream.taken_last == LOOP.taken[end - 1]


REFUSED = {
    "no header": (drmemtrace_chunks(LOOP)[0][12:], "no header record"),
    "old": (records(version=3), "trace version 3, versions 4 to 7"),
    "future": (records((47, 4, NOP), (10, 4, 0), version=8), "trace version 8"),
    "x86": (records((47, 3, 1), (10, 4, 0), kind=0xE40), "recorded on x86-64"),
    "filtered": (records((47, 4, NOP), (10, 4, 0), kind=0xE88), "filtered"),
    "legacy": (
        np.array([(25, 0, 2), (22, 4, 7), (10, 4, 0x1000)], DR).tobytes(),
        ":byte 24: drmemtrace, trace version 2, versions 4 to 7",
    ),
    "no addresses": (records((47, 4, NOP), (10, 4, 0), kind=0xE0C), "without addresses"),
    "sharded": (records((47, 4, NOP), (10, 4, 0), kind=0x10E08), "sharded by core"),
    "regdeps": (records((47, 4, NOP), (10, 4, 0), kind=0x20E08), "REGDEPS"),
    "no encodings": (records((10, 4, 0), kind=0xC08), "no instruction encodings"),
    "no architecture": (records((10, 4, 0), kind=0x200), "not said to be of AArch64"),
    "unknown pc": (records((10, 4, 0x1000)), "whose encoding is not known"),
    "bundle": (records((47, 4, NOP), (10, 4, 0), (17, 2, 1)), ":byte 72: instructions in a form"),
    "odd pc": (records((47, 4, NOP), (10, 4, 0x1002)), ":byte 60: a pc that is not"),
    "long encoding": (records((47, 8, NOP)), ":byte 48: an encoding that is not one of 4 bytes"),
    "two encodings": (records((47, 4, NOP), (47, 4, NOP)), ":byte 60: an encoding"),
    "unknown type": (records((50, 0, 0)), ":byte 48: a record of an unknown type"),
    "two threads": (records((22, 4, 8)), ":byte 48: ops of a second thread"),
    "after the end": (records() + records()[:12], ":byte 60: records after the footer"),
    "headless op": (
        np.array([(25, 0, 5), (47, 4, NOP), (10, 4, 0)], DR).tobytes(),
        ":byte 12: no version and file type",
    ),
    "no ops": (records(), "no op is left"),
    "empty": (b"", "cut short: no footer"),
    "lz4": (b"\x04\x22\x4d\x18" + bytes(20), "packed with lz4"),
    "two members": (zipped([b""]).replace(b"chunk", b"other"), "no header|cut short"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_reason(case: str, tmp_path: Path) -> None:
    """What cannot be imported is refused with file, place, reason and cure; nothing is written."""
    data, message = REFUSED[case]
    if case == "old":
        data = records((47, 4, NOP), (10, 4, 0), version=3)
    with pytest.raises(TraceError, match=message) as caught:
        load(data, tmp_path)
    assert "p" in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.trace"]


def test_truncated_at_any_byte(tmp_path: Path) -> None:
    """A file cut anywhere is an error; the limit that the message names takes what is whole."""
    whole = drmemtrace_chunks(LOOP)[0]
    for packed in (whole, gzip.compress(whole), zstandard.compress(whole)):
        for cut in range(60, len(packed), 5):
            with pytest.raises(TruncatedError, match="cut short"):
                load(packed[:cut], tmp_path)
    with pytest.raises(TruncatedError, match="give --limit 5ops to take what is whole"):
        load(whole[: 12 * 21 + 7], tmp_path)
    stream = read_spestream(load(whole[: 12 * 21 + 7], tmp_path, Wanted(0, 5)).files[0])
    same(executed(stream), LOOP.first(5))


@st.composite
def programs(draw: st.DrawFn) -> Executed:
    """Ops that jump anywhere, with breaks anywhere."""
    words = st.sampled_from([LDR, LDP, B_NE, RET, NOP, SVC, 0x14000002, 0x94000004, 0xF9000001])
    count = draw(st.integers(1, 60))
    pcs = draw(st.lists(st.integers(0, 12), min_size=count, max_size=count))
    step = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    code = draw(st.lists(words, min_size=30, max_size=30))
    pc = [0x1000]
    for jump, sequential in zip(pcs[1:], step[1:], strict=True):
        pc.append(pc[-1] + 4 if sequential and pc[-1] < 0x1060 else 0x1000 + 4 * jump)
    word = np.array([code[(at - 0x1000) // 4] for at in pc], np.uint32)
    slot = np.isin(word, [LDR, LDP, 0xF9000001])
    address = np.array(draw(st.lists(st.integers(0, 40), min_size=count, max_size=count)))
    apart = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    apart[0] = False
    values = np.where(slot, address * 8, 0).astype(np.uint64)
    return ops_of(np.array(pc, np.uint64), word, values, apart, False)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ops=programs(), chunk=st.integers(1, 60))
def test_any_program(ops: Executed, chunk: int, tmp_path: Path) -> None:
    """Whatever the flow: the same ops, and every break that the trace reports."""
    data = zipped(drmemtrace_chunks(ops, chunk_ops=chunk))
    again = executed(read_spestream(load(data, tmp_path, anyway=True).files[0]))
    for name in ("pc", "word", "address"):
        np.testing.assert_array_equal(getattr(again, name), getattr(ops, name))
    assert np.all(again.apart[ops.apart])
