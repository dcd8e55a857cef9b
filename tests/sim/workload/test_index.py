"""Recorded streams: the index, its cache, exact truth, and the kernel overlay."""

from __future__ import annotations

import random
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.draws import njit
from sim.machine.machine import simulate
from sim.machine.resolve import machine_spec
from sim.machine.run import Run
from sim.machine.spec import UnmapSpec
from sim.scenario.models.scenario import DESIGNS, Arm, Settings
from sim.scenario.models.workloads import KernelOverlay
from sim.workload import places
from sim.workload.arrays import OP, PLACE_MASK, POP, SLOT, TICK, Stream, index_of, read_only
from sim.workload.build import index_rows
from sim.workload.index import index_key, load_index, recorded_stream
from sim.workload.presets import get_preset
from sim.workload.spestream import read_spestream
from sim.workload.timing import memory_levels
from tests.rigs.machines import vary

THREAD = Path(str(files("scenarios") / "streams" / "threads.1.spestream"))
CLOCK = 3 * 10**9
OVERLAY = KernelOverlay.model_validate({"tick_every": "200us", "svc_ops": "900ops"})


@njit
def _divide(x: Any, n: Any) -> Any:
    return places.divide(x, n)


def _stream(
    overlay: KernelOverlay | None = None,
    *,
    micro_ops: bool = False,
    exclude: bool = True,
    repeat: int = 2,
) -> Stream:
    return recorded_stream(
        THREAD,
        repeat=repeat,
        core="neoverse-n1",
        exclude_kernel=exclude,
        micro_ops=micro_ops,
        overlay=overlay,
        clock_hz=CLOCK,
    )


@pytest.mark.parametrize("overlay", [None, OVERLAY], ids=["user", "with kernel"])
@pytest.mark.parametrize("micro_ops", [False, True])
@pytest.mark.parametrize("exclude", [False, True])
def test_positions_agree_on_all_axes(
    overlay: KernelOverlay | None, micro_ops: bool, exclude: bool
) -> None:
    """op ↔ tick ↔ population rank, at random ops of every kind of recorded stream."""
    stream = _stream(overlay, micro_ops=micro_ops, exclude=exclude)
    r = random.Random(1)
    for _ in range(400):
        op = r.randrange(stream.ops)
        place = stream.seek(OP, op)
        assert stream.seek(TICK, place.tick).op == op
        assert stream.op_at(place.tick) == op
        assert stream.op_at(place.tick + 1) == op + 1
        if stream.pop(op + 1) > place.pop:
            assert stream.op_of_pop(place.pop) == op
    assert int(stream.pass_counts.sum()) * stream.repeat == stream.size(POP)


@pytest.mark.parametrize("blocks", ["even", "skewed"])
def test_directory_finds_what_bisection_finds(blocks: str) -> None:
    """A look-up from any hint ends at the last entry that starts at or before the rank."""
    sizes = [5, 5] if blocks == "even" else [1, 4000]
    ids = np.repeat(np.array([0, 1, 0, 0], np.uint32), 3000)
    extent = np.zeros((2, 4), np.int64)
    extent[:, OP] = extent[:, POP] = sizes
    rows, whole = index_rows(ids, extent, np.ones(ids.size, np.uint32))
    arrays = _stream().arrays._replace(index_at=read_only(rows))
    r = random.Random(3)
    for _ in range(3000):
        rest = r.randrange(int(whole[POP]))
        expected = int(np.searchsorted(rows[:, POP], rest, side="right")) - 1
        hint = r.choice([-1, 0, expected, r.randrange(rows.shape[0])])
        assert index_of(arrays, POP, rest, hint) == expected


@pytest.mark.parametrize("gap", [3, 700, 90_000, 5_000_000])
@pytest.mark.parametrize("micro_ops", [False, True])
def test_kernel_places_are_the_streams(gap: int, micro_ops: bool) -> None:
    """Any spacing of candidates, across segments, iterations and passes, and past the end."""
    stream = _stream(OVERLAY, micro_ops=micro_ops, exclude=False, repeat=30)
    r = random.Random(gap)
    start = stream.size(POP) - 200 * gap if gap < 90_000 else 0
    cand = np.cumsum([start, *(r.randrange(1, 2 * gap) for _ in range(255))])
    ops, tick, place = (np.zeros(cand.size, np.int64) for _ in range(3))
    base = np.zeros(4, np.int64)
    places.places_of(stream.arrays, stream.size(POP), base, -1, cand, ops, tick, place, cand.size)
    for j, rank in enumerate(cand.tolist()):
        if rank >= stream.size(POP):
            assert (ops[j], tick[j], place[j]) == (-1, places.FOREVER, 0)
            continue
        expected = stream.seek(POP, rank)
        found = (int(place[j] & PLACE_MASK) >> 8, int(place[j]) & 255)
        assert (ops[j], tick[j]) == (expected.op, expected.tick)
        assert found == (expected.static, expected.level)


