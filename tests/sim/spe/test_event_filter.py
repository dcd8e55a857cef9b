"""PMSEVFR against the record's own Events packet, branches included, and what a driver refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim import draws
from sim.machine.resolve import core_facts, stream_of
from sim.runs import batch
from sim.scenario.files.document import ScenarioError
from sim.scenario.files.loader import load
from sim.spe.collect import EV_MISPREDICTED, EV_NOT_TAKEN
from sim.spe.record import expand

TEXT = """
name: events
replications: 1
workload: {kind: recorded, path: streams/threads.0.spestream, repeat: %d}
spe: {interval: 256ops, min_interval: 256ops, jitter: "on", version: v1p2}
driver: {aux: 32MiB, version: "6.12"}
arms: [baremetal]
"""
RETIRED = 1 << 1


def _run(tmp_path: Path, mask: int, engine: str = "fast", repeat: int = 32) -> batch.ArmResult:
    path = tmp_path / "events.yaml"
    path.write_text(TEXT % repeat)
    scenario = load(path, [f"spe.filter.event_filter={mask}"])
    (arm,) = batch.run(scenario, engine=engine, keep_records=True)
    return arm


def _events(arm: batch.ArmResult) -> np.ndarray:
    """Events of the records that were kept, as the packets have them."""
    settings = arm.arm.settings
    key = draws.key(20260101, 0, 0, "latency")
    rows = arm.runs[0].vcpus[0].written
    return expand(stream_of(settings), rows, core_facts(settings), key, 0, 1)["events"]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> batch.ArmResult:
    """All records of the stream."""
    return _run(tmp_path_factory.mktemp("all"), RETIRED)


@pytest.mark.parametrize("mask", [EV_NOT_TAKEN, EV_MISPREDICTED, EV_NOT_TAKEN | EV_MISPREDICTED])
def test_a_filter_keeps_the_records_that_have_its_bits(
    mask: int, everything: batch.ArmResult, tmp_path: Path
) -> None:
    """Those of an unfiltered run whose Events packet has every bit: as many, in both engines."""
    due = int(((_events(everything) & mask) == mask).sum())
    assert due > 20
    for engine in ("fast", "reference"):
        arm = _run(tmp_path, mask, engine)
        assert ((_events(arm) & mask) == mask).all()
        ledger = arm.runs[0].vcpus[0].ledgers.selections
        assert ledger.selected == everything.runs[0].vcpus[0].ledgers.selections.selected
        assert ledger.passed == due


def test_a_filter_by_data_source(everything: batch.ArmResult, tmp_path: Path) -> None:
    """Without loads of L1 and of memory: as many records as an unfiltered run has of the others."""
    settings = everything.arm.settings
    key = draws.key(20260101, 0, 0, "latency")
    rows = everything.runs[0].vcpus[0].written
    records = expand(stream_of(settings), rows, core_facts(settings), key, 0, 1)
    of_loads = np.isin(stream_of(settings).static_class[records["insn"]], (1, 3))
    gone = of_loads & (records["level"] > 0) & np.isin(records["source"], (0, 14))
    path = tmp_path / "s.yaml"
    path.write_text(TEXT % 32)
    sets = [f"spe.filter.inv_data_src_filter={1 << 0 | 1 << 14}"]
    (arm,) = batch.run(load(path, [*sets, 'driver.version="7.x"']))
    passed = arm.runs[0].vcpus[0].ledgers.selections.passed
    assert 100 < int(gone.sum()) < records.size
    assert passed == records.size - int(gone.sum())
    with pytest.raises(ScenarioError, match=r"6.12 has no filter by data source; use .*7\.x"):
        load(path, sets)


@pytest.mark.parametrize("mask", [EV_NOT_TAKEN, EV_MISPREDICTED])
def test_the_truth_is_of_the_filtered_population(mask: int, tmp_path: Path) -> None:
    """Expected records are the truth over the mean gap, within 5 standard errors."""
    arm = _run(tmp_path, mask)
    passed = arm.runs[0].vcpus[0].ledgers.selections.passed
    expected = arm.truth.sum() / (256 + 128.5)
    assert passed > 50
    assert abs(passed - expected) < 5 * np.sqrt(expected)


@pytest.mark.parametrize(
    ("bit", "spe", "driver", "cure"),
    [
        (8, "v1p2", "6.12", "no version that is modelled has them"),
        (0, "v1p0", "6.1", "no version that is modelled has them"),
        (6, "v1p0", "6.1", 'spe.version: v1p2 with driver.version: "6.12"'),
        (6, "v1p2", "6.1", 'spe.version: v1p2 with driver.version: "6.12"'),
        (11, "v1p0", "6.12", 'spe.version: v1p1 with driver.version: "6.1"'),
    ],
)
def test_reserved_bits_are_refused(
    bit: int, spe: str, driver: str, cure: str, tmp_path: Path
) -> None:
    """EOPNOTSUPP of arm_spe_pmu_event_init, with the versions that would take them."""
    path = tmp_path / "s.yaml"
    path.write_text(TEXT % 1)
    sets = [f"spe.version={spe}", f'driver.version="{driver}"']
    sets.append(f"spe.filter.event_filter={1 << bit}")
    with pytest.raises(ScenarioError, match="EOPNOTSUPP") as refused:
        load(path, sets)
    assert f": {bit};" in str(refused.value)
    assert cure in str(refused.value)


@pytest.mark.parametrize(
    ("bit", "spe", "driver"),
    [
        (1, "v1p0", "6.1"),
        (3, "v1p0", "6.1"),
        (5, "v1p0", "6.1"),
        (7, "v1p0", "6.1"),
        (11, "v1p1", "6.1"),
        (17, "v1p2", "6.12"),
        (6, "v1p2", "6.12"),
        (63, "v1p0", "6.1"),
    ],
)
def test_bits_that_are_implemented_pass(bit: int, spe: str, driver: str, tmp_path: Path) -> None:
    """And those that are IMPLEMENTATION DEFINED."""
    path = tmp_path / "s.yaml"
    path.write_text(TEXT % 1)
    sets = [f"spe.version={spe}", f'driver.version="{driver}"']
    assert load(path, [*sets, f"spe.filter.event_filter={1 << bit}"])
