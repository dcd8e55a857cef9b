"""Blocks and threads of imports: limits on memory, the disk, and what the branch test says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.workload.a64 import OpClass, classify, is_branch
from sim.workload.importers import blocks, threads
from sim.workload.importers.blocks import Program, TraceError
from sim.workload.importers.threads import Threads, import_trace
from sim.workload.spestream import read_spestream
from tests.sim.workload.importers.made import RET, straight


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
