"""Speed as ratios of one run, printed by `make bench`; nothing here asserts a wall-clock time.

Targeted: one design at one window. Simulation: whole arms. Each line gives what was measured, the
ratio and the target that the project holds itself to.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

import pytest

from sim.engine import Engine, Kind, Process
from sim.linux.aux import Geometry
from sim.machine.machine import simulate
from sim.machine.resolve import machine_spec, stream_of
from sim.machine.run import Run
from sim.machine.spec import MachineSpec, UnmapSpec
from sim.results import RunResult
from sim.scenario.models.scenario import DESIGNS, Arm, Settings
from sim.workload.arrays import Stream
from sim.workload.index import build_index
from sim.workload.presets import get_preset
from sim.workload.spestream import read_spestream
from tests.benchmarks.recording import line
from tests.rigs.machines import vary

pytestmark = [pytest.mark.bench, pytest.mark.targeted]
PAGE = 4096
_RUN = Run("bench", 20260101, 0)
_MIX = str(files("scenarios") / "streams" / "mix.spestream")


def _synthetic(iterations: int, repeat: int = 1, interval: str = "1024ops") -> Settings:
    phase = {"name": "loop", "length": 100, "iterations": iterations}
    workload = {"kind": "synthetic", "phases": [phase], "repeat": repeat}
    return Settings.model_validate(
        {
            "workload": workload,
            "spe": {"jitter": "on", "interval": interval},
            "vm": {"exits": "0/s"},
            "driver": {"mode": "cpu"},
        }
    )


def _recorded(repeat: int) -> Settings:
    workload = {
        "kind": "recorded",
        "path": _MIX,
        "repeat": repeat,
    }
    return Settings.model_validate(
        {
            "workload": workload,
            "spe": {"jitter": "on"},
            "vm": {"exits": "0/s"},
            "driver": {"mode": "cpu"},
        }
    )


def _spec(settings: Settings, stream: Stream, design: str, window: int) -> MachineSpec:
    arm = Arm(name=design, design=design, policies=DESIGNS[design][0], settings=settings)
    spec = machine_spec(arm, stream)
    return vary(spec, aux=Geometry(2 * window, PAGE, window))


def _seconds(action: Callable[[], RunResult], times: int = 3) -> tuple[float, RunResult]:
    """Best of a few, after one warm-up."""
    result = action()
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        result = action()
        best = min(best, time.perf_counter() - began)
    return best, result


def _ns_per_sample(
    settings: Settings, engine: str, design: str, window: int, unmap: str = "never", times: int = 3
) -> float:
    stream = stream_of(settings)
    spec = vary(_spec(settings, stream, design, window), unmap=UnmapSpec(unmap))
    seconds, result = _seconds(lambda: simulate(spec, (stream,), _RUN, engine), times)
    return seconds / result.vcpus[0].ledgers.selections.selected * 1e9


_line = partial(line, "targeted")


@pytest.mark.parametrize(("window", "target"), [(64 << 10, 200), (2 << 20, 1000)])
@pytest.mark.parametrize(("design", "unmap"), [("baremetal", "never"), ("v6", "never")])
def test_fast_over_reference(window: int, target: int, design: str, unmap: str) -> None:
    """fast / reference on a synthetic stream."""
    slow = _ns_per_sample(_synthetic(1_000_000), "reference", design, window, unmap, 2)
    quick = _ns_per_sample(_synthetic(1_000_000, repeat=300), "fast", design, window, unmap)
    goal = f">= {target}" if design == "baremetal" else "(own line)"
    at = f"{design}, {window >> 10} KiB window"
    _line(f"{at}: fast/reference", slow / quick, "x", goal)
    _line(f"{at}: fast", quick, "ns/sample")
    _line(f"{at}: reference", 1e3 / slow, "M samples/s", ">= 0.12")
    assert slow > 0 < quick


def test_always_cold() -> None:
    """A fault in every page: bound by state changes."""
    slow = _ns_per_sample(_synthetic(300_000), "reference", "unpinned", 64 << 10, "per_window", 2)
    quick = _ns_per_sample(_synthetic(3_000_000), "fast", "unpinned", 64 << 10, "per_window")
    _line("always cold, 64 KiB window: fast/reference", slow / quick, "x", "(own line)")
    _line("always cold, 64 KiB window: fast", quick, "ns/sample")
    assert slow > 0 < quick


def _index_seconds() -> float:
    """Building the index of the shipped mix, compiled and decoded."""
    recording = read_spestream(Path(_MIX))
    build_index(recording, get_preset("neoverse-n1"), False)
    began = time.perf_counter()
    build_index(recording, get_preset("neoverse-n1"), False)
    return time.perf_counter() - began


def test_recorded_stream() -> None:
    """The shipped mix, index built."""
    stream = stream_of(_recorded(1))
    slow = _ns_per_sample(
        _recorded(max(1, 100_000_000 // stream.ops)), "reference", "baremetal", 2 << 20, times=2
    )
    quick = _ns_per_sample(
        _recorded(max(1, 4_000_000_000 // stream.ops)), "fast", "baremetal", 2 << 20
    )
    _line("recorded mix, 2 MiB window: fast/reference", slow / quick, "x", ">= 50")
    _line("recorded mix, 2 MiB window: fast", quick, "ns/sample")
    _line("recorded mix: index", stream.ops / _index_seconds() / 1e6, "M ops/s")
    assert slow > 0 < quick


def _bare_simpy(events: int) -> float:
    engine = Engine()

    def ticking() -> Process:
        for _ in range(events):
            yield engine.at(1, Kind.STAGE, 0)

    done = engine.process(ticking())
    began = time.perf_counter()
    engine.run(done)
    return (time.perf_counter() - began) / events * 1e6


@pytest.mark.parametrize("design", ["baremetal", "v6", "unpinned"])
def test_state_changes(design: str) -> None:
    """µs per state change (a stop and its restart), against bare SimPy events."""
    settings = _synthetic(2_000_000)
    stream = stream_of(settings)
    spec = vary(_spec(settings, stream, design, PAGE), unmap=UnmapSpec("per_window"))
    seconds, result = _seconds(lambda: simulate(spec, (stream,), _RUN, "fast"))
    stops = result.vcpus[0].stops
    bare = _bare_simpy(100_000)
    events = result.engine_events / stops
    _line(f"{design}: a stop and its restart", seconds / stops * 1e6, "µs")
    _line(f"{design}: engine events per stop", events, "")
    _line(f"{design}: the bare SimPy events of a stop", bare * events, "µs")
    assert stops > 0


def test_a_fault_on_every_record() -> None:
    """µs per fault, against the bare SimPy events that it needs."""
    settings = _synthetic(300_000)
    stream = stream_of(settings)
    spec = vary(_spec(settings, stream, "unpinned", 2 << 20), unmap=UnmapSpec("per_record"))
    quick, result = _seconds(lambda: simulate(spec, (stream,), _RUN, "fast"))
    slow, same = _seconds(lambda: simulate(spec, (stream,), _RUN, "reference"), 1)
    faults = result.vcpus[0].stops
    events = result.engine_events / faults
    _line("a fault on every record: fast/reference", slow / quick, "x", ">= 20")
    _line("a fault on every record: a fault", quick / faults * 1e6, "µs")
    _line("a fault on every record: engine events per fault", events, "")
    _line("a fault on every record: its bare SimPy events", _bare_simpy(100_000) * events, "µs")
    assert same.vcpus[0].stops == faults > 1000


def test_cost_is_flat_in_ops() -> None:
    """1e8 to 1e12 ops at a fixed number of samples."""
    for power in (8, 10, 12):
        repeat = 10 ** (power - 8)
        settings = _synthetic(1_000_000, repeat=repeat, interval=f"{1024 * repeat}ops")
        stream = stream_of(settings)
        spec = _spec(settings, stream, "baremetal", 64 << 10)
        seconds, result = _seconds(partial(simulate, spec, (stream,), _RUN, "fast"))
        selected = result.vcpus[0].ledgers.selections.selected
        _line(f"1e{power} ops, about 95,000 samples", seconds * 1e3, "ms", "flat")
        assert 80_000 < selected < 100_000


def test_memory_is_flat() -> None:
    """Peak Python memory of a short and of a long run."""
    peaks = []
    for repeat in (1, 100):
        settings = _synthetic(300_000, repeat=repeat)
        stream = stream_of(settings)
        spec = _spec(settings, stream, "baremetal", 64 << 10)
        simulate(spec, (stream,), _RUN, "fast")
        tracemalloc.start()
        simulate(spec, (stream,), _RUN, "fast")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    for times, peak in zip((1, 100), peaks, strict=True):
        _line(f"peak memory, {times}x run length", peak / 1024, "KiB", "flat")
    assert peaks[1] < 2 * peaks[0]
