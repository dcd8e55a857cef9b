"""Blocks and threads of imports: limits on memory, the disk, and what the branch test says."""

from __future__ import annotations

import errno
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.workload.a64 import OpClass, classify, is_branch
from sim.workload.importers import blocks, threads
from sim.workload.importers.blocks import Ops, Program, TraceError, Wanted
from sim.workload.importers.threads import Threads, import_trace
from sim.workload.spestream import read_spestream

NOP, RET = 0xD503201F, 0xD65F03C0


def straight(count: int, start: int = 0x1000, step: int = 4, word: int = NOP) -> Ops:
    """Ops one after another, `step` bytes apart."""
    return Ops(
        (start + step * np.arange(count)).astype(np.uint64),
        np.full(count, word, np.uint32),
        np.zeros(count, np.uint64),
        np.zeros(count, np.bool_),
    )


@given(st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=200))
def test_branches_are_those_of_the_classes(words: list[int]) -> None:
    """`is_branch` agrees with `classify` on any words, and on each branch's top byte."""
    top = [word & 0xFFFFFF | byte << 24 for word in words[:1] for byte in range(256)]
    array = np.array(words + top, np.uint32)
    np.testing.assert_array_equal(is_branch(array), classify(array).op_class == OpClass.BRANCH)


def test_long_straight_code(tmp_path: Path) -> None:
    """Code without a branch becomes blocks of at most 1,024 ops, without a break between them."""

    def read(them: Threads) -> None:
        for _ in range(2):
            them.add(0, straight(5000), "t:1")

    done = import_trace(read, tmp_path / "o.spestream", Program("p"))
    stream = read_spestream(done.files[0])
    assert stream.ops == 10_000
    assert stream.block_len.max() == 1024
    assert stream.block_len.size == 5
    assert stream.discontinuities.tolist() == [5]


def test_distinct_code_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ever new code is refused, over all threads together; the same code again is not."""
    monkeypatch.setattr(threads, "MAX_STATIC_OPS", 10_000)

    def again(them: Threads) -> None:
        for _ in range(10):
            them.add(0, straight(5000, word=RET), "t:1")

    def anew(them: Threads) -> None:
        for number in range(10):
            them.add(number, straight(5000, start=1 << 20, word=RET), "t:1")

    assert import_trace(again, tmp_path / "o.spestream", Program("p")).ops == 50_000
    with pytest.raises(TraceError, match="t:1: more than 10,000 distinct instructions"):
        import_trace(anew, tmp_path / "o.spestream", Program("p"))


def test_discontinuities_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace of nothing but reported breaks is refused."""
    monkeypatch.setattr(blocks, "MAX_BREAKS", 100)

    def read(them: Threads) -> None:
        ops = straight(200)
        ops.apart[:] = True
        them.add(0, ops, "t:1")

    with pytest.raises(TraceError, match="t:1: more than 100 discontinuities"):
        import_trace(read, tmp_path / "o.spestream", Program("p"))


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
