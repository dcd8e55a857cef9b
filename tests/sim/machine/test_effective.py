"""Requested and effective values: every rounding of the machine is told, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sim.linux.driver import sanitise_period
from sim.machine import resolve
from sim.machine.effective import Adjusted, adjusted
from sim.scenario.files.loader import load, stock_folder
from sim.units import parse_ops
from tests.needs import need

TEXT = """\
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 9000}]}
arms: [v6, baremetal]
"""


def _adjusted(folder: Path, *sets: str, arm: int = 0) -> dict[str, Adjusted]:
    path = folder / "s.yaml"
    path.write_text(TEXT)
    return {one.setting: one for one in adjusted(load(path, sets).arms[arm])}


@pytest.mark.parametrize(
    ("asked", "run"),
    [(256, 1024), (512, 1024), (1000, 1024), (1009, 1024), (1300, 1280)],
)
def test_intervals(tmp_path: Path, asked: int, run: int) -> None:
    """Below the minimum, and between the steps of PMSIRR: what the driver programs."""
    found = _adjusted(tmp_path, f"spe.interval={asked}ops")["spe.interval"]
    assert (found.requested, found.effective) == (f"{asked}ops", f"{run}ops")
    arm = load(tmp_path / "s.yaml", (f"spe.interval={asked}ops",)).arms[0]
    spec = resolve.machine_spec(arm, resolve.stream_of(arm.settings))
    assert spec.spu.interval == parse_ops(found.effective) == sanitise_period(asked, 1024)


@pytest.mark.parametrize(
    ("sets", "setting", "effective"),
    [
        (("driver.watermark=5000B",), "driver.watermark", "8KiB"),
        (("vm.max_buffer=5000B",), "vm.max_buffer", "4KiB"),
        (("host.memlock=5000B",), "host.memlock", "4KiB"),
        (("host.memlock=8MiB", "host.cap_ipc_lock=true"), "host.memlock", "unlimited"),
        (("host.pressure=[{kind: ballooning}]",), "host.pressure", "nothing"),
        (("parameters.t_entry=1ps",), "parameters.t_entry", "0ps"),
        (
            ("parameters.t_irq_latency={kind: uniform, low: 3ps, high: 1us}",),
            "parameters.t_irq_latency",
            "5ps",
        ),
        (("switch={every: 1ms, away: 7ps}",), "switch.away", "5ps"),
    ],
)
def test_each_rounding(tmp_path: Path, sets: tuple[str, ...], setting: str, effective: str) -> None:
    """The value that it becomes, with a reason."""
    found = _adjusted(tmp_path, *sets)
    assert list(found) == [setting]
    assert found[setting].effective == effective
    assert found[setting].why


def test_reporting_needs_whole_huge_pages(tmp_path: Path) -> None:
    """As the machine leaves it out."""
    sets = ("vm.huge_pages=true", "host.pressure=[{kind: free_page_reporting}]")
    assert _adjusted(tmp_path, *sets)["host.pressure"].effective == "nothing"
    assert not _adjusted(tmp_path, *sets, "vm.granule=64KiB", "driver.aux=128KiB")


def test_baremetal_has_no_limit_to_round(tmp_path: Path) -> None:
    """What an arm does not look at is not told of it."""
    assert not _adjusted(tmp_path, "host.memlock=5000B", "vm.max_buffer=5000B", arm=1)


def test_a_watermark_of_whole_pages_is_as_asked(tmp_path: Path) -> None:
    """So is everything that a default stands for."""
    assert not _adjusted(tmp_path, "driver.watermark=64KiB", "host.memlock=1MiB")


@pytest.mark.parametrize("path", sorted(stock_folder().glob("*.yaml")), ids=lambda p: p.stem)
def test_stock_scenarios_are_run_as_they_say(path: Path) -> None:
    """None asks for what it does not get."""
    assert {a.name: adjusted(a) for a in load(path).arms if adjusted(a)} == {}


def test_ageing_that_the_core_makes_up_for(tmp_path: Path) -> None:
    """Told where nobody has asked for it: PMBIDR.F is a guess of the core preset's."""
    aged = "host.pressure=[{kind: ageing}]"
    found = _adjusted(tmp_path, aged)["host.pressure"]
    assert (found.requested, found.effective) == ("ageing", "nothing")
    assert "UNVERIFIED" in found.why
    for said in ("on", "off"):
        assert "host.pressure" not in _adjusted(tmp_path, aged, f"spe.flag_updates={said}")


def test_intervals_of_7(tmp_path: Path) -> None:
    """Run as they are asked for, and remarked upon where the driver warns."""
    seven = 'driver.version="7.x"'
    for asked, run in ((256, 256), (600, 512)):
        found = _adjusted(tmp_path, f"spe.interval={asked}ops", seven)["spe.interval"]
        assert (found.requested, found.effective) == (f"{asked}ops", f"{run}ops")
        assert found.why == "below spe.min_interval, 1024ops, which the driver of 7.x only warns of"
    assert "spe.interval" not in _adjusted(tmp_path, "spe.interval=1024ops", seven)
    rounded = _adjusted(tmp_path, "spe.interval=1300ops", seven)["spe.interval"]
    assert rounded.effective == "1280ops"
    assert "rounds down" in rounded.why


def test_an_interval_that_a_kernel_tree_programs(
    tmp_path: Path, linux: Callable[[str], Path]
) -> None:
    """The tree's own driver says what becomes of it."""
    need("gcc")
    tree = f"driver.kernel_tree={linux('6.12')}"
    found = _adjusted(tmp_path, "spe.interval=1300ops", tree)["spe.interval"]
    assert found.effective == "1280ops"
    assert found.why.startswith("the driver of Linux 6.12.")
