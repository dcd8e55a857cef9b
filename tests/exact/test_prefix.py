"""The compiled kernel is prefix-consistent: to H1 and then to H2 gives the bits of going to H2.

Any split of the horizon and any limit on candidates must be invisible in the records, the pages
and the state, whatever path (block or scan) a call takes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from sim import draws
from sim.engine import Engine, WorkClock
from sim.machine.spec import MachineSpec
from sim.results import RecordSink
from sim.spe import compiled as k
from sim.spe import fast
from sim.spe.buffer import Stop
from sim.spe.select import Interval, IntervalCounter, Jitter, TargetBias, target_distances
from sim.spe.selection import Selection
from sim.spe.spu import SamplerConfig
from sim.workload.arrays import LEVEL_STRIDE, POP, TICK, Stream
from sim.workload.following import branch_places
from tests.exact import random_machines as made

SCRATCH_STATE = (k.ROWS, k.AT, k.PACE)  # output count of the last call, and hints
SPLITS = 4


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything a kernel call reads."""

    stream: Stream
    config: NDArray[np.int64]
    sizes: NDArray[np.uint8]
    tracked: NDArray[np.int64] | None
    pages: NDArray[np.uint8]
    state: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class End:
    """What a sequence of calls came to."""

    status: int
    state: list[int]
    pages: list[int]
    rows: list[list[int]]
    places: list[int]


def _counter(r: random.Random, interval: Interval) -> IntervalCounter:
    """PMSICR somewhere within an interval, as a stop would have saved it."""
    counter = IntervalCounter(interval, count=r.randrange(interval.ops + 1))
    for _ in range(r.randrange(3)):
        counter.advance(r.randrange(1, counter.until_selection() + 1))
    counter.enable()
    return counter


def _never(stop: Stop, op: int) -> None:
    raise AssertionError(f"the kernel is called without a machine: {stop}, {op}")


