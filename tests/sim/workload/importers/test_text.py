"""Tarmac and execlog text: streams written in each dialect and imported; worked samples; errors."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import pytest
import zstandard

from sim.workload.importers import execlog, tarmac
from sim.workload.importers.blocks import TraceError, TruncatedError, Wanted
from sim.workload.importers.threads import import_trace, program_of
from sim.workload.spestream import read_spestream
from tests.rigs import trace_writers as write
from tests.rigs.trace_writers import Executed, elf_file, executed
from tests.sim.workload.importers.texts import (
    FASTMODEL,
    LDR,
    RET,
    load,
    ops,
)
from tests.sim.workload.importers.traces import LOOP, STREAMS, few, same, shipped

DIALECTS: dict[str, tuple[Callable[[Executed], Iterator[str]], Callable[..., None]]] = {
    "fastmodel": (write.fastmodel, tarmac.read),
    "gem5": (write.gem5, tarmac.read),
    "es": (write.es, tarmac.read),
    "execlog": (write.execlog, execlog.read),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        *((name, 3_000) for name in STREAMS),
        ("threads.1", 20_000),  # several pieces of a file
        pytest.param("threads.1", None, marks=pytest.mark.deep),
    ],
)
def test_shipped_streams_survive(
    name: str, blocks: int | None, dialect: str, tmp_path: Path
) -> None:
    """A shipped stream or its first blocks, written in a dialect and imported, has the same ops,
    addresses, branches and symbols.
    """
    stream = shipped(name)
    truth = executed(stream, blocks)
    text, read = DIALECTS[dialect]
    trace = tmp_path / "t.tarmac.gz"
    trace.write_bytes(gzip.compress("".join(text(truth)).encode(), 1))
    elf = tmp_path / stream.program
    elf.write_bytes(elf_file(stream.symbols, stream.build_id))
    program = program_of((str(elf),), "t")
    result = import_trace(partial(read, trace), tmp_path / "o.spestream", program)
    again = ops(result)
    for column in ("pc", "word", "address", "apart"):
        np.testing.assert_array_equal(getattr(again, column), getattr(truth, column), column)
    np.testing.assert_array_equal(again.taken[:-1], truth.taken[:-1])
    assert (result.ops, result.lost) == (truth.pc.size, 0)
    names = {symbol.name for symbol in read_spestream(result.files[0]).symbols}
    assert names
    assert names <= {symbol.name for symbol in stream.symbols}


@pytest.mark.parametrize("dialect", ["fastmodel", "es"])
def test_exceptions_are_discontinuities(dialect: str, tmp_path: Path) -> None:
    """A reported exception breaks the flow even after an indirect branch; jumps alone do not."""
    broken = few((0x1000, LDR, 0x9000), (0x1004, RET, 0), (0x2000, RET, 0), apart=(2,))
    whole = few((0x1000, LDR, 0x9000), (0x1004, RET, 0), (0x2000, RET, 0))
    for truth in (broken, whole):
        same(ops(load("".join(DIALECTS[dialect][0](truth)), tmp_path)), truth)


def test_interleaved_cpus(tmp_path: Path) -> None:
    """Lines of two CPUs in turn are two streams, each with its own accesses."""
    truths = [executed(shipped(f"threads.{n}"), 3000) for n in range(2)]
    for writer, read in ((write.fastmodel, tarmac.read), (write.gem5, tarmac.read)):
        lines = zip_longest(
            *(writer(truth, f"cpu{n}") for n, truth in enumerate(truths)), fillvalue=""
        )
        result = load("".join(chain.from_iterable(lines)), tmp_path, read)
        for number, truth in enumerate(truths):
            np.testing.assert_array_equal(ops(result, number).address, truth.address)
            np.testing.assert_array_equal(ops(result, number).pc, truth.pc)


def test_pieces_of_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines and ops that straddle the pieces in which a file is read stay whole."""
    truth = executed(shipped("threads.1"), 2000)
    for size in (521, 4099):
        monkeypatch.setattr("sim.workload.importers.text._PIECE", size)
        for text, read in DIALECTS.values():
            result = load("".join(text(truth)), tmp_path, read)
            np.testing.assert_array_equal(ops(result).address, truth.address)
            np.testing.assert_array_equal(ops(result).word, truth.word)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("skip", "limit"), [(0, 1), (2, 4), (3, 3), (6, 9), (0, 7)])
def test_skip_and_limit(dialect: str, skip: int, limit: int, tmp_path: Path) -> None:
    """Exactly the ops asked for, and what followed the last of them is still known."""
    text, read = DIALECTS[dialect]
    result = load("".join(text(LOOP)), tmp_path, read, Wanted(skip, limit))
    end = min(skip + limit, 7)
    columns = Executed.__dataclass_fields__
    same(ops(result), Executed(*(getattr(LOOP, name)[skip:end] for name in columns)))


def test_a_line_number_beyond_the_first_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines are counted over the pieces of a file."""
    monkeypatch.setattr("sim.workload.importers.text._PIECE", 512)
    lines = "".join(write.fastmodel(executed(shipped("threads.1"), 300)))
    with pytest.raises(TraceError, match=rf"t.log:{lines.count(chr(10)) + 1}: an instruction"):
        load(lines + "1 clk IT (1) x\n", tmp_path)


def test_truncated_text(tmp_path: Path) -> None:
    """A last line without an end is an error; the limit that the message names takes the rest."""
    text = FASTMODEL.replace("cpu1", "cpu0")[:-10]
    with pytest.raises(TruncatedError, match=r"13: the last line has no end.*give --limit 3ops"):
        load(text, tmp_path)
    assert load(text, tmp_path, wanted=Wanted(0, 3), anyway=True).ops == 3
    for packed in (gzip.compress(text.encode()), zstandard.compress(text.encode())):
        with pytest.raises(TruncatedError, match="cut short"):
            load(packed[:-9], tmp_path)


def test_too_many_cpus_and_a_long_line(tmp_path: Path) -> None:
    """What would take memory without end is refused."""
    lines = [f"1 clk cpu{n} IT (1) 00001000 d503201f O EL0t_n : NOP\n" for n in range(65)]
    assert len(load("".join(lines[:64]), tmp_path).files) == 64
    with pytest.raises(TraceError, match="65: more than 64 CPUs"):
        load("".join(lines), tmp_path)
    with pytest.raises(TraceError, match=r"1: a line of .* bytes or more; not Tarmac"):
        load("1 clk " + "x" * (1 << 23), tmp_path)
