"""Speed of imports, printed by `make bench`: ops per second from trace to .spestream."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from sim.workload.importers import drmemtrace, execlog, tarmac
from tests.benchmarks.recording import line
from tests.rigs import trace_writers as write
from tests.rigs.trace_writers import Executed, executed, imported
from tests.sim.workload.importers.traces import shipped

pytestmark = [pytest.mark.bench, pytest.mark.targeted]


def _report(
    name: str, truth: Executed, data: bytes, read: Callable[..., None], folder: Path
) -> None:
    """Best of three, after one warm-up that compiles; every op must arrive."""
    path = folder / "trace"
    path.write_bytes(data)
    best = float("inf")
    for attempt in range(4):
        began = time.perf_counter()
        done = imported(partial(read, path), folder / "out.spestream")
        assert done.ops == truth.pc.size
        if attempt:
            best = min(best, time.perf_counter() - began)
    line("targeted", f"import {name}", done.ops / best / 1e6, "M ops/s")
    line(
        "targeted",
        f"import {name}, {len(data) / done.ops:.1f} B/op",
        len(data) / best / 1e6,
        "MB/s",
    )


def test_drmemtrace(tmp_path: Path) -> None:
    """A deflated zip of chunks of `mix`; target: 3 M ops/s."""
    truth = executed(shipped("mix"), 1_000_000)
    chunks = write.drmemtrace_chunks(truth, chunk_ops=4_000_000)
    packed = write.zipped(chunks, zipfile.ZIP_DEFLATED)
    _report("drmemtrace zip", truth, packed, drmemtrace.read, tmp_path)
    _report("drmemtrace plain", truth, b"".join(chunks), drmemtrace.read, tmp_path)


@pytest.mark.parametrize("dialect", ["fastmodel", "gem5", "es"])
def test_tarmac(dialect: str, tmp_path: Path) -> None:
    """Each dialect, not packed."""
    truth = executed(shipped("mix"), 100_000)
    text = "".join(getattr(write, dialect)(truth))
    _report(f"tarmac {dialect}", truth, text.encode(), tarmac.read, tmp_path)


def test_execlog(tmp_path: Path) -> None:
    """Not packed."""
    truth = executed(shipped("mix"), 100_000)
    text = "".join(write.execlog(truth))
    _report("execlog", truth, text.encode(), execlog.read, tmp_path)
