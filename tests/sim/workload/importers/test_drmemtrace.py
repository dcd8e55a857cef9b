"""drmemtrace traces: written from streams, imported, equal; and what is refused, and how."""

from __future__ import annotations

import gzip
import struct
import zipfile
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.workload.importers import drmemtrace
from sim.workload.importers.blocks import TraceError, TruncatedError, Wanted
from sim.workload.importers.threads import Imported, import_trace, program_of
from sim.workload.index import build_index
from sim.workload.presets import get_preset
from sim.workload.recording.elfsymbols import touched
from sim.workload.spestream import Recording, block_taken, read_spestream
from tests.rigs.trace_writers import (
    AARCH64_WITH_ENCODINGS,
    DR,
    Executed,
    drmemtrace_chunks,
    elf_file,
    executed,
    imported,
    ops_of,
    zipped,
)

STREAMS = ["mix", "phases", "threads.0", "threads.1", "threads.2", "threads.3"]
LDR, LDP, B_NE, RET, NOP, SVC = (
    0xF9400001,
    0xA9400C02,
    0x54FFFFC1,
    0xD65F03C0,
    0xD503201F,
    0xD4000001,
)


def shipped(name: str) -> Recording:
    """A stream of the project."""
    return read_spestream(Path(str(files("scenarios") / "streams" / f"{name}.spestream")))


def load(
    data: bytes,
    tmp_path: Path,
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    *,
    anyway: bool = False,
) -> Imported:
    """Import one thread's file."""
    path = tmp_path / "p.trace"
    path.write_bytes(data)
    out = tmp_path / "out.spestream"
    return imported(partial(drmemtrace.read, path), out, wanted=wanted, anyway=anyway)


def same(one: Executed, other: Executed) -> None:
    """Nothing about the ops differs."""
    for name in Executed.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


def few(*rows: tuple[int, int, int], apart: tuple[int, ...] = (), taken: bool = False) -> Executed:
    """Ops from (pc, word, address)."""
    pc, word, address = zip(*rows, strict=True)
    broken = np.zeros(len(rows), np.bool_)
    broken[list(apart)] = True
    return ops_of(
        np.array(pc, np.uint64),
        np.array(word, np.uint32),
        np.array(address, np.uint64),
        broken,
        taken,
    )


LOOP = few(
    (0x1000, LDR, 0x9000),
    (0x1004, LDP, 0x9010),
    (0x1008, B_NE, 0),
    (0x1000, LDR, 0x9008),
    (0x1004, LDP, 0),
    (0x1008, B_NE, 0),
    (0x100C, RET, 0),
)


@pytest.mark.parametrize("name", STREAMS)
def test_shipped_streams_survive(name: str, tmp_path: Path) -> None:
    """A shipped stream (of the long ones, the first 300,000 blocks), written as a zip of chunks and
    imported, has the same ops, addresses, classes, branches, symbols and names.
    """
    stream = shipped(name)
    truth = executed(stream, min(300_000, stream.ids.size))
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
    assert ours["exec_ticks"].sum() == theirs["exec_ticks"].sum()


def test_a_folder_is_a_stream_per_thread(tmp_path: Path) -> None:
    """Threads come in numerical order of their files; other files of the folder are ignored."""
    folder = tmp_path / "drmemtrace.p.9.1.dir" / "trace"
    folder.mkdir(parents=True)
    truths = {tid: executed(shipped(f"threads.{tid}")).first(5000 + tid) for tid in range(4)}
    for tid, number in enumerate((9, 10, 11, 100)):
        chunks = drmemtrace_chunks(truths[tid], tid=number)
        (folder / f"drmemtrace.p.{number}.1.trace.gz").write_bytes(gzip.compress(chunks[0], 1))
    (folder / "cpu_schedule.bin.zip").write_bytes(b"PK")
    result = imported(partial(drmemtrace.read, folder.parent), tmp_path / "o.spestream")
    assert [path.name for path in result.files] == [f"o.{n}.spestream" for n in range(4)]
    for tid, path in enumerate(result.files):
        stream = read_spestream(path)
        assert stream.tid == tid
        same(executed(stream), truths[tid])
    assert not list(tmp_path.glob(".speskew*"))


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd", "zip", "deflated zip"])
def test_every_packing(packing: str, tmp_path: Path) -> None:
    """The same trace in every container, told by its bytes and not by its name."""
    chunk = drmemtrace_chunks(LOOP)[0]
    data = {
        "plain": chunk,
        "gzip": gzip.compress(chunk[:120]) + gzip.compress(chunk[120:]),
        "zstd": zstandard.compress(chunk[:120]) + zstandard.compress(chunk[120:]),
        "zip": zipped([chunk]),
        "deflated zip": zipped(drmemtrace_chunks(LOOP, chunk_ops=2), zipfile.ZIP_DEFLATED),
    }[packing]
    same(executed(read_spestream(load(data, tmp_path).files[0])), LOOP)


