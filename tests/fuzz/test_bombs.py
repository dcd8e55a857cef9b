"""Small files that decode to huge ones: a clear error, in less than 512 MiB of memory."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from reports.exitcodes import ExitCode
from sim.workload import spestream
from sim.workload.a64 import Flag, OpClass
from sim.workload.spestream import Chunk, Recording
from tests.faults.victim import Server

MOST = 512 << 20
BYTES = 1 << 30
"""What a bomb decodes to."""


def zeros_gzip(path: Path) -> None:
    """`BYTES` zeros."""
    with gzip.open(path, "wb", 1) as file:
        for _ in range(BYTES >> 26):
            file.write(bytes(1 << 26))


def zeros_zstd(path: Path) -> None:
    """`BYTES` zeros in one frame."""
    with path.open("wb") as out, zstandard.ZstdCompressor().stream_writer(out, size=BYTES) as file:
        for _ in range(BYTES >> 26):
            file.write(bytes(1 << 26))


def zeros_zip(path: Path) -> None:
    """`BYTES` zeros in one member."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("perf.data", "w", force_zip64=True) as file,
    ):
        for _ in range(BYTES >> 26):
            file.write(bytes(1 << 26))


PACKED: dict[str, Callable[[Path], None]] = {
    "gzip": zeros_gzip,
    "zstd": zeros_zstd,
    "zip": zeros_zip,
}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bomb of each kind."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, write in PACKED.items():
        write(folder / name)
    return {name: folder / name for name in PACKED}


Refused = Callable[..., str]


@pytest.fixture
def refused(warm: Server, own_folder: Path) -> Refused:
    """What a command that refuses its input says; it may not need more than MOST bytes."""
    Path("here").mkdir()

    def said(*words: str | Path) -> str:
        with chdir("here"):
            warm.begin(*map(str, words))
            code = warm.end()
        output = Path("stderr").read_text(encoding="utf-8")
        assert code == ExitCode.USAGE, output
        assert warm.peak < MOST, f"{warm.peak:,} B"
        return output

    return said


@pytest.mark.parametrize("kind", PACKED)
def test_packed_captures_streams_and_programs(
    packed: dict[str, Path], tmp_path: Path, kind: str, refused: Refused
) -> None:
    """A bomb in place of each is named as what it is, or as what it is not."""
    bomb = packed[kind]
    assert f"packed with {kind}" in refused("report", "spe", bomb)
    (tmp_path / "s.yaml").write_text(
        f"workload: {{kind: recorded, path: {bomb}}}\nreplications: 1\narms: [baremetal]\n"
    )
    assert "not a .spestream file" in refused("run", tmp_path / "s.yaml")
    (tmp_path / "t.txt").write_text("")
    said = refused("import", "tarmac", tmp_path / "t.txt", "--elf", bomb)
    assert f"packed with {kind}" in said


def frame(size: int) -> bytes:
    """A zstd frame of so many zeros."""
    out = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(out, size=size, closefd=False) as file:
        for at in range(0, size, 1 << 26):
            file.write(bytes(min(1 << 26, size - at)))
    return out.getvalue()


def stream(path: Path, frames: list[tuple[bytes, int]], **counts: int) -> None:
    """A .spestream with these frames (packed, decoded size) and a header that agrees."""
    described = [[len(data), size, zlib.crc32(data)] for data, size in frames]
    names = ("ops", "blocks", "slots", "static_blocks", "static_ops", "discontinuities", "tid")
    fields = dict.fromkeys(names, 0) | counts
    flags = {"words": False, "taken_last": False, "chunk_blocks": spestream.CHUNK_BLOCKS}
    text = {"arch": "aarch64", "program": "x", "build_id": ""}
    header = zstandard.compress(json.dumps(text | flags | fields | {"frames": described}).encode())
    body = b"".join(data for data, _ in frames)
    prelude = spestream._PRELUDE.pack(
        spestream.MAGIC, 1, len(header), spestream._PRELUDE_BYTES + len(body), zlib.crc32(header)
    )
    path.write_bytes(prelude + zlib.crc32(prelude).to_bytes(4, "little") + body + header)


