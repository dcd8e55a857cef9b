"""Tarmac of three models, as published samples have it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from sim.workload.importers import tarmac
from sim.workload.importers.blocks import TraceError
from sim.workload.spestream import read_spestream
from tests.rigs import trace_writers as write
from tests.rigs.trace_writers import imported
from tests.sim.workload.importers.texts import (
    B_EQ,
    ES,
    FASTMODEL,
    GEM5,
    LDR,
    RET,
    STP,
    STR,
    load,
    ops,
)
from tests.sim.workload.importers.traces import few, same


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
