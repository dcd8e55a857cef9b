"""The compiled loop that the engine is timed against makes the same samples; no benchmark itself.

It has laws, jitter and windows as `whole_run.c` writes them: a second account of the sampler.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim.ledger import OpLabel
from sim.machine.machine import simulate
from sim.machine.resolve import stream_of
from tests.benchmarks import whole_run
from tests.benchmarks.test_speed import _RUN, _spec, _synthetic


@pytest.mark.parametrize(("interval", "window"), [("1024ops", 64 << 10), ("256ops", 4 << 10)])
def test_the_loop_samples_as_the_engine_does(interval: str, window: int, tmp_path: Path) -> None:
    """Both histograms bit for bit, stops and collisions, over 2e7 ops."""
    settings = _synthetic(100_000, repeat=2, interval=interval)
    stream = stream_of(settings)
    spec = _spec(settings, stream, "baremetal", window)
    found = simulate(spec, (stream,), _RUN, "fast").vcpus[0]
    selections = found.ledgers.selections
    started = found.ledgers.ops.by_label[OpLabel.BEFORE_START]
    loop = whole_run.whole_run(whole_run.build(tmp_path), spec, stream, _RUN, started)
    assert loop.selected == selections.selected > 10_000
    assert loop.collided == selections.collided
    assert loop.stops == found.stops > 0
    assert np.array_equal(loop.histogram, found.profile)
