"""Hostile .spestream files: whatever the bytes, a StreamError or the recording, never a crash."""

import contextlib
import json
import struct
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.workload.a64 import classify
from sim.workload.spestream import (
    Recording,
    StreamError,
    Symbol,
    read_header,
    read_spestream,
    write_spestream,
)

Header = dict[str, Any]
WORDS = np.array([0xF9400001, 0xB5FFFFE1, 0xD65F03C0], np.uint32)
PRELUDE = 32
COUNTS = ["ops", "blocks", "slots", "static_blocks", "static_ops", "discontinuities", "tid"]

quick = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@cache
def good_bytes() -> bytes:
    """A small valid file."""
    rng = np.random.default_rng(7)
    ids = rng.integers(0, 2, 400, dtype=np.uint32)
    ops = classify(WORDS)
    stream = Recording(
        pc=np.array([0x1000, 0x1004, 0x1008], np.uint64),
        word=WORDS,
        op_class=ops.op_class,
        flags=ops.flags,
        op_payload=ops.op_payload,
        op_header=ops.op_header,
        block_first=np.array([0, 2], np.int64),
        block_len=np.array([2, 1], np.int32),
        ids=ids,
        addresses=rng.integers(0, 1 << 48, int((ids == 0).sum()), dtype=np.uint64),
        discontinuities=np.array([3, 50], np.int64),
        symbols=(Symbol("f", 0x1000, 12),),
        build_id="",
        program="p",
        tid=0,
        ops=int(np.array([2, 1])[ids].sum()),
        taken_last=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "good"
        write_spestream(path, stream)
        return path.read_bytes()


def parts(data: bytes) -> tuple[Header, list[bytes]]:
    """The header of a file and its frames."""
    _, _, packed, offset, _ = struct.unpack_from("<8sIIQI", data)
    header = json.loads(zstandard.decompress(data[offset : offset + packed]))
    frames, at = [], PRELUDE
    for size, _, _ in header["frames"]:
        frames.append(data[at : at + size])
        at += size
    return header, frames


def joined(header: Header, frames: list[bytes], *, raw_header: bytes | None = None) -> bytes:
    """A file with valid checksums around whatever the parts claim."""
    raw = json.dumps(header).encode() if raw_header is None else raw_header
    packed = zstandard.compress(raw)
    body = b"".join(frames)
    prelude = struct.pack(
        "<8sIIQI", b"SPESTRM\n", 1, len(packed), PRELUDE + len(body), zlib.crc32(packed)
    )
    return prelude + struct.pack("<I", zlib.crc32(prelude)) + body + packed


def with_frame(number: int, raw: bytes, **changes: object) -> bytes:
    """The good file with one frame's content, and header entries, replaced."""
    header, frames = parts(good_bytes())
    frames[number] = zstandard.compress(raw)
    header["frames"][number] = [len(frames[number]), len(raw), zlib.crc32(frames[number])]
    return joined(header | changes, frames)


def refused(path: Path, data: bytes) -> str:
    """The message with which both readers, or the whole reader, refuse `data`."""
    path.write_bytes(data)
    with pytest.raises(StreamError) as caught:
        read_spestream(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message


def survives(path: Path, data: bytes) -> None:
    """Reading ends in a recording or a StreamError; nothing else escapes."""
    path.write_bytes(data)
    for read in (read_header, read_spestream):
        with contextlib.suppress(StreamError):
            assert read(path).ops >= 0


def test_the_parts_are_the_file(tmp_path: Path) -> None:
    """The tools of this file rebuild a readable stream: what follows tests the reader."""
    path = tmp_path / "a"
    path.write_bytes(joined(*parts(good_bytes())))
    assert read_spestream(path).ids.size == 400


def test_truncation_anywhere(tmp_path: Path) -> None:
    """A file cut short at any byte is refused."""
    for cut in range(len(good_bytes())):
        assert "cut short" in refused(tmp_path / "a", good_bytes()[:cut])


@quick
@given(at=st.integers(0, 8 * len(good_bytes()) - 1))
def test_any_flipped_bit(at: int, tmp_path: Path) -> None:
    """No single bit of a file can change without being noticed."""
    data = bytearray(good_bytes())
    data[at // 8] ^= 1 << at % 8
    assert refused(tmp_path / "a", bytes(data))


@quick
@given(data=st.binary(max_size=400), headed=st.booleans())
def test_any_bytes(data: bytes, headed: bool, tmp_path: Path) -> None:
    """Noise, with or without the right first bytes, is refused."""
    assert refused(tmp_path / "a", b"SPESTRM\n" + data if headed else data)


@quick
@given(name=st.sampled_from(COUNTS), value=st.integers(-(1 << 70), 1 << 70))
def test_any_count(name: str, value: int, tmp_path: Path) -> None:
    """A header with valid checksums and a false count is refused before memory is taken."""
    header, frames = parts(good_bytes())
    if name != "tid" and value != header[name]:
        assert refused(tmp_path / "a", joined(header | {name: value}, frames))
    else:
        survives(tmp_path / "a", joined(header | {name: value}, frames))


@quick
@given(
    number=st.integers(0, 4),
    place=st.integers(0, 2),
    value=st.integers(0, 1 << 62) | st.integers(0, 2000),
)
def test_any_frame_entry(number: int, place: int, value: int, tmp_path: Path) -> None:
    """A frame's size, decoded size or checksum cannot lie."""
    header, frames = parts(good_bytes())
    if header["frames"][number][place] != value:
        header["frames"][number][place] = value
        assert refused(tmp_path / "a", joined(header, frames))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@quick
@given(value=JSON, entry=st.sampled_from([None, *parts(good_bytes())[0]]))
def test_any_json(value: object, entry: str | None, tmp_path: Path) -> None:
    """Headers of any shape are refused, or read if they happen to be right."""
    header, frames = parts(good_bytes())
    if entry is None:
        survives(tmp_path / "a", joined({}, frames, raw_header=json.dumps(value).encode()))
    else:
        survives(tmp_path / "a", joined(header | {entry: value}, frames))


@quick
@given(number=st.integers(0, 4), raw=st.binary(max_size=3000))
def test_any_frame_content(number: int, raw: bytes, tmp_path: Path) -> None:
    """Frames of noise, under valid checksums, never crash the reader."""
    survives(tmp_path / "a", with_frame(number, raw))


@quick
@given(at=st.integers(0, 71), value=st.binary(min_size=1, max_size=8))
def test_any_static_content(at: int, value: bytes, tmp_path: Path) -> None:
    """Static arrays of the right size and any content never crash the reader."""
    raw = zstandard.decompress(parts(good_bytes())[1][0])
    survives(tmp_path / "a", with_frame(0, (raw[:at] + value + raw[at + len(value) :])[: len(raw)]))


@pytest.mark.parametrize(
    "raw", [b"[" * 100_000, b'{"a":' * 50_000, b"9" * 10_000, b"\xff\xfe", b"", b"null"]
)
def test_hostile_json(raw: bytes, tmp_path: Path) -> None:
    """Deep nesting, huge numbers and bad text in header and symbols are refused."""
    header, frames = parts(good_bytes())
    assert refused(tmp_path / "a", joined(header, frames, raw_header=raw))
    assert refused(tmp_path / "a", with_frame(1, raw))


@pytest.mark.parametrize(
    "symbols",
    [
        '{"a":1}',
        "[1]",
        '[["f",1]]',
        "[[1,2,3]]",
        '[["f","1",2]]',
        '[["f",-1,2]]',
        '[["f",18446744073709551615,2]]',
        '[["f",true,2]]',
    ],
)
def test_hostile_symbols(symbols: str, tmp_path: Path) -> None:
    """Symbols that are no name and place are refused."""
    assert "symbol" in refused(tmp_path / "a", with_frame(1, symbols.encode()))


def raise_counts(header: Header) -> None:
    """The largest claims that agree with one another."""
    header["blocks"] = 262_144
    header["slots"] = 1 << 40
    header["frames"][2][1] = 4 * 262_144
    header["frames"][3][1] = 8 << 40


def raise_static(header: Header) -> None:
    header["static_ops"] = 1 << 40
    header["frames"][0][1] = 12 * 2 + (16 << 40)


def raise_discontinuities(header: Header) -> None:
    header["discontinuities"] = 1 << 40
    header["frames"][4][1] = 8 << 40


def raise_chunks(header: Header) -> None:
    header["blocks"] = 1 << 61


@pytest.mark.parametrize(
    "change", [raise_counts, raise_static, raise_discontinuities, raise_chunks]
)
def test_huge_claims_take_no_memory(change: Callable[[Header], None], tmp_path: Path) -> None:
    """Consistent claims of terabytes are refused within a megabyte."""
    header, frames = parts(good_bytes())
    change(header)
    data = joined(header, frames)
    tracemalloc.start()
    try:
        refused(tmp_path / "a", data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_frame_that_claims_another_size(tmp_path: Path) -> None:
    """The size inside a zstd frame counts as a claim too."""
    header, frames = parts(good_bytes())
    huge = zstandard.compress(bytes(1 << 24))
    frames[2] = huge
    header["frames"][2] = [len(huge), 1600, zlib.crc32(huge)]
    assert "states 16777216 bytes, not 1600" in refused(tmp_path / "a", joined(header, frames))
    streamed = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1600))
    frames[2] = streamed
    header["frames"][2] = [len(streamed), 1600, zlib.crc32(streamed)]
    assert "does not state its size" in refused(tmp_path / "a", joined(header, frames))


def test_frame_that_decodes_short(tmp_path: Path) -> None:
    """A zstd frame cut at its end, under a valid checksum, is refused."""
    header, frames = parts(good_bytes())
    frames[3] = frames[3][:-4]
    header["frames"][3] = [len(frames[3]), header["frames"][3][1], zlib.crc32(frames[3])]
    assert "frame" in refused(tmp_path / "a", joined(header, frames))


def test_extra_bytes_between_frames(tmp_path: Path) -> None:
    """Bytes that no frame owns are refused."""
    header, frames = parts(good_bytes())
    assert "do not fill the file" in refused(tmp_path / "a", joined(header, [*frames, b"xx"]))


@pytest.mark.parametrize(
    ("number", "raw"),
    [
        (2, np.full(400, 2, "<u4")),  # ids beyond the blocks
        (2, np.zeros(400, "<u4")),  # blocks that need more addresses
        (4, np.array([50, 3], "<u8")),  # discontinuities out of order
        (4, np.array([3, 400], "<u8")),  # … beyond the blocks
        (4, np.array([3, 1 << 63], "<u8")),
    ],
)
def test_frames_that_contradict_others(
    number: int, raw: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    """Content that is well formed but impossible is refused."""
    planes = raw.view(np.uint8).reshape(raw.size, -1).T.tobytes()
    assert "contradicts itself" in refused(tmp_path / "a", with_frame(number, planes))


def test_a_directory_is_refused(tmp_path: Path) -> None:
    """A path that is no file gives the same kind of error."""
    with pytest.raises(StreamError, match="cannot be read: Is a directory"):
        read_spestream(tmp_path)
