"""Dialects of Tarmac, execlog and drmemtrace: each gives its ops, or is refused for what it is."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sim.workload.importers import drmemtrace, execlog, tarmac
from sim.workload.importers.blocks import TraceError
from sim.workload.spestream import read_spestream
from tests.rigs.trace_writers import DR, drmemtrace_chunks, executed, imported, zipped
from tests.sim.workload.importers.texts import LDR, STEPS, STP, load, ops
from tests.sim.workload.importers.traces import LOOP, NOP, RET, SVC, few, records, same


def tarmac_lines(*stamps: str) -> str:
    """NOP, LDR, NOP at 0x1000, each line after its stamp."""
    nop, ldr, read, last = stamps
    return (
        f"{nop}IT (1) 00001000 d503201f O EL0t_n : NOP\n"
        f"{ldr}IT (2) 00001004 f9400001 O EL0t_n : LDR x1,[x0]\n"
        f"{read}MR8 00009000 01234567_89abcdef\n"
        f"{last}IF (3) 00001008 d503201f O EL0t_n : NOP\n"
    )


@pytest.mark.parametrize(
    "stamps",
    [
        ("396ns ", "397ns ", "397ns ", "398ns "),
        ("396 ", "397 ", "397 ", "398 "),
        ("1.5 ns ", "2.5 ns ", "2.5 ns ", "3 ns "),
        ("396ns cpu0 ", "397ns cpu0 ", "397ns cpu0 ", "398ns cpu0 "),
        ("cpu0 ", "cpu0 ", "cpu0 ", "cpu0 "),
        ("7 beat cpu0 ", "8 beat cpu0 ", "8 beat cpu0 ", "9 beat cpu0 "),
        ("\ufeff", "", "", ""),
    ],
)
def test_stamps(stamps: tuple[str, ...], tmp_path: Path) -> None:
    """A unit joined to its time or left out, a name without a time, a byte order mark."""
    result = load(tarmac_lines(*stamps), tmp_path)
    same(ops(result), few(*STEPS))
    assert result.remarks == ()


def test_a_time_without_a_unit_leaves_the_name_to_the_cpu(tmp_path: Path) -> None:
    """What follows a bare time is a CPU's name, not a unit: CPUs stay apart."""
    lines = zip(
        tarmac_lines(*4 * ["9 cpu0 "]).splitlines(True),
        tarmac_lines(*4 * ["9 cpu1 "]).splitlines(True),
        strict=True,
    )
    result = load("".join(one + other for one, other in lines), tmp_path)
    for thread in range(2):
        same(ops(result, thread), few(*STEPS))


def test_an_exclusive_access(tmp_path: Path) -> None:
    """X may stand alone between MR8 and the address."""
    text = tarmac_lines(*4 * ["1 clk "])
    result = load(text.replace("MR8 0", "MR8 X 0"), tmp_path)
    same(ops(result), few(*STEPS))


