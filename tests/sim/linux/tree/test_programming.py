"""What a tree's driver programs for an event is what the machine is built with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sim.linux.aux import Geometry
from sim.linux.tree import programming
from sim.linux.tree.programming import Wanted
from sim.linux.tree.sources import TreeError
from tests.needs import need
from tests.sim.linux.kernels import patched

Linux = Callable[[str], Path]
MIB = 1 << 20
PAGE = 4096
AUX = Geometry(4 * MIB, PAGE, 2 * MIB)
CLAMP = ("period < spe_pmu->min_period", "period < 1")


@pytest.fixture(autouse=True)
def compiler() -> None:
    """Everything here compiles a driver, or finds it compiled."""
    need("gcc")


@pytest.mark.parametrize("version", ["6.1", "6.12"])
@pytest.mark.parametrize(
    ("period", "least", "interval"),
    [(256, 1024, 1024), (1025, 1024, 1024), (1536, 256, 1536), (300, 256, 256), (9000, 4096, 8960)],
)
def test_intervals(version: str, period: int, least: int, interval: int, linux: Linux) -> None:
    """Raised to caps/min_interval, rounded down to 256 ops."""
    wanted = Wanted(period, AUX, 0, min_interval=least)
    made = programming.driver(str(linux(version)), wanted)
    assert (made.interval, made.random) == (interval, False)
    assert made.name.startswith(f"Linux {version}.")


@pytest.mark.parametrize("version", ["6.1", "6.12"])
def test_filters_and_jitter(version: str, linux: Linux) -> None:
    """PMSFCR and its registers, as settings again."""
    wanted = Wanted(
        4096, AUX, 0, jitter=True, ernd=True, load=True, store=True, event_filter=2, min_latency=40
    )
    made = programming.driver(str(linux(version)), wanted)
    assert made.random
    assert made.filters == {
        "load": True,
        "store": True,
        "branch": False,
        "event_filter": 2,
        "min_latency": 40,
        "inv_data_src_filter": 0,
    }
    nothing = programming.driver(str(linux(version)), Wanted(4096, AUX, 0))
    assert not any(nothing.filters.values())


@pytest.mark.parametrize(
    ("version", "watermark", "snapshot", "piece"),
    [
        ("6.1", 0, False, 512),
        ("6.1", 64 << 10, False, 16),
        ("6.1", 0, True, 1024),
        ("6.12", 0, False, 1),
        ("6.12", 0, True, 1),
    ],
)
def test_pieces_of_the_area(
    version: str, watermark: int, snapshot: bool, piece: int, linux: Linux
) -> None:
    """What rb_alloc_aux asks the page allocator for at once."""
    wanted = Wanted(1024, AUX, watermark, snapshot=snapshot)
    assert programming.driver(str(linux(version)), wanted).piece == piece


def test_what_perf_event_open_refuses(linux: Linux) -> None:
    """Reserved bits of the filter: the tree's own event_init says no."""
    with pytest.raises(
        TreeError, match=r"perf_event_open fails .* Linux 6\.12.*Operation not supp"
    ):
        programming.driver(str(linux("6.12")), Wanted(1024, AUX, 0, event_filter=1 << 8))
    late = Wanted(1024, AUX, 0, event_filter=1 << 6, spe="v1p2")
    assert programming.driver(str(linux("6.12")), late).filters["event_filter"] == 1 << 6
    with pytest.raises(TreeError, match="perf_event_open fails"):
        programming.driver(str(linux("6.1")), late)


def test_an_area_that_the_driver_refuses(linux: Linux) -> None:
    """Two pages are the least."""
    with pytest.raises(TreeError, match="perf_event_open fails"):
        programming.driver(str(linux("6.1")), Wanted(1024, Geometry(PAGE, PAGE, PAGE), 0))


@pytest.mark.parametrize("version", ["6.1", "6.12"])
def test_data_sources_are_filtered_by_newer_drivers(version: str, linux: Linux) -> None:
    """One that passes attr.config4 over would record everything."""
    with pytest.raises(TreeError, match=rf"Linux {version}.* has no filter by data source"):
        programming.driver(str(linux(version)), Wanted(1024, AUX, 0, inv_data_src_filter=1))


def test_a_driver_that_filters_by_data_source(linux: Linux, tmp_path: Path) -> None:
    """As Linux 7.3's does: inverted, with PMSFCR_EL1.FDS."""
    writes = "\treg = arm_spe_event_to_pmslatfr(event);\n\twrite"
    added = (
        "\twrite_sysreg_s(~event->attr.config4, sys_reg(3, 0, 9, 10, 4));\n"
        "\tif (event->attr.config4)\n"
        "\t\twrite_sysreg_s(arm_spe_event_to_pmsfcr(event) | BIT(4), SYS_PMSFCR_EL1);\n"
    )
    tree = patched(linux("6.12"), tmp_path, (writes, added + writes))
    made = programming.driver(str(tree), Wanted(1024, AUX, 0, inv_data_src_filter=0x4001))
    assert made.filters["inv_data_src_filter"] == 0x4001


@pytest.mark.parametrize("version", ["6.1", "6.12"])
def test_discard_mode_is_newer(version: str, linux: Linux) -> None:
    """An event that would write records all the same is refused."""
    with pytest.raises(TreeError, match=rf"Linux {version}.* has no discard mode"):
        programming.driver(str(linux(version)), Wanted(1024, AUX, 0, discard=True))


def test_a_patched_driver_programs_what_it_says(linux: Linux, tmp_path: Path) -> None:
    """Without the clamp an interval below the least one is programmed; of 0 nothing is known."""
    tree = str(patched(linux("6.12"), tmp_path, CLAMP))
    assert programming.driver(tree, Wanted(600, AUX, 0)).interval == 512
    with pytest.raises(TreeError, match=r"PMSIRR_EL1.INTERVAL = 0 for a period of 200 ops"):
        programming.driver(tree, Wanted(200, AUX, 0))


def test_a_tree_that_changes_is_read_again(linux: Linux, tmp_path: Path) -> None:
    """Its identity is that of its sources."""
    tree = patched(linux("6.12"), tmp_path)
    before = programming.identity(str(tree))
    assert before == programming.identity(str(linux("6.12")))
    driver = tree / "drivers/perf/arm_spe_pmu.c"
    driver.write_text(driver.read_text().replace(*CLAMP, 1))
    assert programming.identity(str(tree)) != before
    assert programming.driver(str(tree), Wanted(600, AUX, 0)).interval == 512
