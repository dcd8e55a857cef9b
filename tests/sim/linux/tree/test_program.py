"""A driver that crashes, hangs, or warns: the simulator survives and says where."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.cache import home
from sim.linux.aux import Geometry
from sim.linux.tree import building, programming
from sim.linux.tree.program import DriverDiedError, DriverProgram, Operation, Told
from sim.linux.tree.programming import Wanted
from sim.linux.tree.sources import DRIVER, TreeError
from tests.needs import need
from tests.sim.linux.kernels import patched

Linux = Callable[[str], Path]
WANTED = Wanted(1024, Geometry(1 << 16, 4096, 1 << 15), 0)
HANDLER = "\tif (!perf_get_aux(handle))\n\t\treturn IRQ_NONE;\n\n\tact ="
PROBE = "\tspe_pmu->pmsver = (u16)fld;\n"


@pytest.fixture(autouse=True)
def compiler() -> None:
    """Everything here compiles a driver."""
    need("gcc")


def started(tree: Path) -> DriverProgram:
    """A process whose event has been scheduled in, on registers that read 0."""
    program = programming.driver(str(tree), WANTED).start()
    finish(program, Operation.ADD)
    return program


def finish(program: DriverProgram, operation: Operation, answer: int = 0) -> tuple[int, int]:
    """One operation on registers that read `answer`; the event's state and what was returned."""
    program.ask(operation)
    while (message := program.receive()).kind != Told.DONE:
        if message.kind in (Told.READ, Told.WRITE, Told.BEGIN, Told.STOPPING, Told.WAKE):
            program.answer(answer)
    return message.a, message.b


def test_an_event_lives(linux: Linux) -> None:
    """Started, spurious interrupt, stopped: PERF_HES_STOPPED and IRQ_NONE as the driver has it."""
    program = programming.driver(str(linux("6.12")), WANTED).start()
    assert finish(program, Operation.ADD)[0] == 0
    assert finish(program, Operation.INTERRUPT) == (0, 0)
    assert finish(program, Operation.DEL)[0] == 3
    program.close()
    program.close()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("*(volatile int *)0x18 = 1;", "gets SIGSEGV for address 0x18"),
        ("BUG_ON(handle);", "hits BUG"),
        ("volatile int zero = irq - 21; zero = 10 / zero;", "gets SIGFPE for address"),
        ("for (;;) barrier();", "does not come back from an operation"),
    ],
)
def test_a_crash_is_told_with_its_place(
    line: str, said: str, linux: Linux, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal, the function, the tree's own file and line; the process is gone."""
    monkeypatch.setattr(building, "OPTIONS", (*building.OPTIONS, "-DHANG_SECONDS=1"))
    tree = linux("6.12")
    where = (tree / DRIVER).read_text().split(HANDLER)[0].count("\n") + 1
    program = started(patched(tree, tmp_path, (HANDLER, f"\t{line}\n{HANDLER}")))
    with pytest.raises(DriverDiedError) as raised:
        finish(program, Operation.INTERRUPT)
    assert said in str(raised.value)
    assert f"in arm_spe_pmu_irq_handler ({DRIVER}:{where}" in str(raised.value)
    program.close()


def test_a_crash_tells_who_called(linux: Linux, tmp_path: Path) -> None:
    """Functions of the driver that lead there."""
    pad = "static void arm_spe_pmu_disable_and_drain_local(void)\n{\n"
    program = started(
        patched(linux("6.1"), tmp_path, (pad, f"{pad}\tif (read_sysreg_s(SYS_PMSCR_EL1)) BUG();\n"))
    )
    with pytest.raises(DriverDiedError, match=r"through arm_spe_pmu_stop .*, arm_spe_pmu_del"):
        finish(program, Operation.DEL, answer=1)


def test_a_process_that_is_killed(linux: Linux) -> None:
    """By the kernel's out-of-memory killer, say."""
    program = started(linux("6.12"))
    os.kill(program._child.pid, 9)
    with pytest.raises(DriverDiedError, match="the driver's process ended with SIGKILL"):
        finish(program, Operation.DEL)


def test_a_driver_that_does_not_probe(linux: Linux, tmp_path: Path) -> None:
    """Its error and what it printed; a crash there is told too."""
    refusing = f'{PROBE}\tdev_err(dev, "no %d today\\n", 7);\n\treturn;\n'
    with pytest.raises(
        TreeError, match=r"does not probe: No such device or address \(no 7 today\)"
    ):
        programming.driver(str(patched(linux("6.12"), tmp_path, (PROBE, refusing))), WANTED)
    with pytest.raises(TreeError, match=r"died while it was probed: .*__arm_spe_pmu_dev_probe"):
        programming.driver(str(patched(linux("6.12"), tmp_path, (PROBE, "\tBUG();\n"))), WANTED)


def test_warnings_are_said_once(
    linux: Linux, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """WARN_ON with its place, however often it fires."""
    tree = patched(linux("6.12"), tmp_path, (HANDLER, f"\tWARN_ON(irq == 21);\n{HANDLER}"))
    program = started(tree)
    capsys.readouterr()
    home.STATE.said.clear()
    finish(program, Operation.INTERRUPT)
    finish(program, Operation.INTERRUPT)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert " warns: drivers/perf/arm_spe_pmu.c:" in said[0]


def test_nothing_is_left_behind(linux: Linux) -> None:
    """A program that nobody refers to any more ends its process."""
    program = started(linux("6.1"))
    child = program._child
    del program
    assert child.poll() is not None
