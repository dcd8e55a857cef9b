"""Whole machines: 64 vCPUs for one second of guest time under every preset.

Seconds are CPU seconds: a simulation is one thread, and runs of minutes are seldom undisturbed.
"""

from __future__ import annotations

import time
import tracemalloc
from functools import cache
from pathlib import Path

import pytest

from sim.machine import resolve
from sim.machine.machine import simulate
from sim.machine.run import Run
from sim.scenario.files import loader
from sim.scenario.models.scenario import DESIGNS
from tests.benchmarks.recording import line

pytestmark = [pytest.mark.bench, pytest.mark.simulation]
TEXT = """\
workload:
  kind: synthetic
  phases: [{{name: loop, length: 100, iterations: 450000, cpi_millis: 667}}]
  repeat: 100
spe: {{jitter: on}}
vm: {{vcpus: 64}}
host: {{memlock: 8GiB}}
arms: [{{design: {design}}}]
"""
"""4.5e9 ops at 3 GHz and 0.667 cycles an op: a second. Exits and unmaps at their defaults.

What a state change costs is the time beyond that of the samples alone, by stop, trap or exit.
"""


@cache
def _sample_seconds(folder: Path) -> float:
    """Of one sample where almost nothing else happens: one CPU with a large buffer."""
    path = folder / "one.yaml"
    path.write_text(TEXT.format(design="baremetal"))
    arm = loader.load(path, ["vm.vcpus=1", "driver.aux=256MiB"]).arms[0]
    stream = resolve.stream_of(arm.settings)
    spec = resolve.machine_spec(arm, stream)
    began = time.process_time()
    result = simulate(spec, (stream,), Run("bench", 1, 0), "fast")
    seconds = time.process_time() - began
    return seconds / result.vcpus[0].ledgers.selections.selected


@pytest.mark.parametrize("design", sorted(DESIGNS))
def test_64_vcpus_for_a_second(
    design: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """CPU seconds, what a state change costs, and the memory of Python's objects."""
    path = tmp_path / "s.yaml"
    path.write_text(TEXT.format(design=design))
    arm = loader.load(path).arms[0]
    stream = resolve.stream_of(arm.settings)
    spec = resolve.machine_spec(arm, stream)
    run = Run(design, 1, 0)
    tracemalloc.start()
    try:
        simulate(spec, (stream,), Run(design, 1, 0, stop_at=(10_000_000,) * spec.vcpus), "fast")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    began = time.process_time()
    result = simulate(spec, (stream,), run, "fast")
    seconds = time.process_time() - began
    samples = sum(v.ledgers.selections.selected for v in result.vcpus)
    changes = sum(v.stops + v.traps + v.ordinary_exits for v in result.vcpus)
    at = f"64 vCPUs x 1 s, {design}"
    line("simulation", at, seconds, "CPU s")
    line("simulation", f"{at}: samples", samples / seconds / 1e6, "M samples/s")
    line("simulation", f"{at}: stops, traps and exits", changes, "")
    line("simulation", f"{at}: engine events", result.engine_events, "")
    beyond = max(0.0, seconds - samples * _sample_seconds(tmp_path_factory.getbasetemp()))
    line("simulation", f"{at}: per state change", beyond / max(1, changes) * 1e6, "µs")
    line("simulation", f"{at}: peak of Python's memory", peak / (1 << 20), "MiB")
    assert samples > 0
    assert min(v.ended_at_op for v in result.vcpus) > 0