def test_division_is_exact() -> None:
    """The kernel's floating-point division, at the edges of quotients and near 2^62."""
    r = random.Random(5)
    for _ in range(20_000):
        n = r.randrange(1, 1 << r.randrange(1, 62))
        q = r.randrange(0, ((1 << 62) - 1) // n + 1)
        for x in (q * n - 1, q * n, q * n + 1, q * n + n - 1):
            if 0 <= x < 1 << 62:
                assert _divide(x, n) == x // n


def test_ops_are_the_recorded_ones() -> None:
    """Every op of a stretch has the recording's pc, and its access the cache model's level."""
    recording, stream = read_spestream(THREAD), _stream()
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


def test_truth_is_exact_on_any_interval() -> None:
    """Counts over [a, b) equal a walk over its ops, across the border of two passes."""
    stream = _stream(OVERLAY)
    size = stream.ops // 2
    begin, end = size - 1500, size + 1500
    counts = np.zeros(stream.statics * 8, np.int64)
    stream.count(begin, end, counts)
    walked = np.zeros_like(counts)
    for op in range(begin, end):
        if stream.pop(op + 1) > stream.pop(op):
            place = stream.seek(OP, op)
            walked[place.static * 8 + place.level] += 1
    assert (counts == walked).all()


def test_long_intervals_equal_the_sum_of_short_ones() -> None:
    """Checkpoints: counts over a million ops equal those of 1,000-op pieces."""
    stream = _stream(OVERLAY)
    begin, end = 123_457, 1_423_499
    at_once = np.zeros(stream.statics * 8, np.int64)
    stream.count(begin, end, at_once)
    pieces = np.zeros_like(at_once)
    cuts = [*range(begin, end, 1000), end]
    stream.count_intervals(np.column_stack([cuts[:-1], cuts[1:]]), pieces)
    assert (at_once == pieces).all()


def test_overlay_adds_kernel_ops_with_a_masked_prefix() -> None:
    """EL1 entries at ticks: executed, not in a /u population, masked at their beginning."""
    plain, overlaid = _stream(), _stream(OVERLAY)
    added = overlaid.ops - plain.ops
    assert added > 0
    assert overlaid.size(POP) == plain.size(POP)
    assert overlaid.members(0, overlaid.ops) == plain.ops
    assert {"[kernel] tick", "[kernel] svc", "[kernel] page fault"} <= set(overlaid.symbols)
    first = next(op for op in range(overlaid.ops) if overlaid.unmasked_from(op) != op)
    assert overlaid.unmasked_from(first) == first + OVERLAY.masked_prefix
    both = _stream(OVERLAY, exclude=False)
    assert both.size(POP) == overlaid.ops


def test_first_access_to_a_page_faults() -> None:
    """One entry per data page and pass, right before the op that touches the page first."""
    overlay = KernelOverlay.model_validate({"tick_every": "100s", "fault_ops": "70ops"})
    plain, stream = _stream(), _stream(overlay)
    recording = read_spestream(THREAD)
    pages = recording.addresses >> np.uint64(12)
    _, first = np.unique(pages, return_index=True)
    svc = stream.ops - plain.ops - 2 * 70 * first.size
    assert svc >= 0
    assert svc % overlay.svc_ops == 0
    faulting = stream.symbols.index("[kernel] page fault")
    for slot in first.tolist():
        access = stream.seek(SLOT, slot)
        before = stream.seek(OP, access.op - 1)
        assert stream.static_symbol[before.static] == faulting
        assert stream.static_class[access.static] in (1, 2, 3)


def test_index_is_cached_by_content_and_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Built once; another file, core model or population has another address."""
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path))
    preset = get_preset("neoverse-n1")
    first = load_index(THREAD, preset, False)
    homes = list((tmp_path / "index").iterdir())
    assert [home.name for home in homes] == [index_key(THREAD, preset, False)]
    stamp = (homes[0] / "ids.npy").stat().st_mtime_ns
    again = load_index(THREAD, preset, False)
    assert (homes[0] / "ids.npy").stat().st_mtime_ns == stamp
    assert (again.arrays["index_at"] == first.arrays["index_at"]).all()
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
    stream = _stream(OVERLAY, exclude=False)
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
