"""Pages, edges and lines of records, and of whole streams, against executions one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim import results
from sim.machine import resolve
from sim.results import RunResult
from sim.runs import batch, unitfile
from sim.runs.seen import sightings
from sim.runs.seen.compiled import PAGE_SHIFT
from sim.runs.seen.sightings import EDGES, LINES, PAGES, WAITS
from sim.scenario.files import loader
from sim.scenario.files.given import of_text
from sim.scenario.models.scenario import Scenario
from sim.units import TICKS_PER_CYCLE
from sim.workload.a64 import OpClass
from sim.workload.arrays import BLOCK, BLOCK_STATIC, HAS_SLOT, LEVEL_STRIDE, OP, STATIC
from sim.workload.timing import PEERS
from tests.sim.runs.shipped import small_recording

SEEN = (EDGES, PAGES, WAITS)

BASE = """\
name: seen
replications: 1
workload: {{kind: recorded, path: {path}, repeat: 30{more}}}
spe: {{jitter: on, interval: 1024ops{spe}}}
driver: {{aux: 64KiB, version: "{driver}"}}
decisions: {{kinds: [hot-pages, layout]}}
arms: [baremetal]
"""


BIASED = ", target_bias_per_mille: 300, target_bias_reach: 8"
WEIGHTED = ", selection: selection/public-2022.yaml"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small recorded stream of our own."""
    return small_recording(tmp_path_factory.mktemp("seen"))


def made(
    recording: Path, spe: str = "", more: str = "", driver: str = "6.1", end: str = ""
) -> Scenario:
    """A scenario on it."""
    text = BASE.format(path=recording, spe=spe, more=more, driver=driver)
    return loader.load(of_text(text + end))


def unit(scenario: Scenario) -> batch.Unit:
    """Its only unit, with what its records show."""
    return batch.Unit(scenario.arms[0], scenario.seed, 0, "fast", False, sightings=SEEN)


def by_record(scenario: Scenario, run: RunResult) -> dict[str, Counter[Any]]:
    """Pages and edges of expanded records, one by one."""
    arm = scenario.arms[0]
    stream = batch.stream_of(arm)
    (records,) = batch.records(arm, scenario.seed, run)
    found: dict[str, Counter[Any]] = {PAGES: Counter(), EDGES: Counter()}
    for r in records:
        op_class = int(stream.static_class[r["insn"]])
        if r["level"] > 0 and r["va"] >> 12:
            found[PAGES][int(r["va"]) >> 12, op_class == OpClass.STORE] += 1
        if op_class == OpClass.BRANCH:
            found[EDGES][int(stream.static_pc[r["insn"]]), int(r["target"])] += 1
    return found


@pytest.mark.parametrize("more", ["", ", kernel: {tick_every: 20us}"])
def test_sightings_are_those_of_the_records(recording: Path, more: str) -> None:
    """Counted in the worker, and from full records: the same, with and without kernel code."""
    scenario = made(recording, more=more)
    one = unit(scenario)
    run = batch.run_unit(replace(one, keep_records=True))
    stream = batch.stream_of(one.arm)
    wanted = by_record(scenario, run)
    pages = {
        (p, bool(k)): n for p, *row in run.sightings[PAGES].tolist() for k, n in enumerate(row)
    }
    assert {key: n for key, n in pages.items() if n} == dict(wanted[PAGES])
    edges: Counter[Any] = Counter()
    for a, b, n in run.sightings[EDGES].tolist():
        edges[int(stream.static_pc[a]), int(stream.static_pc[b])] += n
    assert sum((edges - wanted[EDGES]).values()) <= 1  # the op that ends a pass goes on in the next
    assert sum((wanted[EDGES] - edges).values()) <= 1
    assert sum(wanted[PAGES].values()) > 100
    assert sum(wanted[EDGES].values()) > 100


