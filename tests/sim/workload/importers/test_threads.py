"""Threads of an import: limits, the disk, progress, and what is skipped whole."""

from __future__ import annotations

import errno
from functools import partial
from pathlib import Path

import pytest

from sim.workload.importers import blocks, threads
from sim.workload.importers.blocks import Program, TraceError, Wanted
from sim.workload.importers.threads import Threads, import_trace
from sim.workload.spestream import read_spestream
from tests.sim.workload.importers.made import straight


def test_threads_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More threads than the limit are refused."""
    monkeypatch.setattr(threads, "MAX_THREADS", 3)

    def read(count: int, them: Threads) -> None:
        for number in range(count):
            them.add(number, straight(2), "t:1")

    assert len(import_trace(partial(read, 3), tmp_path / "o.spestream", Program("p")).files) == 3
    with pytest.raises(TraceError, match="t:1: more than 3 threads"):
        import_trace(partial(read, 4), tmp_path / "o.spestream", Program("p"))


def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC becomes a message with a cure; neither the output nor a working file stays."""

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(blocks.ThreadBuilder, "add", no_space)
    with pytest.raises(TraceError, match="not written: No space left on device; free some space"):
        import_trace(
            lambda them: them.add(0, straight(2), "t:1"), tmp_path / "o.spestream", Program("p")
        )
    assert not list(tmp_path.iterdir())


def test_interruption_leaves_what_was_there(tmp_path: Path) -> None:
    """Ctrl-C in the middle: an existing file keeps its bytes and no working file stays."""
    out = tmp_path / "o.spestream"
    out.write_bytes(b"before")

    def read(them: Threads) -> None:
        them.add(0, straight(2000), "t:1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_trace(read, out, Program("p"))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_bytes() == b"before"


def test_a_thread_that_is_skipped_whole_gets_no_file(tmp_path: Path) -> None:
    """Threads shorter than --skip vanish; the others are numbered without a gap."""

    def read(them: Threads) -> None:
        for number, count in enumerate((10, 3, 10)):
            them.add(number, straight(count), "t:1")

    done = import_trace(read, tmp_path / "o.spestream", Program("p"), Wanted(5))
    assert [path.name for path in done.files] == ["o.0.spestream", "o.1.spestream"]
    assert [read_spestream(path).tid for path in done.files] == [0, 1]
    assert done.ops == 10


def test_progress_is_told(tmp_path: Path) -> None:
    """The callback gets ops so far and bytes of the input."""
    told: list[tuple[int, int, int]] = []

    def read(them: Threads) -> None:
        them.add(0, straight(10), "t:1")
        them.tell(30, 100)

    import_trace(
        read, tmp_path / "o.spestream", Program("p"), progress=lambda *args: told.append(args)
    )
    assert told == [(10, 30, 100)]
