"""From a scenario's arm to a machine: what is computed, scaled and checked on the way."""

from __future__ import annotations

from typing import Any

import pytest

from sim.host.pressure import Touch
from sim.linux.driver import (
    DriverRules,
)
from sim.linux.reader import ReaderSpec
from sim.machine.resolve import machine_spec, pass_ops, stream_of
from sim.machine.spec import MachineSpec
from sim.scenario.files.loader import load
from sim.scenario.models.scenario import DESIGNS, Arm, Settings
from sim.scenario.models.workloads import Phase, Synthetic
from sim.units import TICKS_PER_CYCLE
from tests.rigs.machines import machine_of, mean_of, simulated, synthetic, vary

LOOP = Phase(name="loop", length=100, iterations=4_000, cpi_millis=1000)
WORKLOAD = Synthetic(kind="synthetic", phases=(LOOP,))
STREAM = synthetic(LOOP)
TEXT = """
workload: {kind: synthetic, phases: [{name: loop, length: 100, iterations: 1000}]}
host:
  pressure: [{kind: ksm}, {kind: khugepaged}, {kind: compaction}, {kind: reclaim},
             {kind: numa_balancing}, {kind: memslot_change, every: 2ms},
             {kind: live_migration, start: 1ms, round: 2ms}]
arms: [{design: unpinned}]
"""


def test_published_paces_are_scaled(tmp_path: Any) -> None:
    """16 GiB of guest, 4 MiB of buffer: a sweep visits each page, a random hit has its share."""
    path = tmp_path / "s.yaml"
    path.write_text(TEXT)
    arm = load(path).arms[0]
    spec = machine_spec(arm, stream_of(arm.settings))
    second = 3_000_000_000 * TICKS_PER_CYCLE
    made = {p.kind: p for p in spec.host.pressures}
    assert made["ksm"].sweeps
    assert made["ksm"].law == (839 * second,)
    assert {kind: p.touch for kind, p in made.items()} == {
        "ksm": Touch.ZAP,
        "khugepaged": Touch.MOVE,
        "compaction": Touch.MOVE,
        "reclaim": Touch.SWAP_OUT,
        "numa_balancing": Touch.ZAP,
    }

    def mean(kind: str) -> float:
        return mean_of(made[kind].law) / second

    assert mean("khugepaged") == pytest.approx(1.25 * 4096, rel=0.01)
    assert made["khugepaged"].span == 512
    assert mean("compaction") == pytest.approx(0.01 * 4096, rel=0.01)
    assert mean("reclaim") == pytest.approx(4096 / 140, rel=0.01)
    assert spec.host.memslot_changes == second // 500
    assert spec.host.migration is not None
    assert spec.host.migration.rounds == 3


def _resolved(**keys: Any) -> MachineSpec:
    workload = {"kind": "synthetic", "phases": [{"name": "x", "length": 100, "iterations": 100}]}
    settings = Settings.model_validate({"workload": workload} | keys)
    arm = Arm(name="a", design="v6", policies=DESIGNS["v6"].policies, settings=settings)
    return machine_spec(arm, stream_of(settings))


def _press(kind: str) -> dict[str, Any]:
    return {"pressure": [{"kind": kind}]}


@pytest.mark.parametrize(
    ("kind", "anonymous", "shared"),
    [
        ("ksm", Touch.ZAP, Touch.ZAP),
        ("khugepaged", Touch.MOVE, Touch.MOVE),
        ("compaction", Touch.MOVE, Touch.ZAP),
        ("reclaim", Touch.SWAP_OUT, Touch.UNMAP_THEN_SWAP),
    ],
)
def test_what_notifies_before_it_looks_at_pins(kind: str, anonymous: Touch, shared: Touch) -> None:
    """mm/ksm.c always; mm/compaction.c and mm/vmscan.c where pages have a mapping."""
    for memory, touch in (("anonymous", anonymous), ("shared", shared)):
        spec = _resolved(host=_press(kind), vm={"memory_kind": memory})
        assert [p.touch for p in spec.host.pressures] == [touch]


@pytest.mark.parametrize(
    ("keys", "piece"),
    [
        ({"driver": {"aux": "4MiB"}}, 512),
        ({"driver": {"aux": "16MiB"}}, 1024),  # the page allocator's largest chunk
        ({"driver": {"aux": "4MiB", "version": "6.12"}}, 1),
        ({"driver": {"aux": "4MiB", "version": "7.x"}}, 1),
        ({"driver": {"aux": "4MiB"}, "buffer": {"physical": "scattered"}}, 1),
        ({"driver": {"version": "6.12"}, "buffer": {"physical": "contiguous"}}, 1024),
    ],
)
def test_numa_balancing_takes_a_piece_at_once(keys: dict[str, Any], piece: int) -> None:
    """Scans of 256 MiB: 64 steps of a sweep over 16 GiB; what lies together goes together."""
    spec = _resolved(host={"unmap": "published"}, **keys)
    assert (spec.host.unmap.piece, spec.host.unmap.scans) == (piece, 64)
    (pressure,) = _resolved(host=_press("numa_balancing"), **keys).host.pressures
    assert (pressure.piece, pressure.scans) == (piece, 64)