def test_nothing_is_kept_that_is_not_asked_for(recording: Path) -> None:
    """Records go where they were made; who asks for no sightings gets none."""
    one = unit(made(recording))
    run = batch.run_unit(one)
    assert run.sightings
    assert all(v.written.size == 0 for v in run.vcpus)
    assert batch.run_unit(replace(one, sightings=())).sightings == {}
    for name in SEEN:  # and who asks for one, that one, whatever the others are
        (alone,) = batch.run_unit(replace(one, sightings=(name,))).sightings.items()
        assert alone[0] == name
        assert np.array_equal(alone[1], run.sightings[name])


@pytest.mark.parametrize("more", ["", ", kernel: {tick_every: 20us}"])
@pytest.mark.parametrize(("records", "engine"), [(1, "fast"), (97, "fast"), (50, "reference")])
def test_few_records_at_a_time_are_all_records(
    recording: Path, more: str, records: int, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is looked at together changes no row, nor their order; of several vCPUs either."""
    one = unit(made(recording, more=more, end="vm: {vcpus: 2}\n"))
    whole = batch.run_unit(one).sightings
    assert all(len(rows) > 10 for rows in whole.values())
    monkeypatch.setattr(results, "OPS_AT_ONCE", records)
    found = batch.run_unit(replace(one, engine=engine)).sightings
    assert found.keys() == whole.keys() == set(SEEN)
    for name, rows in found.items():
        assert np.array_equal(rows, whole[name]), name


def executions(scenario: Scenario) -> tuple[Counter[Any], Counter[Any]]:
    """Accesses by (page, store) and branches by (static, next) of one pass, op by op."""
    stream = batch.stream_of(scenario.arms[0])
    T, S = stream.arrays.tables, stream.arrays
    order: list[int] = []
    for block in (S.execs >> np.uint64(32) & np.uint64((1 << 31) - 1)).tolist():
        row = int(T[BLOCK]) + 4 * block
        order += range(int(T[row + BLOCK_STATIC]), int(T[row + BLOCK_STATIC] + T[row + OP]))
    pages: Counter[Any] = Counter()
    edges: Counter[Any] = Counter()
    slot = 0
    for s, after in zip(order, [*order[1:], order[0]], strict=True):
        if T[int(T[STATIC]) + 4 * s + HAS_SLOT]:
            page = int(stream.addresses[slot]) >> 12
            pages[page, stream.static_class[s] == OpClass.STORE] += page > 0
            slot += 1
        if stream.static_class[s] == OpClass.BRANCH:
            edges[s, after] += 1
    return pages, edges


def test_visits_are_every_execution(recording: Path) -> None:
    """Pages and edges of the whole stream, thirty passes of it, counted op by op."""
    scenario = made(recording)
    arm = scenario.arms[0]
    found = batch.visits_of(arm, batch.stream_of(arm))
    pages, edges = executions(scenario)
    seen = {(p, bool(k)): n for p, *row in found.pages.tolist() for k, n in enumerate(row) if n}
    assert seen == {key: 30 * n for key, n in pages.items() if n}
    assert {(a, b): n for a, b, n, _ in found.edges.tolist()} == {
        k: 30 * n for k, n in edges.items()
    }
    assert int(found.members.sum()) == batch.stream_of(arm).ops


@pytest.mark.parametrize("records", [1, 97])
def test_few_executions_at_a_time_are_the_whole_stream(
    recording: Path, records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is counted together changes no row of the truth, nor their order."""
    arm = made(recording).arms[0]
    stream = batch.stream_of(arm)
    spec = resolve.machine_spec(arm, stream)
    whole = sightings.visits(stream, spec, 4095)
    assert len(whole.edges) > 10
    assert len(whole.pages) > 10
    monkeypatch.setattr(sightings, "_CHUNK", records)
    found = sightings.visits(stream, spec, 4095)
    assert np.array_equal(found.edges, whole.edges)
    assert np.array_equal(found.pages, whole.pages)


def test_filters_and_vcpus_count(recording: Path) -> None:
    """Loads only: no stores, no branches; two vCPUs: twice as many."""
    plain = made(recording)
    loads = made(recording, spe=", filter: {load: true}")
    whole, part = (batch.visits_of(s.arms[0], batch.stream_of(s.arms[0])) for s in (plain, loads))
    assert part.edges.size == 0
    assert part.pages[:, 2].sum() == 0
    assert part.pages[:, 1].sum() == whole.pages[:, 1].sum()
    two = made(recording, end="vm: {vcpus: 2}\n")
    twice = batch.visits_of(two.arms[0], batch.stream_of(two.arms[0]))
    assert (twice.edges[:, 2] == 2 * whole.edges[:, 2]).all()


def test_not_taken_filter_keeps_falls_only(recording: Path) -> None:
    """PMSEVFR bit 6: the edges left are conditional branches that went on at PC + 4."""
    scenario = made(recording, spe=", version: v1p2, filter: {event_filter: 64}", driver="6.12")
    arm = scenario.arms[0]
    stream = batch.stream_of(arm)
    found = batch.visits_of(arm, stream).edges
    assert found.size
    assert (stream.static_pc[found[:, 1]] == stream.static_pc[found[:, 0]] + np.uint64(4)).all()


def test_a_latency_filter_scales_the_truth(recording: Path) -> None:
    """What passes min_latency of each cell, as `truth` has it; no class is below the bound."""
    scenario = made(recording, spe=", filter: {load: true, min_latency: 30}")
    arm = scenario.arms[0]
    found = batch.visits_of(arm, batch.stream_of(arm))
    members = int(found.members.sum())
    assert members > 0
    assert abs(int(found.pages[:, 1:].sum()) / members - 1) < 0.01
    assert (found.waits[:, 3] >= 30 * TICKS_PER_CYCLE).all()


def test_a_synthetic_stream_has_no_pages() -> None:
    """Its addresses are made up at a sample: nothing to place."""
    text = "name: x\nreplications: 1\nworkload: {kind: synthetic, phases: [{name: a, length: 64,"
    text += " iterations: 9000}]}\ndecisions: {kinds: [hot-pages]}\narms: [baremetal]\n"
    scenario = loader.load(of_text(text))
    run = batch.run_unit(unit(scenario))
    assert run.sightings[PAGES].shape == (0, 3)
    found = batch.visits_of(scenario.arms[0], batch.stream_of(scenario.arms[0]))
    assert found.pages.size == found.edges.size == 0
    assert PAGE_SHIFT == 12


@pytest.mark.parametrize("spe", ["", BIASED, WEIGHTED, ", filter: {min_latency: 30}"])
def test_records_that_are_kept_show_the_same(recording: Path, spe: str) -> None:
    """Where they lie is then looked up, else the sampler says it; for one question and for all."""
    for asked in (SEEN, *((name,) for name in SEEN)):
        one = replace(unit(made(recording, spe)), sightings=asked)
        told = batch.run_unit(one).sightings
        looked_up = batch.run_unit(replace(one, keep_records=True)).sightings
        assert told.keys() == looked_up.keys() == set(asked)
        for name, rows in told.items():
            assert len(rows) > 0
            assert np.array_equal(rows, looked_up[name])


def test_both_engines_see_the_same(recording: Path) -> None:
    """And a unit that is stored and read again."""
    one = unit(made(recording))
    fast, reference = (batch.run_unit(replace(one, engine=e)) for e in ("fast", "reference"))
    assert fast.sightings.keys() == reference.sightings.keys() == {PAGES, EDGES, WAITS}
    for name, rows in fast.sightings.items():
        assert (rows == reference.sightings[name]).all()
        assert (unitfile.loads(unitfile.dumps(fast)).sightings[name] == rows).all()


GROUP = """\
name: shared
replications: 1
workload: {kind: threads, path: streams/contended.threads.json, repeat: %d}
spe: {jitter: on, interval: 256ops, min_interval: 256ops%s}
driver: {aux: 64KiB}
vm: {vcpus: 4}
decisions: {kinds: [sharing]}
arms: [baremetal]
"""


def by_hand(scenario: Scenario) -> Counter[int]:
    """Loads and atomics of one pass of all threads that a peer gave, by line."""
    found: Counter[int] = Counter()
    lead = batch.stream_of(scenario.arms[0])
    classes = lead.static_class.tolist()
    for thread in lead.threads:
        T, levels = thread.arrays.tables.tolist(), thread.arrays.levels.tolist()
        execs, slot = thread.arrays.execs, 0
        for block in (execs >> np.uint64(32) & np.uint64((1 << 31) - 1)).tolist():
            row = T[BLOCK] + 4 * block
            for s in range(T[row + BLOCK_STATIC], T[row + BLOCK_STATIC] + T[row + OP]):
                if T[T[STATIC] + 4 * s + HAS_SLOT]:
                    load = classes[s] in (OpClass.LOAD, OpClass.ATOMIC)
                    if load and levels[slot] in PEERS:
                        found[int(thread.addresses[slot]) >> 6] += 1
                    slot += 1
    return found


def test_lines_are_every_load_that_a_peer_gave() -> None:
    """The truth of a group, counted op by op; pages and edges are those of all its threads."""
    scenario = loader.load(of_text(GROUP % (1, "")))
    arm = scenario.arms[0]
    lead = batch.stream_of(arm)
    seen = batch.visits_of(arm, lead)
    assert dict(seen.lines.tolist()) == dict(by_hand(scenario))
    accesses = sum(int(np.count_nonzero(t.addresses)) for t in lead.threads)
    assert int(seen.pages[:, 1:].sum()) == accesses
    assert len(np.unique(seen.pages[:, 0])) == len(seen.pages)
    assert int(seen.members.sum()) == sum(t.ops for t in lead.threads)
    keys = seen.edges[:, 0] << 32 | seen.edges[:, 1]
    assert (np.diff(keys) > 0).all()
    branches = lead.static_class[np.arange(seen.members.size) // LEVEL_STRIDE] == OpClass.BRANCH
    assert int(seen.edges[:, 2].sum()) == int(seen.members[branches].sum())


def test_lines_of_records_are_those_that_they_show() -> None:
    """Loads whose data source is a peer, by line, from full records of all vCPUs."""
    scenario = loader.load(of_text(GROUP % (8, "")))
    one = replace(unit(scenario), sightings=(*SEEN, LINES))
    run = batch.run_unit(replace(one, keep_records=True))
    wanted: Counter[int] = Counter()
    for records in batch.records(one.arm, scenario.seed, run):
        given = np.isin(records["source"], (9, 12))
        wanted.update((records["va"][given] >> np.uint64(6)).tolist())
    assert dict(run.sightings[LINES].tolist()) == dict(wanted)
    assert sum(wanted.values()) > 100
    again = unitfile.loads(unitfile.dumps(run))
    assert np.array_equal(again.sightings[LINES], run.sightings[LINES])


def test_a_filter_for_stores_leaves_the_lines_of_atomics() -> None:
    """Stores have no data source; an atomic is both, and one line only is counted by it."""
    scenario = loader.load(of_text(GROUP % (1, ", filter: {store: true}")))
    lead = batch.stream_of(scenario.arms[0])
    ((_, times),) = batch.visits_of(scenario.arms[0], lead).lines.tolist()
    atomics = lead.static_class[np.arange(lead.statics)] == OpClass.ATOMIC
    made = sum(t.pass_counts.reshape(-1, LEVEL_STRIDE)[atomics, 5:].sum() for t in lead.threads)
    assert times == made > 1000


def test_a_single_stream_has_no_lines(recording: Path) -> None:
    """Nothing of a run without threads is another by this."""
    scenario = made(recording)
    run = batch.run_unit(replace(unit(scenario), sightings=(LINES, PAGES)))
    assert set(run.sightings) == {PAGES}
    assert batch.visits_of(scenario.arms[0], batch.stream_of(scenario.arms[0])).lines.size == 0
