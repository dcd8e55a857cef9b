"""From the plugin's bytes to a stream: chunks, signals, code that changes, threads."""

from pathlib import Path

import numpy as np
import pytest

from sim.workload.a64 import Flag
from sim.workload.recording.recorder import record
from sim.workload.spestream import CHUNK_BLOCKS, block_taken
from tests.sim.workload.recording.programs import (
    COUNT_DOWN,
    build,
    executed_ops,
    one,
)

pytestmark = pytest.mark.usefixtures("use_cache")
"""They record: with the tools, and a plugin of today's source."""


def test_chunk_borders(tmp_path: Path) -> None:
    """A recording of several chunks is whole and its branches are right at the borders."""
    blocks = 2 * CHUNK_BLOCKS + 10
    stream = one(
        record(
            [
                build(
                    tmp_path,
                    COUNT_DOWN.format(n="0").replace("mov x0, #0", f"ldr x0, ={blocks}", 1),
                )
            ],
            tmp_path / "a",
        )
    )
    assert stream.ops == 1 + 2 * blocks + 3
    assert stream.ids.size == blocks + 1
    taken = block_taken(stream)
    assert taken[:-2].all()
    assert not taken[-2:].any()
    assert stream.discontinuities.size == 0


SIGNALS = r"""
#include <signal.h>
#include <sys/time.h>
volatile int ticks;
volatile long work;
static void handler(int number) { ticks += number != 0; }
int main(void) {
    struct itimerval every = {{0, 3000}, {0, 3000}};
    signal(SIGALRM, handler);
    setitimer(ITIMER_REAL, &every, 0);
    while (ticks < 5) work++;
    return 0;
}
"""


def test_signals_are_discontinuities(tmp_path: Path) -> None:
    """Each handler begins and ends with one, and no branch is inferred across them."""
    stream = one(
        record([build(tmp_path, SIGNALS, suffix=".c", options="-O1 -static")], tmp_path / "a")
    )
    handler = next(symbol for symbol in stream.symbols if symbol.name == "handler")
    start = stream.pc[stream.block_first][stream.ids]
    calls = int((start == handler.start).sum())
    flagged = int((start[stream.discontinuities] == handler.start).sum())
    assert 5 <= calls <= 50
    assert calls - 2 <= flagged <= calls  # one that comes after an indirect branch is not seen
    assert stream.discontinuities.size - flagged in (calls - 1, calls)  # the last may not return
    before = stream.last_op[stream.ids[stream.discontinuities - 1]]
    conditional = (stream.flags[before] & Flag.CONDITIONAL.value) != 0
    assert not block_taken(stream)[stream.discontinuities - 1][conditional].any()
    assert {"main", "handler"} <= {symbol.name for symbol in stream.symbols}


def test_position_independent_program(tmp_path: Path) -> None:
    """Symbols of a program that is loaded elsewhere are at the addresses that executed."""
    source = """
    __attribute__((noinline)) long work(long n) { while (n--) __asm__ volatile("nop"); return n; }
    int main(void) { return (int)work(5000) + 1; }
    """
    program = build(tmp_path, source, suffix=".c", options="-O1 -static-pie")
    stream = one(record([program], tmp_path / "a"))
    work = next(symbol for symbol in stream.symbols if symbol.name == "work")
    assert work.start > 1 << 32
    inside = (stream.pc >= work.start) & (stream.pc < work.start + work.size)
    assert int(stream.pc[inside].min()) == work.start
    assert np.count_nonzero(stream.word[inside] == 0xD503201F) >= 1


def test_code_that_changes_gets_new_blocks(tmp_path: Path) -> None:
    """One address executes two instructions in turn; both are in the stream, in order."""
    source = r"""
    #include <sys/mman.h>
    int main(void) {
        unsigned *code = mmap(0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int sum = 0;
        for (int i = 1; i <= 4; i++) {
            code[0] = 0x52800000u | (unsigned)(i & 1 ? 1 : 2) << 5; /* mov w0, #i */
            code[1] = 0xd65f03c0u;                                 /* ret */
            __builtin___clear_cache((char *)code, (char *)(code + 2));
            sum += ((int (*)(void))code)();
        }
        return sum;
    }
    """
    result = record([build(tmp_path, source, suffix=".c", options="-O1 -static")], tmp_path / "a")
    assert result.exit_status == 6
    stream = one(result)
    ones, twos = (stream.pc[stream.word == word] for word in (0x52800020, 0x52800040))
    (place,) = set(ones.tolist()) & set(twos.tolist())
    ops = executed_ops(stream)
    moves = stream.word[ops[stream.pc[ops] == place]]
    assert moves.tolist() == [0x52800020, 0x52800040] * 2
