"""Recorded streams: the quickstart's arms, a compiled loop that reads the same, long recordings."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from sim.cache import entries
from sim.machine.machine import simulate
from sim.machine.resolve import machine_spec, stream_of
from sim.machine.run import Run
from sim.results import RunResult
from sim.scenario.files import loader
from sim.workload import index
from sim.workload.arrays import OP, PASS, Stream, block_of, high_count, in_cell, low_count
from sim.workload.presets import get_preset
from sim.workload.spestream import read_spestream
from tests.benchmarks.recording import line
from tests.benchmarks.test_speed import _MIX

pytestmark = [pytest.mark.bench, pytest.mark.targeted]
CORE = "neoverse-n1"


def _best(stream: Stream | None, design: str, times: int = 3) -> tuple[float, RunResult, Stream]:
    """Least CPU seconds of an arm of the quickstart, on a stream or its own; after a warm-up."""
    arm = next(arm for arm in loader.load("quickstart").arms if arm.name == design)
    stream = stream or stream_of(arm.settings)
    run = partial(simulate, machine_spec(arm, stream), (stream,), Run("bench", 1, 0), "fast")
    result, best = run(), float("inf")
    for _ in range(times):
        began = time.process_time()
        run()
        best = min(best, time.process_time() - began)
    return best, result, stream


@numba.njit
def _gather(S: Any, ops: Any) -> Any:
    """Read the cell, the execution and the level of each op of a pass, and add up what is read."""
    total = np.int64(0)
    for j in range(ops.size):
        exec_at, slot_at = in_cell(S.cells, np.uint64(ops[j]))
        total += np.int64(block_of(S.execs[low_count(exec_at)])) + np.int64(high_count(exec_at))
        total += np.int64(S.levels[low_count(slot_at)])
    return total


def _gather_ns(stream: Stream) -> float:
    """Of an op, of as many as a run samples, as far apart."""
    ops = np.arange(500, stream.ops, 1152) % int(stream.arrays.tables[PASS + OP])
    _gather(stream.arrays, ops[:10])
    took = []
    for _ in range(5):
        began = time.process_time()
        _gather(stream.arrays, ops)
        took.append(time.process_time() - began)
    return min(took) / ops.size * 1e9


def test_samples_of_the_quickstart() -> None:
    """One replication of each arm: ns a sample, and beyond baremetal's, µs a state change."""
    plain, result, stream = _best(None, "baremetal")
    per_sample = plain / result.vcpus[0].ledgers.selections.selected
    gather = _gather_ns(stream)
    line("targeted", "quickstart, baremetal", per_sample * 1e9, "ns/sample", "<= 25")
    line("targeted", "a compiled loop that gathers the same", gather, "ns/sample")
    ratio = per_sample * 1e9 / gather
    line("targeted", "quickstart, baremetal / that loop", ratio, "x less", "<= 2")
    for design in ("v6", "unpinned", "unpinned-cold"):
        seconds, result, _ = _best(None, design)
        vcpu = result.vcpus[0]
        selected = vcpu.ledgers.selections.selected
        changes = vcpu.stops + vcpu.traps + vcpu.ordinary_exits
        beyond = max(0.0, seconds - selected * per_sample) * 1e6
        at = f"quickstart, {design}"
        line("targeted", at, seconds / selected * 1e9, "ns/sample")
        line("targeted", f"{at}: a stop, trap or exit", beyond / changes, "µs", "<= 10")
        line("targeted", f"{at}: an engine event", beyond / result.engine_events, "µs")
        assert changes > 1000


def _resident() -> float:
    """MiB of files that this process has mapped and in memory."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(x for x in status if x.startswith("RssFile")).split()[1]) / 1024


@pytest.mark.parametrize("times", [1, 7, 55])
def test_long_recordings(times: int, tmp_path: Path) -> None:
    """`mix` so many times over, up to 1e9 recorded ops: build, ns a sample, memory."""
    core = get_preset(CORE)
    mix = read_spestream(Path(_MIX))
    index.build_index(mix, core, False)  # compiled
    ids, addresses = np.tile(mix.ids, times), np.tile(mix.addresses, times)
    recording = replace(mix, ops=mix.ops * times, ids=ids, addresses=addresses)
    began = time.process_time()
    arrays, symbols, name = index.build_index(recording, core, False)
    built = time.process_time() - began
    facts = {"symbols": symbols, "name": name, "build_seconds": 0.0}
    entries.keep(tmp_path / "index", "key", arrays, facts)
    del arrays, recording, ids, addresses
    gc.collect()
    before = _resident()
    kept = index._kept(tmp_path / "index", "key")
    stream = index.stream_of_index(kept, core, repeat=max(1, 112 // times), exclude_kernel=True)
    seconds, result, _ = _best(stream, "baremetal", times=1)
    at = f"{stream.ops / stream.repeat:.1e} recorded ops"
    line("targeted", f"{at}: index", stream.ops / stream.repeat / built / 1e6, "M ops/s", ">= 100")
    per_sample = seconds / result.vcpus[0].ledgers.selections.selected * 1e9
    line("targeted", at, per_sample, "ns/sample", "flat")
    goal = "<= 300 in all" if times == 55 else "(own line)"
    line("targeted", f"{at}: mapped and resident", _resident() - before, "MiB", goal)
    assert per_sample > 0