def _setup(seed: int) -> Setup:
    r = random.Random(seed)
    stream = made.stream(r, dense=r.random() < 0.5)
    spec = made.spec(r, stream, dense=r.random() < 0.5)
    interval = Interval(
        spec.spu.interval, spec.spu.jitter, draws.key(seed, 0, 0, "i"), spec.spu.jitter_mask
    )
    bias, selection = _tracking(seed, spec, stream)
    config = SamplerConfig(
        interval,
        draws.key(seed, 0, 0, "l"),
        spec.spu.in_flight,
        spec.spu.filter,
        12,
        zap_after_write=r.random() < 0.2,
        resync=False,
        layout=spec.spu.layout,
        bias=bias,
        selection=selection,
    )
    missing = r.choice([0, 0.2])
    pages = np.array([int(r.random() >= missing) for _ in range(16)], np.uint8)
    sink = RecordSink(True)
    sampler = fast.MacroSampler(Engine(), 0, WorkClock(), stream, config, pages, sink, _never)
    sampler.counter = _counter(r, interval)
    sampler._lay_out(r.randrange(max(1, stream.size(POP) // 2)))
    align, most = spec.spu.layout.align, spec.spu.layout.max_size
    sampler.pointer = align * r.randrange(15 * 4096 // align)
    sampler.limit = max(sampler.pointer + most, 4096 * r.randrange(1, 17))
    sizes = spec.spu.filter.passes * spec.spu.layout.sizes(stream.static_class)
    tracked = fast._tracked(config, stream)
    return Setup(stream, sampler._config, sizes, tracked, pages, sampler._state)


def _tracking(
    seed: int, spec: MachineSpec, stream: Stream
) -> tuple[TargetBias | None, Selection | None]:
    if spec.spu.selection:
        weights = spec.spu.selection
        return None, Selection(draws.key(seed, 0, 0, "s"), weights.window, weights.keep)
    distance = target_distances(stream, spec.spu.target_bias_reach)
    return TargetBias(draws.key(seed, 0, 0, "b"), spec.spu.target_bias_per_mille, distance), None


def _advance(setup: Setup, horizons: list[int], chunks: list[int]) -> End:
    """Call the kernel up to each horizon, with these candidate limits in turn."""
    state, pages = setup.state.copy(), setup.pages.copy()
    size = max(chunks) + k.MAX_IN_FLIGHT
    places, rows = np.empty(size, np.int64), np.empty((size, k.ROW_FIELDS), np.int64)
    scratch, branches = np.empty(k.SCRATCH, np.int64), branch_places(setup.stream)
    kept_rows: list[list[int]] = []
    kept_places: list[int] = []
    calls, status = 0, k.HORIZON
    for horizon in horizons:
        status = k.EXHAUSTED
        while status == k.EXHAUSTED:
            status = int(
                k.advance(
                    setup.stream.arrays,
                    setup.config,
                    setup.sizes,
                    setup.tracked,
                    branches,
                    pages,
                    state,
                    places,
                    rows,
                    scratch,
                    horizon,
                    chunks[calls % len(chunks)],
                )
            )
            calls += 1
            kept_rows += rows[: state[k.ROWS]].tolist()
            kept_places += places[: state[k.ROWS]].tolist()
            state[k.ROWS] = 0
        if status != k.HORIZON:
            break
    kept = state.copy()
    kept[list(SCRATCH_STATE)] = 0
    kept[k.FLIGHT + k.FLIGHT_FIELDS * int(kept[k.FLYING]) :] = 0  # slots nobody is in
    if status == k.HORIZON:
        kept[[k.STOP_WORK, k.STOP_OP]] = 0
    return End(status, kept.tolist(), pages.tolist(), kept_rows, kept_places)


@pytest.mark.parametrize("block", range(4))
def test_splits_are_invisible(block: int) -> None:
    """One call and many agree on records, pages, state and outcome."""
    seen = set()
    for seed in range(7000 + 100 * block, 7100 + 100 * block):
        setup, r = _setup(seed), random.Random(-seed)
        end = k.FOREVER if r.random() < 0.3 else r.randrange(1, setup.stream.size(TICK) + 2)
        whole = _advance(setup, [end], [100_000])
        for _ in range(SPLITS):
            cuts = sorted(r.randrange(1, min(end, setup.stream.size(TICK)) + 1) for _ in range(3))
            chunks = [r.choice([1, 2, 3, 7, 64, 513, 1000]) for _ in range(3)]
            assert _advance(setup, [*cuts, end], chunks) == whole, seed
        seen.add(whole.status)
    assert seen == {k.HORIZON, k.FULL, k.FAULT}


def test_a_cut_at_every_instant_of_a_record() -> None:
    """Horizons one tick before, at and after each selection and each write."""
    compared = 0
    for seed in range(7600, 7640):
        setup = _setup(seed)
        whole = _advance(setup, [k.FOREVER], [100_000])
        times = sorted({t + d for row in whole.rows[:20] for t in row[1:] for d in (-1, 0, 1)})
        if times:
            compared += 1
            assert _advance(setup, [*times, k.FOREVER], [100_000]) == whole, seed
            for cut in times:
                assert _advance(setup, [cut, k.FOREVER], [5]) == whole, (seed, cut)
    assert compared >= 20


def test_blocks_and_scans_agree() -> None:
    """Chunks of one candidate never make a block of more; a large one does: the same bits."""
    blocks = 0
    for seed in range(7700, 7860):
        setup = _setup(seed)
        one, many = (_advance(setup, [k.FOREVER], [chunk]) for chunk in (1, 100_000))
        assert one == many, seed
        blocks += len(many.rows) > 2 * k.MIN_STRETCH
    assert blocks >= 20


def test_the_histogram_is_that_of_the_places() -> None:
    """`count_places` counts static × LEVEL_STRIDE + level of every record's op."""
    for seed in range(7900, 7920):
        setup = _setup(seed)
        end = _advance(setup, [k.FOREVER], [100_000])
        counts = np.zeros(setup.stream.statics * LEVEL_STRIDE, np.int64)
        k.count_places(np.array(end.places, np.int64), 0, len(end.places), counts)
        expected = np.zeros_like(counts)
        for op, _, _ in end.rows:
            place = setup.stream.seek(0, op)
            expected[place.static * LEVEL_STRIDE + place.level] += 1
        assert counts.tolist() == expected.tolist()


def test_jitter_modes_are_all_drawn() -> None:
    """A control on the setups: every jitter mode and both kinds of body occur."""
    setups = [_setup(seed) for seed in range(7000, 7060)]
    assert {int(s.config[k.JITTER]) for s in setups} == {int(mode) for mode in Jitter}
    assert {s.stream.arrays.execs.size > 0 for s in setups} == {True, False}