def test_chunks_are_in_numerical_order(tmp_path: Path) -> None:
    """chunk.10000 comes after chunk.9999, wherever it stands in the archive."""
    chunks = drmemtrace_chunks(LOOP, chunk_ops=3)
    path = tmp_path / "p.trace.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, chunk in zip((10000, 9999, 998), reversed(chunks), strict=True):
            archive.writestr(f"chunk.{number}", chunk)
    result = imported(partial(drmemtrace.read, path), tmp_path / "o.spestream")
    same(executed(read_spestream(result.files[0])), LOOP)


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


def records(
    *rows: tuple[int, int, int], kind: int = AARCH64_WITH_ENCODINGS, version: int = 5
) -> bytes:
    """A thread's file of these records, in header and footer."""
    head = [(25, 0, version), (28, 12, version), (28, 9, kind), (22, 4, 7)]
    return np.array([*head, *rows, (26, 0, 0)], DR).tobytes()


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


def test_folders_that_hold_no_trace(tmp_path: Path) -> None:
    """An empty folder, and one that was not post-processed, are told apart."""
    with pytest.raises(TraceError, match=r"no \*\.trace"):
        imported(partial(drmemtrace.read, tmp_path), tmp_path / "o")
    (tmp_path / "raw").mkdir()
    with pytest.raises(TraceError, match="post-process"):
        imported(partial(drmemtrace.read, tmp_path), tmp_path / "o")
    with pytest.raises(TraceError, match="cannot be read: No such file"):
        imported(partial(drmemtrace.read, tmp_path / "none"), tmp_path / "o")


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


def test_symbols_of_a_library_at_its_base(tmp_path: Path) -> None:
    """FILE@BASE moves a shared object's symbols; without a base they miss."""
    stream = shipped("threads.1")
    low = min(symbol.start for symbol in stream.symbols) & ~0xFFF
    moved = tuple(
        type(symbol)(symbol.name, symbol.start - low, symbol.size) for symbol in stream.symbols
    )
    elf = tmp_path / "lib.so"
    elf.write_bytes(elf_file(moved, stream.build_id, shared=True, memory=1 << 32))
    trace = tmp_path / "p.trace"
    trace.write_bytes(drmemtrace_chunks(executed(stream))[0])

    def symbols(text: str) -> object:
        done = import_trace(
            partial(drmemtrace.read, trace), tmp_path / "o.spestream", program_of((text,), "p")
        )
        return read_spestream(done.files[0]).symbols

    assert symbols(f"{elf}@{low:#x}") == stream.symbols
    assert symbols(str(elf)) == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"#!/bin/sh\n", "not a whole ELF file"),
        (elf_file((), "ab" * 20)[:200], "not a whole ELF file"),
        (
            b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, 62) + bytes(44),
            "built for EM_X86_64",
        ),
    ],
)
def test_elf_files_that_do_not_fit(data: bytes, message: str, tmp_path: Path) -> None:
    """A wrong --elf is an error, not a stream without symbols."""
    path = tmp_path / "elf"
    path.write_bytes(data)
    with pytest.raises(TraceError, match=message):
        program_of((str(path),), "p")


def test_elf_arguments() -> None:
    """A file that is missing and a base that is no address are named."""
    with pytest.raises(TraceError, match="cannot be read"):
        program_of(("/nowhere",), "p")
    with pytest.raises(TraceError, match="'zz' is no address; write FILE@0xBASE"):
        program_of(("/nowhere@zz",), "p")
