"""Traces as text: samples of each dialect, imported."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from sim.workload.importers import tarmac
from sim.workload.importers.blocks import Wanted
from sim.workload.importers.threads import Imported
from sim.workload.spestream import read_spestream
from tests.rigs.trace_writers import Executed, executed, imported
from tests.sim.workload.importers.traces import NOP

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


STEPS = ((0x1000, NOP, 0), (0x1004, LDR, 0x9000), (0x1008, NOP, 0))
