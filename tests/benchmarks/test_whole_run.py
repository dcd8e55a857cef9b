"""The fast engine against the least that could be done: one compiled loop over the whole run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sim.ledger import OpLabel
from sim.machine.machine import simulate
from sim.machine.resolve import stream_of
from tests.benchmarks import whole_run
from tests.benchmarks.recording import line
from tests.benchmarks.test_speed import _RUN, _seconds, _spec, _synthetic

pytestmark = [pytest.mark.bench, pytest.mark.targeted]


@pytest.mark.parametrize(("window", "target"), [(64 << 10, "<= 2"), (2 << 20, "(own line)")])
def test_against_the_compiled_loop(window: int, target: str, tmp_path: Path) -> None:
    """The same samples, bit for bit in both histograms, made by C in one loop."""
    settings = _synthetic(1_000_000, repeat=100)
    stream = stream_of(settings)
    spec = _spec(settings, stream, "baremetal", window)
    seconds, result = _seconds(partial(simulate, spec, (stream,), _RUN, "fast"))
    found = result.vcpus[0]
    selections = found.ledgers.selections
    started = found.ledgers.ops.by_label[OpLabel.BEFORE_START]
    library = whole_run.build(tmp_path)
    loops = [whole_run.whole_run(library, spec, stream, _RUN, started) for _ in range(4)][1:]
    loop = min(loops, key=lambda done: done.seconds)
    assert (loop.selected, loop.collided) == (selections.selected, selections.collided)
    assert loop.stops == found.stops
    assert np.array_equal(loop.histogram, found.profile)
    at = f"{window >> 10} KiB window"
    line("targeted", f"{at}: fast engine / compiled loop", seconds / loop.seconds, "x less", target)
    line("targeted", f"{at}: compiled loop", loop.seconds / loop.selected * 1e9, "ns/sample")


def test_against_an_event_per_op() -> None:
    """Equivalent ops per second of the engine and of one SimPy event an op."""
    seconds = min(whole_run.per_op_simpy(200_000, 1024) for _ in range(3))
    settings = _synthetic(1_000_000, repeat=100)
    stream = stream_of(settings)
    spec = _spec(settings, stream, "baremetal", 64 << 10)
    ours, _ = _seconds(partial(simulate, spec, (stream,), _RUN, "fast"))
    naive, engine = 200_000 / seconds, stream.ops / ours
    line("targeted", "one SimPy event an op", naive / 1e6, "M ops/s")
    line("targeted", "fast engine, 64 KiB window", engine / 1e6, "M ops/s")
    line("targeted", "fast engine / one SimPy event an op", engine / naive, "x")
    assert engine > naive


@pytest.mark.parametrize("vcpus", [1, 8, 64])
def test_scaling_over_vcpus(vcpus: int) -> None:
    """A vCPU costs the same however many there are."""
    settings = _synthetic(1_000_000)
    settings = settings.model_copy(update={"vm": settings.vm.model_copy(update={"vcpus": vcpus})})
    stream = stream_of(settings)
    spec = _spec(settings, stream, "v6", 64 << 10)
    seconds, result = _seconds(partial(simulate, spec, (stream,) * vcpus, _RUN, "fast"), 2)
    assert len(result.vcpus) == vcpus
    line("targeted", f"v6, {vcpus} vCPUs: per vCPU", seconds / vcpus * 1e3, "ms", "flat")


@pytest.mark.parametrize("power", [5, 6, 7])
def test_scaling_over_samples(power: int) -> None:
    """A sample costs the same however many there are."""
    settings = _synthetic(1_025 * 10 ** (power - 2))
    stream = stream_of(settings)
    spec = _spec(settings, stream, "baremetal", 2 << 20)
    seconds, result = _seconds(partial(simulate, spec, (stream,), _RUN, "fast"))
    selected = result.vcpus[0].ledgers.selections.selected
    line("targeted", f"baremetal, 1e{power} samples", seconds / selected * 1e9, "ns/sample", "flat")
    assert selected > 8 * 10 ** (power - 1)
