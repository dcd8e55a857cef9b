"""How long loads take, by class: records one by one, and the law against every draw of a stream."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim import draws, laws
from sim.machine.resolve import core_facts
from sim.runs import batch
from sim.runs.seen.sightings import WAITS
from sim.runs.seen.waits import CLASSES, LOADS, class_of
from sim.scenario.files import loader
from sim.scenario.files.given import of_text
from sim.scenario.models.scenario import Scenario
from sim.spe.record import located, total_cycles
from sim.units import TICKS_PER_CYCLE
from sim.workload.arrays import LEVEL_STRIDE
from tests.sim.runs.shipped import small_recording

BASE = """\
name: waited
replications: 1
workload: {{kind: recorded, path: {path}, repeat: 30}}
spe: {{jitter: on, interval: 256ops, min_interval: 256ops{spe}}}
driver: {{aux: 64KiB}}
decisions: {{kinds: [slow-loads]}}
arms: [baremetal]
"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small recorded stream of our own."""
    return small_recording(tmp_path_factory.mktemp("waited"))


def made(recording: Path, spe: str = "", end: str = "") -> Scenario:
    """A scenario on it."""
    return loader.load(of_text(BASE.format(path=recording, spe=spe) + end))


def test_classes_are_narrow() -> None:
    """Each number below eight is one of its own; no class is wider than a fifth of its first."""
    assert CLASSES[:9].tolist() == list(range(9))
    assert CLASSES[-1] > 65_535
    wide = np.diff(CLASSES[8:]) - 1
    assert (wide <= 0.2 * CLASSES[8:-1]).all()
    cycles = np.arange(70_000)
    found = class_of(cycles)
    assert (CLASSES[found] <= cycles).all()
    assert (cycles[:-1] < CLASSES[found[:-1] + 1]).all()


@pytest.mark.parametrize("end", ["", "vm: {vcpus: 2}\n"])
def test_waits_are_those_of_the_records(recording: Path, end: str) -> None:
    """By static op, level and class of TOTAL, from full records of all vCPUs; loads alone."""
    scenario = made(recording, end=end)
    unit = batch.Unit(
        scenario.arms[0], scenario.seed, 0, "fast", True, sightings=("edges", "pages", "waits")
    )
    run = batch.run_unit(unit)
    stream = batch.stream_of(scenario.arms[0])
    wanted: Counter[tuple[int, int]] = Counter()
    for records in batch.records(scenario.arms[0], scenario.seed, run):
        loads = records[np.isin(stream.static_class[records["insn"]], LOADS)]
        cells = loads["insn"].astype(np.int64) * LEVEL_STRIDE + loads["level"]
        classes = class_of(loads["total"].astype(np.int64))
        wanted.update(zip(cells.tolist(), classes.tolist(), strict=True))
    assert {(cell, k): n for cell, k, n in run.sightings[WAITS].tolist()} == dict(wanted)
    assert sum(wanted.values()) > 500
    reference = batch.run_unit(replace(unit, engine="reference"))
    assert np.array_equal(reference.sightings[WAITS], run.sightings[WAITS])


def test_the_truth_is_the_law_of_every_draw(recording: Path) -> None:
    """All latencies of a stream, drawn one by one as a machine does: their sum by load is within 5
    standard errors of the truth, and their classes have the truth's shares."""
    scenario = made(recording)
    arm = scenario.arms[0]
    stream, found = batch.stream_of(arm), batch.visits_of(arm, batch.stream_of(arm))
    ops = np.arange(stream.ops, dtype=np.int64)
    places = located(stream, ops)
    load = np.isin(stream.static_class[places[:, 0]], LOADS)
    key = draws.key(scenario.seed, 0, 0, "latency")
    total = total_cycles(stream, ops[load], core_facts(arm.settings), key)
    cells = places[load, 0] * LEVEL_STRIDE + places[load, 1]
    assert np.array_equal(np.unique(cells), np.unique(found.waits[:, 0]))
    cell, kind, times, ticks = found.waits.T
    share = times / laws.DRAWS
    mean = np.bincount(cell, share * ticks / TICKS_PER_CYCLE)
    square = np.bincount(cell, share * (ticks / TICKS_PER_CYCLE) ** 2)
    members = found.members[: mean.size]
    sums = np.bincount(cells, total, mean.size)
    assert np.allclose(np.bincount(cell, share)[np.unique(cell)], 1)
    error = np.sqrt(members * np.maximum(square - mean**2, 1) * 1.1)
    assert (np.abs(sums - members * mean) <= 5 * error + 1).all()
    whole = np.bincount(class_of(total), minlength=CLASSES.size)
    due = np.bincount(kind, members[cell] * share, CLASSES.size)
    assert (np.abs(whole - due) <= 5 * np.sqrt(due) + 1).all()
    assert whole[np.bincount(kind, minlength=CLASSES.size) == 0].sum() == 0


def test_a_filter_leaves_what_passes(recording: Path) -> None:
    """min_latency cuts the classes below it."""
    whole, part = (
        batch.visits_of(s.arms[0], batch.stream_of(s.arms[0])).waits
        for s in (made(recording), made(recording, ", filter: {load: true, min_latency: 30}"))
    )
    kept = whole[:, 3] >= 36 * TICKS_PER_CYCLE  # classes that begin at 32 or more
    assert np.array_equal(part[part[:, 3] >= 36 * TICKS_PER_CYCLE], whole[kept])
    assert part[:, 3].min() >= 30 * TICKS_PER_CYCLE
