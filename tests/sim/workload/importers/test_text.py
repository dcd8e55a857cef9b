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
from sim.workload.importers.threads import Imported, import_trace, program_of
from sim.workload.spestream import read_spestream
from tests.rigs import trace_writers as write
from tests.rigs.trace_writers import Executed, elf_file, executed, imported
from tests.sim.workload.importers.test_drmemtrace import LOOP, STREAMS, few, same, shipped

DIALECTS: dict[str, tuple[Callable[[Executed], Iterator[str]], Callable[..., None]]] = {
    "fastmodel": (write.fastmodel, tarmac.read),
    "gem5": (write.gem5, tarmac.read),
    "es": (write.es, tarmac.read),
    "execlog": (write.execlog, execlog.read),
}
LDR, STR, STP, B_EQ, RET = 0xF9400001, 0xB9000001, 0xA9000C02, 0x54000040, 0xD65F03C0


def load(
    text: str | bytes,
    tmp_path: Path,
    read: Callable[..., None] = tarmac.read,
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    *,
    anyway: bool = False,
) -> Imported:
    """Import text."""
    path = tmp_path / "t.log"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return imported(partial(read, path), tmp_path / "o.spestream", wanted=wanted, anyway=anyway)


def ops(result: Imported, thread: int = 0) -> Executed:
    """The ops of one thread of an import."""
    return executed(read_spestream(result.files[thread]))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", STREAMS)
def test_shipped_streams_survive(name: str, dialect: str, tmp_path: Path) -> None:
    """A shipped stream (of all but one, the first 3,000 blocks), written in a dialect and imported,
    has the same ops, addresses, branches and symbols.
    """
    stream = shipped(name)
    truth = executed(stream, stream.ids.size if name == "threads.1" else 3_000)
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


FASTMODEL = """\
0 clk R cpsr 000003cd
0 clk cpu0 E 00001000 00000001 CoreEvent_RESET
1 clk cpu0 IT (1) 0000000000001000:000000001000_NS f9400001 O EL0t_n : LDR      x1,[x0]
1 clk cpu0 MR8 00009000:000000009000_NS 00000000_00000007
1 clk cpu0 R X1 0000000000000007
1 clk cpu1 IT 00002000 b9000001 O EL0t_n : STR      w1,[x0]
1 clk cpu1 MW4X 0000a004 00000007
2 clk cpu0 IS (2) 00001004 54000040 O EL0t_n : B.EQ     {pc}+8 ; 0x100c
2 clk CADI E simulation_stopped
180000140000 ps cpu0 IT (3) 00001008 a9000c02 O EL0t_n : STP      x2,x3,[x0]
180000140000 ps cpu0 MW8 00009010:000000009010_NS 00000000_00000000
180000140000 ps cpu0 MW8 00009018:000000009018_NS 00000000_00000000
4 clk cpu1 IT 00002004 d65f03c0 O EL0t_n : RET
"""
GEM5 = """\
0 clk system.cpu IT (1) 00001000 f9400001 O EL0t_n :   LDR   X1, [X0]
0 clk system.cpu MR8 00009000:000000009000 0000000000000007
0 clk system.cpu R X1 0000000000000007
250 clk system.cpu IT (2) 00001004 54000040 O EL0t_n :   B.EQ   0X100C
500 clk system.cpu IT (3) 00001008 a9000c02 O EL0t_n : STP
500 clk system.cpu MW8 00009010:000000009010 0000000000000000
500 clk system.cpu MW8 00009018:000000009018 0000000000000000
"""
ES = """\
Tarmac Text Rev 3t
      17000 ns  ES  EXC [0x00] Reset
                    BR (0000000000001000) O
      17001 ns  ES  (0000000000001000:f9400001) O el0t_ns:         LDR      x1,[x0]
                    LD 0000000000009010  ........ ........ ........ ......07    S:0000009010  NM
                    LD 0000000000009000  070605.. ........ ........ ........    S:0000009000  NM
                    R X1 0000000007070605
      17002 ns  ES  (0000000000001004:54000040) O el0t_ns:         B.EQ     {pc}+8
      17003 ns  ES  (0000000000001008:b9000001) O el0t_ns:         STR      w1,[x0]
                    ST 0000000000009020 ........ ........ ####.... ........    S:0000009020    DV
      17003 ns  ES  EXC [0x88] IRQ
      17004 ns  ES  (000000000000100c:d65f03c0) O el0t_ns:  CCFAIL RET
"""
EXECLOG = """\
the program said this
0, 0x1000, 0xf9400001, "ldr x1, [x0]", load, 0x9000, RAM
1, 0x2000, 0xb9000001, "str w1, [x0]", store, 0x0000a004
0, 0x1004, 0x54000040, "b.eq #0x100c"
0, 0x1008, 0xa9000c02, "stp x2, x3, [x0]", x2 -> 0x0000000000000000, store, 0x9010, store, 0x9018
1, 0x2004, 0xd65f03c0, "ret"
"""


def test_fastmodel_sample(tmp_path: Path) -> None:
    """CPU names, physical addresses, other units and counters that are missing: two threads."""
    result = load(FASTMODEL, tmp_path)
    same(ops(result), few((0x1000, LDR, 0x9000), (0x1004, B_EQ, 0), (0x1008, STP, 0x9010)))
    same(ops(result, 1), few((0x2000, STR, 0xA004), (0x2004, RET, 0)))
    assert [read_spestream(path).tid for path in result.files] == [0, 1]


def test_gem5_sample(tmp_path: Path) -> None:
    """IT stands before a branch that falls through, too."""
    result = load(GEM5, tmp_path)
    same(ops(result), few((0x1000, LDR, 0x9000), (0x1004, B_EQ, 0), (0x1008, STP, 0x9010)))


