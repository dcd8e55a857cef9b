"""The execlog plugin's lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.workload.importers import execlog
from sim.workload.importers.blocks import TraceError
from tests.sim.workload.importers.texts import (
    B_EQ,
    EXECLOG,
    LDR,
    RET,
    STEPS,
    STP,
    STR,
    load,
    ops,
)
from tests.sim.workload.importers.traces import (
    few,
    same,
)


def test_execlog_sample(tmp_path: Path) -> None:
    """Output between the lines, devices and registers are passed over; vCPUs are threads."""
    result = load(EXECLOG, tmp_path, execlog.read)
    same(ops(result), few((0x1000, LDR, 0x9000), (0x1004, B_EQ, 0), (0x1008, STP, 0x9010)))
    same(ops(result, 1), few((0x2000, STR, 0xA004), (0x2004, RET, 0)))


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


@pytest.mark.parametrize(
    "field", ["sp -> 0x000000550080f3a0", "lr -> 0x1", "spsr_el1 -> 0x0", "loadx -> 0x7"]
)
def test_registers_are_no_accesses(field: str, tmp_path: Path) -> None:
    """A register's name may begin as load and store do, before and after the access."""
    text = (
        f'0, 0x1000, 0xd503201f, "nop", {field}\n'
        f'0, 0x1004, 0xf9400001, "ldr x1, [x0]", {field}, load, 0x9000, {field}\n'
        '0, 0x1008, 0xd503201f, ""\r\n'
    )
    same(ops(load(text, tmp_path, execlog.read)), few(*STEPS))


GLUED = {
    "two threads": '0, 0x1000, 0xd503201f, "nop"1, 0x5000, 0xd503201f, "nop"\n',
    "after an access": '0, 0x1000, 0xf9400001, "ldr", load, 0x90001, 0x5000, 0xd503201f, "nop"\n',
    "own output": 'hello, world0, 0x1000, 0xd503201f, "nop"\n',
}


@pytest.mark.parametrize("case", GLUED)
def test_an_instruction_in_another_line(case: str, tmp_path: Path) -> None:
    """Lines that ran into each other are an error that shows the line; no op is lost in silence."""
    text = '0, 0x0ffc, 0xd503201f, "nop"\n' + GLUED[case]
    with pytest.raises(TraceError, match=r"t.log:2: an instruction within a line .*0xd503201f"):
        load(text, tmp_path, execlog.read)