@pytest.mark.parametrize("which", ["static", "addresses", "discontinuities", "ids"])
def test_streams_with_frames_of_zeros(tmp_path: Path, which: str, refused: Refused) -> None:
    """Each frame in turn decodes to gigabytes, in a file whose own numbers agree."""
    big, blocks = 1 << 30, spestream.CHUNK_BLOCKS
    empty, symbols = (zstandard.compress(b""), 0), (zstandard.compress(b"[]"), 2)
    path = tmp_path / "b.spestream"
    if which == "static":
        count = big // 24
        frames = [(frame(24 * count), 24 * count), symbols, empty]
        stream(path, frames, static_blocks=count, static_ops=count)
    elif which == "discontinuities":
        frames = [empty, symbols, (frame(big), big)]
        stream(path, frames, discontinuities=big // 8)
    elif which == "addresses":
        ids = (frame(4 * blocks), 4 * blocks)
        frames = [(frame(24), 24), symbols, ids, (frame(big), big), empty]
        stream(path, frames, static_blocks=1, static_ops=1, blocks=blocks, slots=big // 8)
    else:
        chunk, chunks = (frame(4 * blocks), 4 * blocks), big // (4 * blocks)
        frames = [(frame(24), 24), symbols, *[chunk, empty] * chunks, empty]
        stream(path, frames, static_blocks=1, static_ops=1, blocks=blocks * chunks)
    (tmp_path / "s.yaml").write_text(
        "workload: {kind: recorded, path: b.spestream}\nreplications: 1\narms: [baremetal]\n"
    )
    said = refused("run", tmp_path / "s.yaml")
    why = "more than 4,194,304" if which in ("static", "discontinuities") else "a block is empty"
    assert why in said, said


CLAIMS = {
    "ops": ({"ops": 1}, "1 ops in 262,144 executions"),
    "addresses": ({"slots": 1 << 27}, "134,217,728 addresses in 262,144 executions"),
}


@pytest.mark.parametrize("which", CLAIMS)
def test_streams_whose_blocks_do_not_add_up(tmp_path: Path, which: str, refused: Refused) -> None:
    """A whole static block, and frames of a gigabyte that no executions of it can fill."""
    blocks, (counts, why) = spestream.CHUNK_BLOCKS, CLAIMS[which]
    static = spestream._pack_static(loop(4))
    big = 8 * counts.get("slots", 0)
    frames = [
        (zstandard.compress(static), len(static)),
        (zstandard.compress(b"[]"), 2),
        (frame(4 * blocks), 4 * blocks),
        (frame(big), big),
        (zstandard.compress(b""), 0),
    ]
    sizes = {"static_blocks": 1, "static_ops": 4, "blocks": blocks, "ops": 4 * blocks}
    stream(tmp_path / "b.spestream", frames, **sizes | counts)
    (tmp_path / "s.yaml").write_text(
        "workload: {kind: recorded, path: b.spestream}\nreplications: 1\narms: [baremetal]\n"
    )
    assert why in refused("run", tmp_path / "s.yaml")


def loop(length: int) -> Recording:
    """One block of so many ops, the last a branch back to the first; the first has an address."""
    kinds = np.zeros(length, np.uint8)
    flags, classes = kinds.copy(), kinds.copy()
    flags[0], classes[0], classes[-1] = Flag.SLOT.value, OpClass.LOAD, OpClass.BRANCH
    none = np.zeros(0)
    return Recording(
        pc=0x400000 + 4 * np.arange(length, dtype=np.uint64),
        word=np.zeros(length, np.uint32),
        op_class=classes,
        flags=flags,
        op_payload=kinds,
        op_header=kinds,
        block_first=np.zeros(1, np.int64),
        block_len=np.array([length], np.int32),
        ids=none.astype(np.uint32),
        addresses=none.astype(np.uint64),
        discontinuities=none.astype(np.int64),
        symbols=(),
        build_id="",
        program="loop",
        tid=0,
        ops=0,
        taken_last=True,
    )


LOAD = """\
import sys
from sim.workload.spestream import read_spestream
print(read_spestream(sys.argv[1]).ops)
print(int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]))
"""


def test_an_honest_recording_of_one_loop(tmp_path: Path) -> None:
    """A billion ops of a loop of 64, which unpack to thousands of times the file, are read."""
    path, whole = tmp_path / "loop.spestream", spestream.CHUNK_BLOCKS
    chunk = Chunk(np.zeros(whole, np.uint32), np.full(whole, 0x1000, np.uint64))
    chunks = 10**9 // (64 * whole) + 1
    spestream.write_chunks(path, loop(64), [chunk] * chunks)
    assert 12 * whole * chunks > 2_000 * path.stat().st_size
    command = [sys.executable, "-c", LOAD, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    ops, peak = map(int, done.stdout.split())
    assert ops == 64 * whole * chunks > 10**9
    assert peak << 10 < MOST, f"{peak:,} KiB"


def test_parquet_of_equal_rows(tmp_path: Path, refused: Refused) -> None:
    """A table of a hundred million equal rows takes kilobytes, and is refused by its numbers."""
    path, one = tmp_path / "t-br.parquet", pa.table({"cpu": pa.array([0] * 1_000_000, "int64")})
    with pq.ParquetWriter(path, one.schema, compression="zstd") as writer:
        for _ in range(100):
            writer.write_table(one, row_group_size=1_000_000)
    assert "no records are so alike" in refused("report", "spe", path)


CODECS = ("none", "snappy", "zstd", "gzip", "lz4", "brotli")


@pytest.mark.parametrize("codec", CODECS)
def test_parquet_pages_of_a_gigabyte(tmp_path: Path, codec: str, refused: Refused) -> None:
    """A page's header claims a gigabyte in a table whose footer knows nothing of it."""
    path = tmp_path / "t-br.parquet"
    table = pa.table({"cpu": pa.array([0] * 100, "int64")})
    pq.write_table(table, path, compression=codec, use_dictionary=False)
    assert "no column 'el'" in refused("report", "spe", path)  # as honest as it is small
    path.write_bytes(claiming(path, BYTES - 1))
    said = refused("report", "spe", path)
    assert f"pages of column 'cpu' claim {BYTES - 1:,} bytes or more" in said


def claiming(path: Path, size: int) -> bytes:
    """The file with `size` (up to 2**30 − 1) as the unpacked size of its first page.

    The number takes five bytes, of which three are taken from a text of the page's statistics.
    """
    data = path.read_bytes()
    at = pq.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset
    assert data[at : at + 3] == b"\x15\x00\x15"  # field 1: data page; field 2: unpacked size
    assert data[at + 4] < 0x80 <= data[at + 3]
    text = data.index(b"\x18\x08", at)
    claim = bytes((2 * size >> 7 * k & 0x7F) | (0x80 if k < 4 else 0) for k in range(5))
    shorter = b"\x18\x05" + data[text + 2 : text + 7]
    return data[: at + 3] + claim + data[at + 5 : text] + shorter + data[text + 10 :]


def test_parquet_of_one_long_text(tmp_path: Path, refused: Refused) -> None:
    """Half a million rows that share a text of a megabyte, in six kilobytes."""
    path, rows = tmp_path / "t-br.parquet", 500_000
    column = pa.array([0] * rows)
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, "int32"), ["1" * 1_000_000])
    extra = {f"x{k}": column for k in range(100)}
    table = pa.table({"el": column, "cpu": column, "pc": text} | extra)
    pq.write_table(table, path, compression="zstd")
    assert "column 'pc'" in refused("report", "spe", path)