@pytest.mark.parametrize("size", [1 << 22, 80, 97, 98, 110, 130])
def test_a_continued_access(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without LD, in the column of the address above, is the lower part of that access,
    wherever the pieces of the file end; elsewhere it is none.
    """
    monkeypatch.setattr("sim.workload.importers.text._PIECE", size)
    text = (
        "   17001 ns  ES  (0000000000001000:a9000c02) O el0t_ns:  STP x2,x3,[x0]\n"
        "             ST 0000000000009020 ........ ........ 33333333 33333333\n"
        "                0000000000009010 22222222 22222222 ........ ........\n"
        "             R X1 0000000007070605\n"
        "                0000000000008000 22222222 22222222 ........ ........\n"
        "   17002 ns  ES  (0000000000001004:d503201f) O el0t_ns:  NOP\n"
    )
    same(ops(load(text, tmp_path)), few((0x1000, STP, 0x9018), (0x1004, NOP, 0)))


@pytest.mark.parametrize(
    ("failed", "good"),
    [
        (
            "9 tic ES  (0000000000001004:--------) O el0t_ns:\n",
            "9 tic ES  ({:016x}:{:08x}) O el0t:",
        ),
        ("9 clk IT (2) 00001004 -------- O EL0t_n :\n", "9 clk IT (1) {:08x} {:08x} O EL0t_n : X"),
    ],
)
def test_a_word_that_could_not_be_fetched(failed: str, good: str, tmp_path: Path) -> None:
    """Dashes for a word are a discontinuity before the next op; the user is told."""
    text = failed + good.format(0x1000, NOP) + "\n" + failed + good.format(0x1004, SVC) + "\n"
    result = load(text, tmp_path)
    same(ops(result), few((0x1000, NOP, 0), (0x1004, SVC, 0), apart=(1,)))
    assert result.remarks == ("2 instructions could not be fetched",)


@pytest.mark.parametrize("line", ["9 ns EXC [0x88] IRQ\n", "9 ns ES Reset\n"])
def test_exceptions_without_their_prefix(line: str, tmp_path: Path) -> None:
    """EXC without ES, and a reset, are discontinuities."""
    text = tarmac_lines(*4 * ["1 ns "]).splitlines(True)
    result = load("".join([*text[:3], line, text[3]]), tmp_path)
    same(ops(result), few(*STEPS, apart=(2,)))


def test_ops_left_out_between_two(tmp_path: Path) -> None:
    """Where ops of another level were left out, the flow breaks unless it is sequential."""
    text = (
        "1 clk IT (1) 00001000 d503201f O EL0t_n : NOP\n"
        "2 clk IT (2) 00008000 d69f03e0 O EL1h_n : ERET\n"
        "3 clk IT (3) 00001004 d65f03c0 O EL0t_n : RET\n"
        "4 clk IT (4) 00008000 d69f03e0 O EL1h_n : ERET\n"
        "5 clk IT (5) 00005000 d503201f O EL0t_n : NOP\n"
    )
    (tmp_path / "t").write_text(text)
    read = partial(tarmac.read, tmp_path / "t", levels=frozenset({0}))
    done = imported(read, tmp_path / "o.spestream")
    same(ops(done), few((0x1000, NOP, 0), (0x1004, RET, 0), (0x5000, NOP, 0), apart=(2,)))


def test_utf_16_is_named(tmp_path: Path) -> None:
    """Text of two bytes a character is refused for what it is."""
    with pytest.raises(TraceError, match=r"text in UTF-16; convert it: iconv"):
        load(tarmac_lines("", "", "", "").encode("utf-16"), tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "the end.250 clk cpu0 IT (2) 00001004 d503201f O EL0t_n : NOP\n",
        "a b c d 9 tic ES  (0000000000001004:d503201f) O el0t_ns: NOP\n",
        "a b c d IT (2) 00001004 fa000000 A svc_s : BLX\n",
    ],
)
def test_an_instruction_in_another_line_of_tarmac(line: str, tmp_path: Path) -> None:
    """As for execlog, wherever in the line the instruction stands."""
    text = "1 clk IT (1) 00001000 d503201f O EL0t_n : NOP\n"
    with pytest.raises(TraceError, match=r"t.log:2: an instruction within a line"):
        load(text + line, tmp_path)


def test_lines_passed_over_are_counted(tmp_path: Path) -> None:
    """How many, and the first of them; blank lines and known events are none."""
    text = tarmac_lines("1 clk ", "1 clk ", "1 clk ", "1 clk ")
    text += "\n1 clk R X0 1\n1 clk CACHE cpu.l1 LINE\n2 clk BR (0) O\nWarning: \x1b\nagain\n"
    result = load(text, tmp_path)
    remark = "2 lines were passed over, the first is line 9: 'Warning: \\x1b'"
    assert result.remarks == (remark,)


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ('0, 0x10000, 0xe3a00001, "mov r0, #1"\n0, 0x10004, 0xe1a0f00e, "mov pc, lr"\n', "A32"),
        ('0, 0x10074, 0x1141, "addi"\n0, 0x10078, 0x00e12023, "sw"\n', "2 of 2 distinct"),
        ('0, 0x401000, 0xe5894855, "pushq"\n0, 0x401004, 0xec8348, "movq"\n', "0x00ec8348"),
        ('0, 0xa12, 0xf8012400, "movs r4, #0"\n', "as in Thumb"),
    ],
)
def test_other_instruction_sets(log: str, message: str, tmp_path: Path) -> None:
    """Logs of A32, RISC-V, x86 and Thumb code are refused for what they are."""
    with pytest.raises(TraceError, match=message) as caught:
        load(log, tmp_path, execlog.read)
    assert "only AArch64 traces are read" in str(caught.value)


WINDOW = [(47, 4, NOP), (10, 4, 0x1000), (47, 4, LDR), (10, 4, 0x1004), (0, 8, 0x9000)]
TWICE = few(*STEPS[:2], *STEPS[:2], apart=(2,))


def test_a_window_after_the_footer(tmp_path: Path) -> None:
    """The next window in the same file follows a footer; footers may come twice."""
    ends = [(23, 4, 7), (26, 0, 0), (26, 0, 0), (28, 14, 1)]
    path = tmp_path / "p.trace"
    path.write_bytes(records((28, 14, 0), *WINDOW, *ends, *WINDOW))
    result = imported(partial(drmemtrace.read, path), tmp_path / "o.spestream")
    same(executed(read_spestream(result.files[0])), TWICE)
    for window, next_record in ((0, (10, 4, 0x1000)), (1, (10, 4, 0x1000))):
        rows = [(28, 14, 0), *WINDOW, (26, 0, 0), next_record, (28, 14, window)]
        path.write_bytes(records(*rows))
        with pytest.raises(TraceError, match=r":byte 132: records after the footer"):
            imported(partial(drmemtrace.read, path), tmp_path / "o.spestream")
    path.write_bytes(records((28, 14, 0), *WINDOW, (26, 0, 0), (28, 14, 0), *WINDOW))
    with pytest.raises(TraceError, match="records after the footer"):
        imported(partial(drmemtrace.read, path), tmp_path / "o.spestream")


def test_folders_of_windows(tmp_path: Path) -> None:
    """A thread's windows become one stream in their order; what ends a file is never cut off."""
    folder = tmp_path / "drmemtrace.app.9.1.dir" / "trace"
    for window in range(11):
        for tid in (9, 10):
            if tid == 10 and window < 2:
                continue  # a thread that was born later
            inner = folder / f"window.{window:04}"
            inner.mkdir(parents=True, exist_ok=True)
            part = few((0x1000 * (window + 1), NOP, 0), (0x1000 * (window + 1) + 4, SVC, 0))
            chunks = drmemtrace_chunks(part, tid=tid)
            name = f"drmemtrace.app.{tid:05}.{7 * window % 10:04}.trace.zip"
            (inner / name).write_bytes(zipped(chunks))
    result = imported(partial(drmemtrace.read, folder.parent), tmp_path / "o.spestream")
    for number, first in enumerate((0, 2)):
        again = executed(read_spestream(result.files[number]))
        starts = 0x1000 * np.arange(first + 1, 12, dtype=np.uint64)
        np.testing.assert_array_equal(again.pc, np.stack([starts, starts + 4], 1).ravel())
        assert np.flatnonzero(again.apart).tolist() == list(range(2, 2 * (11 - first), 2))
    assert result.remarks == ("11 trace windows were joined",)
    last = imported(partial(drmemtrace.read, folder / "window.0010"), tmp_path / "w.spestream")
    assert last.ops == 4


def test_two_threads_of_one_name_in_a_window_stay_apart(tmp_path: Path) -> None:
    """A thread id that was used twice within a window is told apart by the whole name."""
    for window, uniques in ((1, ("0001", "0002")), (2, ("0003",))):
        inner = tmp_path / "trace" / f"window.{window:04}"
        inner.mkdir(parents=True)
        for unique in uniques:
            name = f"drmemtrace.app.100.{unique}.trace"
            (inner / name).write_bytes(drmemtrace_chunks(LOOP, tid=100)[0])
    out = tmp_path / "o.spestream"
    result = imported(partial(drmemtrace.read, tmp_path), out, anyway=True)
    assert sorted(read_spestream(path).ops for path in result.files) == [7, 7, 7]


def test_headers_alone_do_not_name_a_version(tmp_path: Path) -> None:
    """A file of an old version is called one, not a file of another kind."""
    path = tmp_path / "p.trace"
    path.write_bytes(np.array([(25, 0, 3), (47, 4, NOP), (10, 4, 0)], DR).tobytes())
    with pytest.raises(TraceError, match="trace version 3") as caught:
        imported(partial(drmemtrace.read, path), tmp_path / "o.spestream")
    assert "not a drmemtrace" not in str(caught.value)
