"""What a trace lies in: folders, archives, packings, chunks."""

from __future__ import annotations

import gzip
import zipfile
from functools import partial
from pathlib import Path

import pytest
import zstandard

from sim.workload.importers import drmemtrace
from sim.workload.importers.blocks import TraceError
from sim.workload.spestream import read_spestream
from tests.rigs.trace_writers import (
    drmemtrace_chunks,
    executed,
    imported,
    zipped,
)
from tests.sim.workload.importers.traces import (
    LOOP,
    load,
    same,
    shipped,
)


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


def test_folders_that_hold_no_trace(tmp_path: Path) -> None:
    """An empty folder, and one that was not post-processed, are told apart."""
    with pytest.raises(TraceError, match=r"no \*\.trace"):
        imported(partial(drmemtrace.read, tmp_path), tmp_path / "o")
    (tmp_path / "raw").mkdir()
    with pytest.raises(TraceError, match="post-process"):
        imported(partial(drmemtrace.read, tmp_path), tmp_path / "o")
    with pytest.raises(TraceError, match="cannot be read: No such file"):
        imported(partial(drmemtrace.read, tmp_path / "none"), tmp_path / "o")
