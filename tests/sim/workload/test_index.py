"""Recorded streams: the index, its cache, exact truth, and the kernel overlay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim.machine.machine import simulate
from sim.machine.resolve import machine_spec
from sim.machine.run import Run
from sim.machine.spec import UnmapSpec
from sim.scenario.models.scenario import DESIGNS, Arm, Settings
from sim.workload.arrays import OP
from sim.workload.index import index_key, load_index
from sim.workload.presets import get_preset
from sim.workload.spestream import read_spestream
from sim.workload.timing import memory_levels
from tests.rigs.machines import vary
from tests.sim.workload.recorded import OVERLAY, THREAD, recorded


def test_ops_are_the_recorded_ones() -> None:
    """Every op of a stretch has the recording's pc, and its access the cache model's level."""
    recording, stream = read_spestream(THREAD), recorded()
    blocks = recording.ids[:400]
    statics = np.concatenate(
        [
            np.arange(recording.block_first[b], recording.block_first[b] + recording.block_len[b])
            for b in blocks
        ]
    )
    levels = memory_levels(recording.addresses, None, get_preset("neoverse-n1"))
    for op, static in enumerate(statics):
        place = stream.seek(OP, op)
        assert place.static == static
        if place.level:
            assert place.level == levels[place.slot]


def test_index_is_cached_by_content_and_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Built once; another file, core model or population has another address."""
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path))
    preset = get_preset("neoverse-n1")
    first = load_index(THREAD, preset, False)
    homes = list((tmp_path / "index").iterdir())
    assert [home.name for home in homes] == [index_key(THREAD, preset, False)]
    stamp = (homes[0] / "execs.npy").stat().st_mtime_ns
    again = load_index(THREAD, preset, False)
    assert (homes[0] / "execs.npy").stat().st_mtime_ns == stamp
    assert (again.arrays["cells"] == first.arrays["cells"]).all()
    smaller = replace(preset, slc=replace(preset.slc, sets=preset.slc.sets // 2))
    keys = {
        index_key(THREAD, preset, False),
        index_key(THREAD, preset, True),
        index_key(THREAD, smaller, False),
        index_key(THREAD.with_name("threads.0.spestream"), preset, False),
    }
    assert len(keys) == 4


@pytest.mark.parametrize("design", ["baremetal", "v6", "unpinned"])
def test_engines_agree_on_a_recorded_stream(design: str) -> None:
    """Every record and event time, with kernel overlay, switches, exits and cold pages."""
    settings = Settings.model_validate(
        {
            "workload": {"kind": "recorded", "path": str(THREAD)},
            "spe": {"jitter": "on"},
            "driver": {"aux": "32KiB"},
            "switch": {"every": "150us", "away": "10us"},
            "vm": {"exits": "20000/s"},
        }
    )
    stream = recorded(OVERLAY, exclude=False)
    arm = Arm(name="x", design=design, policies=DESIGNS[design][0], settings=settings)
    spec = vary(machine_spec(arm, stream), unmap=UnmapSpec("per_window"))
    run = Run("x", 1, 0, keep_records=True, keep_log=True)
    slow = simulate(spec, (stream,), run, "reference").vcpus[0]
    quick = simulate(spec, (stream,), run, "fast").vcpus[0]
    assert len(slow.written) > 2000
    assert (slow.written == quick.written).all()
    assert slow.log == quick.log
    assert slow.ledgers == quick.ledgers
    assert (slow.lost == quick.lost).all()
