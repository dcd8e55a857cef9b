"""Hostile traces: whatever the bytes, a TraceError or a stream, in bounded memory and time."""

from __future__ import annotations

import gzip
import io
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.workload.importers import drmemtrace, execlog, tarmac
from sim.workload.importers.blocks import Program, TraceError
from sim.workload.importers.threads import import_trace
from sim.workload.spestream import read_spestream
from tests.rigs.trace_writers import DR, drmemtrace_chunks, zipped
from tests.sim.workload.importers.texts import ES, EXECLOG, FASTMODEL, GEM5
from tests.sim.workload.importers.traces import LOOP

READERS: dict[str, Callable[..., None]] = {
    "drmemtrace": drmemtrace.read,
    "tarmac": tarmac.read,
    "execlog": execlog.read,
}
readers = st.sampled_from(sorted(READERS))
quick = settings(max_examples=100, deadline=None)


def survives(data: bytes, reader: str) -> str:
    """Importing ends in a TraceError with the file's name, or in streams that can be read."""
    message, ops = "", 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hostile"
        path.write_bytes(data)
        try:
            done = import_trace(
                partial(READERS[reader], path), Path(folder) / "o.spestream", Program("hostile")
            )
            ops = done.ops
            assert sum(read_spestream(file).ops for file in done.files) == ops > 0
        except TraceError as error:
            message = str(error)
        left = [file.name for file in Path(folder).iterdir()]
    assert ops or ("hostile" in message and left == ["hostile"])
    return message


@cache
def good(reader: str) -> tuple[bytes, ...]:
    """Valid traces of a format, in several packings."""
    if reader == "drmemtrace":
        chunks = drmemtrace_chunks(LOOP, chunk_ops=3)
        plain = drmemtrace_chunks(LOOP)[0]
        return (
            plain,
            zipped(chunks),
            zipped(chunks, zipfile.ZIP_DEFLATED),
            gzip.compress(plain, mtime=0),
            zstandard.compress(plain),
        )
    if reader == "execlog":
        return EXECLOG.encode(), gzip.compress(EXECLOG.encode(), mtime=0)
    texts = [text.encode() for text in (FASTMODEL, GEM5, ES)]
    return *texts, zstandard.compress(texts[0])


def test_good_files_are_good() -> None:
    """What the tests below damage can be imported as it is."""
    for reader in READERS:
        for data in good(reader):
            assert survives(data, reader) == ""


@quick
@given(
    data=st.binary(max_size=600),
    reader=readers,
    head=st.sampled_from(
        [b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"\x19\0\0\0"]
    ),
)
def test_any_bytes(data: bytes, reader: str, head: bytes) -> None:
    """Noise, with or without the first bytes of a container, is survived."""
    survives(head + data, reader)


@quick
@given(data=st.data(), reader=readers)
def test_damage_anywhere(data: st.DataObject, reader: str) -> None:
    """A good file with bytes changed, removed or put in is survived."""
    whole = bytearray(data.draw(st.sampled_from(good(reader))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        whole = whole or bytearray(b"x")
    survives(bytes(whole), reader)


@quick
@given(data=st.data(), reader=readers)
def test_truncation_anywhere(data: st.DataObject, reader: str) -> None:
    """A good file cut short is survived; a binary one is refused wherever it is cut."""
    whole = data.draw(st.sampled_from(good(reader)))
    cut = data.draw(st.integers(0, len(whole) - 1))
    message = survives(whole[:cut], reader)
    assert message or reader != "drmemtrace"


WORDS = st.sampled_from(
    [
        *("IT", "IS", "ES", "E", "LD", "ST", "MR8", "MW4", "MR", "R", "EXC", "clk", "tic", "cpu0"),
        *("cpu1", "(1)", "(00001000:f9400001)", "(", ")", "O", "A", "T", "EL0t_n", "el3h_s:", ":"),
        *("00001000", "00001004", "f9400001", "d65f03c0", "a00a", "f" * 16, "f" * 17, "9000:0_NS"),
        *("........", "......07", "####....", ",", '"', "0,", "0x1000,", "0xf9400001,", '"ldr",'),
        *("load,", "store,", "0x9000", "0x", "", "\t", "\r"),
    ]
)


@quick
@given(
    lines=st.lists(st.lists(WORDS, max_size=9), max_size=12),
    reader=st.sampled_from(["tarmac", "execlog"]),
)
def test_any_words(lines: list[list[str]], reader: str) -> None:
    """Lines of the formats' own words in any order are survived."""
    survives("".join(" ".join(line) + "\n" for line in lines).encode(), reader)


RECORDS = st.tuples(
    st.sampled_from([*range(51), 0xFFFF]),
    st.sampled_from([0, 1, 4, 8, 9, 12, 14, 27, 28, 34, 35, 0xFFFF]),
    st.sampled_from(
        [0, 4, 5, 0xE08, 0x1000, 0x1004, 0xD65F03C0, 0xF9400001, (1 << 64) - 4, 1 << 63]
    ),
)


@quick
@given(rows=st.lists(RECORDS, max_size=40))
def test_any_records(rows: list[tuple[int, int, int]]) -> None:
    """Records of every type and marker, in any order after good headers, are survived."""
    head = [(25, 0, 5), (28, 12, 5), (28, 9, 0xE08)]
    survives(np.array([*head, *rows, (26, 0, 0)], DR).tobytes(), "drmemtrace")


def bomb(kind: str, unit: bytes, times: int) -> bytes:
    """A small file that decodes to `unit`, `times` over."""
    if kind == "zip":
        data = io.BytesIO()
        archive = zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED)
        with archive, archive.open("chunk.0", "w") as member:
            for _ in range(times):
                member.write(unit)
        return data.getvalue()
    if kind == "gzip":
        return b"".join([gzip.compress(unit, mtime=0)] * times)
    return zstandard.compress(unit) * times


@pytest.mark.parametrize("kind", ["zip", "gzip", "zstd"])
@pytest.mark.parametrize("reader", sorted(READERS))
def test_bombs_take_no_memory(kind: str, reader: str) -> None:
    """150 MB packed into less than one are refused with less than 64 MB of memory."""
    units = {
        "drmemtrace": np.array([(28, 2, 1)] * (1 << 20), DR).tobytes(),
        "tarmac": b"1 clk R X0 0000000000000001\n" * (1 << 19),
        "execlog": b"\0" * (12 << 20),
    }
    head = np.array([(25, 0, 5), (28, 12, 5)], DR).tobytes() if reader == "drmemtrace" else b""
    data = bomb(kind, head + units[reader], 12)
    assert len(data) < 1 << 20
    survives(good(reader)[0], reader)  # compiled before memory is counted
    tracemalloc.start()
    try:
        assert survives(data, reader)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_zip_of_many_members() -> None:
    """Neither thousands of empty chunks nor chunks without a number hang or crash."""
    for name in ("chunk.{}", "chunk.x{}", "{}", "chunk.0{:.0f}"):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for number in range(3000):
                archive.writestr(name.format(number), b"")
        assert survives(data.getvalue(), "drmemtrace")
        assert survives(data.getvalue(), "tarmac")


def test_an_endless_line(tmp_path: Path) -> None:
    """A device that never ends a line is refused after one piece."""
    read = partial(tarmac.read, Path("/dev/zero"))
    with pytest.raises(TraceError, match=r"/dev/zero:1: a line of"):
        import_trace(read, tmp_path / "o.spestream", Program("p"))