@pytest.mark.parametrize("kind", ["ballooning", "free_page_reporting"])
def test_nothing_happens_without_huge_pages(kind: str) -> None:
    """Free pages are never the buffer's: with page mappings there is nothing to take."""
    for granule in ("4KiB", "16KiB", "64KiB"):
        aux = "256KiB" if granule == "64KiB" else "128KiB"
        spec = _resolved(host=_press(kind), vm={"granule": granule}, driver={"aux": aux})
        assert spec.host.balloons == ()


@pytest.mark.parametrize(("granule", "reports"), [("4KiB", 0), ("16KiB", 0), ("64KiB", 1)])
def test_reports_are_parts_of_a_huge_page_with_64_kib_only(granule: str, reports: int) -> None:
    """A page block is a huge page; the virtio driver makes an exception for 64 KiB pages."""
    spec = _resolved(
        host=_press("free_page_reporting"),
        vm={"granule": granule, "huge_pages": True},
        driver={"aux": "256KiB"},
    )
    assert len(spec.host.balloons) == reports
    for balloon in spec.host.balloons:
        assert (balloon.block, balloon.chunk) == (8192, 2)
        assert mean_of(balloon.law) == pytest.approx(2 * 192e9, rel=0.01)


@pytest.mark.parametrize(
    ("driver", "physical", "chunk"),
    [
        ({"aux": "128KiB"}, "driver", 16),
        ({"aux": "128KiB", "watermark": "24KiB"}, "driver", 8),
        ({"aux": "128KiB", "capture": "snapshot"}, "driver", 32),
        ({"aux": "128KiB"}, "scattered", 1),
        ({"aux": "4MiB"}, "driver", 512),
        ({"aux": "4MiB", "version": "6.12"}, "driver", 1),
        ({"aux": "4MiB"}, "contiguous", 1024),
    ],
)
def test_chunks_are_as_large_as_the_driver_makes_them(
    driver: dict[str, str], physical: str, chunk: int
) -> None:
    """rb_alloc_aux: in 6.1 the watermark, in 6.12 a page; and a pace of t_balloon over memory."""
    host, buffer = _press("ballooning"), {"physical": physical}
    vm = {"huge_pages": True}
    (balloon,) = _resolved(host=host, vm=vm, driver=driver, buffer=buffer).host.balloons
    assert (balloon.chunk, balloon.block) == (chunk, 512)
    assert mean_of(balloon.law) == pytest.approx(2250e-9 * 8192 * 192e9, rel=0.01)


def test_the_default_watermark_is_half_the_aux_area() -> None:
    """A 128 KiB AUX area fills in windows of 1,024 records (an interrupt every 64 KiB)."""
    arm = Arm(
        name="arm",
        design="baremetal",
        policies=DESIGNS["baremetal"][0],
        settings=Settings.model_validate(
            {"workload": WORKLOAD, "driver": {"aux": "128KiB"}, "spe": {"interval": "1024ops"}}
        ),
    )
    spec = machine_spec(arm, STREAM)
    assert (spec.event.aux.size, spec.event.aux.watermark) == (128 << 10, 64 << 10)
    vcpu = simulated(vary(spec, interval=256, period=256), STREAM).vcpus[0]
    assert vcpu.stops == 1
    assert vcpu.aux["size"].tolist()[0] == 64 << 10


def _settings(**driver: Any) -> Settings:
    return Settings.model_validate({"workload": WORKLOAD, "driver": driver})


def test_scenario_keys_reach_the_machine() -> None:
    """driver.{capture, version, reader, aux} and the times of parameters.toml."""
    spec = machine_of(
        "baremetal", _settings(reader={"kind": "process", "cpu": "same"}, version="6.12"), STREAM
    )
    assert spec.event.reader == ReaderSpec(True, 10_000 * 192, 1280 * 192, 2000 * 192)
    assert spec.event.rules == DriverRules(stops_on_failure=True)
    assert machine_of("baremetal", _settings(capture="snapshot"), STREAM).event.snapshot
    assert machine_of("baremetal", _settings(capture="discard"), STREAM).event.rules.discard
    assert not machine_of("baremetal", _settings(mode="cpu"), STREAM).event.per_task
    assert _settings(aux="default-unprivileged").driver.aux == 128 << 10
    assert _settings(aux="default-privileged").driver.aux == 4 << 20


def test_streams_are_as_long_as_their_operations() -> None:
    """A recorded stream, a synthetic one; passes given instead are taken as they are."""
    for scenario in ("quickstart", "synthetic"):
        settings = load(scenario).arms[0].settings
        size = pass_ops(settings.workload)
        for ops, repeat, passes in ((3 * size + 1, None, 3), (0, 2, 2)):
            workload = settings.workload.model_copy(update={"ops": ops, "repeat": repeat})
            made = settings.model_copy(update={"workload": workload})
            assert stream_of(made).ops == passes * size
