"""A machine whose guest runs a tree's own driver: what it takes from it, and when it crashes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.machine import resolve
from sim.machine.machine import simulate
from sim.machine.run import Run
from sim.results import RunResult
from sim.runs import batch
from sim.runs.batch import Unit
from sim.scenario.files import loader
from sim.scenario.models.scenario import Arm
from tests.needs import need
from tests.sim.linux.kernels import patched

Linux = Callable[[str], Path]
OPS = 300_000
IRQ = "\tif (!perf_get_aux(handle))\n\t\treturn IRQ_NONE;\n\n\tact ="


@pytest.fixture(autouse=True)
def compiler() -> None:
    """Drivers are compiled."""
    need("gcc")


def arms(tree: Path, *options: str) -> dict[str, Arm]:
    """Arms of the synthetic scenario with a tree's driver and a small ring."""
    chosen = [f"driver.kernel_tree={tree}", "driver.aux=8KiB", *options]
    return {arm.name: arm for arm in loader.load("synthetic", chosen).arms}


def run(arm: Arm, vcpus: int = 1) -> RunResult:
    """An arm's first ops."""
    stream = batch.stream_of(arm)
    spec = resolve.machine_spec(arm, stream)
    return simulate(spec, (stream,), Run("x", 1, 0, True, True, (OPS,) * vcpus))


@pytest.mark.parametrize("design", ["baremetal", "v6"])
def test_a_crash_ends_the_machine_and_says_where(design: str, linux: Linux, tmp_path: Path) -> None:
    """A panic: no CPU goes on, what was sampled is kept, the verdict names the place."""
    crash = (IRQ, f"\t*(volatile int *)8 = 1;\n{IRQ}")
    tree = patched(linux("6.12"), tmp_path, crash)
    arm = arms(tree, "vm.vcpus=2")[design]
    result = run(arm, vcpus=2)
    assert result.ended_because.startswith("the driver of Linux 6.12.")
    assert (
        "gets SIGSEGV for address 0x8 in arm_spe_pmu_irq_handler (drivers/perf/arm_spe_pmu.c:"
        in (result.ended_because)
    )
    assert all(vcpu.ended_at_op < OPS for vcpu in result.vcpus)
    assert result.vcpus[0].ledgers.selections.written >= 64
    whole = run(arms(linux("6.12"), "vm.vcpus=2")[design], vcpus=2)
    assert whole.ended_because == ""
    assert all(vcpu.ended_at_op == OPS for vcpu in whole.vcpus)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            (IRQ, f"\twrite_sysreg_s(512, SYS_PMSIRR_EL1);\n{IRQ}"),
            "writes 0x200 to PMSIRR_EL1, and had 0x401 there at its first start",
        ),
        (
            (IRQ, f"\twrite_sysreg_s(0, sys_reg(3, 0, 9, 11, 2));\n{IRQ}"),
            r"accesses sys_reg\(3, 0, 9, 11, 2\), which is no register of SPE",
        ),
    ],
)
def test_what_is_not_modelled_is_not_passed_over(
    edit: tuple[str, str], said: str, linux: Linux, tmp_path: Path
) -> None:
    """The arm ends there, and says so."""
    result = run(arms(patched(linux("6.1"), tmp_path, edit), "spe.interval=1024ops")["baremetal"])
    assert re.search(said, result.ended_because), result.ended_because


def test_a_unit_is_known_by_its_sources(linux: Linux, tmp_path: Path) -> None:
    """A patch gives another key: a sweep does not take the old result for the new tree's."""
    tree = patched(linux("6.12"), tmp_path)
    arm = arms(tree)["baremetal"]
    before = Unit(arm, 1, 0, "fast", False).key
    assert Unit(arm, 1, 0, "fast", False).key == before
    driver = tree / "drivers/perf/arm_spe_pmu.c"
    driver.write_text(driver.read_text() + "/* more */\n")
    assert Unit(arm, 1, 0, "fast", False).key != before


def test_engines_agree(linux: Linux) -> None:
    """The driver is the same under both."""
    arm = arms(linux("6.12"))["v6"]
    stream = batch.stream_of(arm)
    spec = resolve.machine_spec(arm, stream)
    run_spec = Run("x", 1, 0, True, True, (60_000,))
    one, other = (simulate(spec, (stream,), run_spec, engine) for engine in ("fast", "reference"))
    assert one.vcpus[0].ledgers == other.vcpus[0].ledgers
    assert one.vcpus[0].written.tolist() == other.vcpus[0].written.tolist()