def test_es_sample(tmp_path: Path) -> None:
    """Bytes count from the right, the lower of two lines is the address, an exception breaks."""
    result = load(ES, tmp_path)
    same(
        ops(result),
        few(
            (0x1000, LDR, 0x900D),
            (0x1004, B_EQ, 0),
            (0x1008, STR, 0x9026),
            (0x100C, RET, 0),
            apart=(3,),
        ),
    )


def test_execlog_sample(tmp_path: Path) -> None:
    """Output between the lines, devices and registers are passed over; vCPUs are threads."""
    result = load(EXECLOG, tmp_path, execlog.read)
    same(ops(result), few((0x1000, LDR, 0x9000), (0x1004, B_EQ, 0), (0x1008, STP, 0x9010)))
    same(ops(result, 1), few((0x2000, STR, 0xA004), (0x2004, RET, 0)))


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


def test_exception_levels(tmp_path: Path) -> None:
    """`levels` leaves other ops out with their accesses; those above EL0 are pointed out."""
    user = list(write.fastmodel(few((0x1000, 0xD4000001, 0), (0x1004, LDR, 0x9000))))
    kernel = list(write.fastmodel(few((0xFFFF0000, LDR, 0x7000)), mode="EL1h_n"))
    text = user[0] + kernel[0] + user[1]
    everything = load(text, tmp_path)
    assert everything.ops == 3
    assert everything.remarks == (
        "ops of EL1 are taken as if they were of EL0; --el 0 leaves them out",
        "1 of 3 ops are no branches and are followed by a far pc without a marker",
    )
    path = tmp_path / "t.log"
    only = imported(partial(tarmac.read, path, levels=frozenset({0})), tmp_path / "o.spestream")
    same(ops(only), few((0x1000, 0xD4000001, 0), (0x1004, LDR, 0x9000)))
    assert only.remarks == ("1 ops of EL1 were left out",)
    with pytest.raises(TraceError, match=r"no op is left: .*2 ops of EL0 were left out"):
        imported(partial(tarmac.read, path, levels=frozenset({2})), tmp_path / "o.spestream")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("skip", "limit"), [(0, 1), (2, 4), (3, 3), (6, 9), (0, 7)])
def test_skip_and_limit(dialect: str, skip: int, limit: int, tmp_path: Path) -> None:
    """Exactly the ops asked for, and what followed the last of them is still known."""
    text, read = DIALECTS[dialect]
    result = load("".join(text(LOOP)), tmp_path, read, Wanted(skip, limit))
    end = min(skip + limit, 7)
    columns = Executed.__dataclass_fields__
    same(ops(result), Executed(*(getattr(LOOP, name)[skip:end] for name in columns)))


MALFORMED = {
    "1 clk IT (1) 00001000\n": "1: an instruction or access that cannot be read",
    "1 clk IT (1) 00001000 f9400001\n": "1: an instruction",
    "1 clk IT (1) 00001000 f9400001 Q EL0t_n : NOP\n": "1: an instruction",
    "1 clk IT (1) 00001000 f940 O EL0t_n : NOP\n": "1: an instruction",
    "1 clk IT (1) 00001000 f94000012 O EL0t_n : NOP\n": "1: an instruction",
    "1 clk IT (1) 00000000000001000 f9400001 O EL0t_n : NOP\n": "1: an instruction",
    "1 clk IT\n": "1: an instruction",
    "hello\n\n1 clk MR8 zz\n": "3: an instruction or access",
    "1 clk IT (1) 00001000 a00a T svc_s : ADR\n": "1: an AArch32 instruction",
    "1 clk IT (1) 00001000 fa000000 A svc_s : BLX\n": "1: an AArch32 instruction",
    "1 clk IT (1) 00001002 f9400001 O EL0t_n : NOP\n": "1: a pc that is not a multiple of 4",
    "1 tic ES  (00001000:f9400001 O el0t\n": "1: an instruction",
    "1 tic ES  (00001000) O el0t\n": "1: an instruction",
    "1 tic ES  what\n": "1: an instruction",
    "1 tic ES  (00001000:f9400001) O el0t\n  LD 1000 ........ ....\n": "2: an instruction or",
    "1 tic ES  (00001000:f9400001) A svc: NOP\n": "1: an AArch32 instruction",
    "no trace\nat all\n": "no instruction in it; Tarmac reads e.g.",
    "": "no instruction in it",
    "1 clk IT (1) 00001000 f9400001 O EL0t_n : NOP": "no instruction in it",
}


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_tarmac(text: str, tmp_path: Path) -> None:
    """A line that is an instruction or access but cannot be read is named by its number."""
    with pytest.raises(TraceError, match=f"t.log:? ?{MALFORMED[text]}"):
        load(text, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["t.log"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('0, 0x1002, 0xd503201f, "nop"', "2: a pc that is not"),
        ('0, 0x1004, 0x1d503201f, "nop"', "2: an instruction"),
        ('0, 0x1004, 0xd503201f, "nop', "2: an instruction"),
        ("0, 0x1004, 0xd503201f", "2: an instruction"),
        ("0, 0x1004, nop", "2: an instruction"),
        ('0, 0x1004, 0xd503201f, "nop", load, 9000', "2: an instruction"),
        ('0, 0x1004, 0xd503201f, "nop", load', "2: an instruction"),
    ],
)
def test_malformed_execlog(line: str, message: str, tmp_path: Path) -> None:
    """As for Tarmac."""
    good = '0, 0x1000, 0xd503201f, "nop"\n'
    with pytest.raises(TraceError, match=f"t.log:{message}"):
        load(good + line + "\n" + good, tmp_path, execlog.read)


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
