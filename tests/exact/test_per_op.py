"""Both engines equal a machine that executes COUNT and ECOUNT op by op."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import draws
from sim.machine.machine import Machine, simulate
from sim.machine.run import Run
from sim.spe.select import Interval, IntervalCounter, Jitter
from sim.workload.arrays import OP, POP, SLOT, TICK, Stream
from tests.exact import random_machines as made
from tests.exact.per_op import PerOpTimer
from tests.rigs.machines import vary

MAX_OPS = 12_000


@pytest.mark.parametrize("block", range(8))
def test_per_op_model_agrees(block: int) -> None:
    """Ledgers, every record and every event time, on small random machines."""
    compared = 0
    for seed in range(1000 + 30 * block, 1030 + 30 * block):
        r = random.Random(seed)
        stream = made.stream(r, dense=True)
        if stream.ops > MAX_OPS:
            continue
        spec = vary(made.spec(r, stream, dense=True), resync=False)
        run = Run("x", seed, 0, True, True)
        literal = made.everything(Machine(spec, (stream,), run, PerOpTimer).run())
        quick = made.everything(simulate(spec, (stream,), run, "fast"))
        differing = [name for name, value in literal.items() if quick[name] != value]
        assert not differing, f"seed {seed}: {differing}"
        compared += 1
    assert compared >= 10


class _Literal:
    """PMSICR, one population op a call (`per_op` has the same, inside a machine)."""

    def __init__(self, interval: Interval) -> None:
        self.interval, self.count, self.ecount, self.drawn = interval, 0, 0, 0

    def byte(self) -> int:
        self.drawn += 1
        return self.interval.byte(self.drawn - 1)

    def step(self) -> bool:
        """One op: is it selected?"""
        ernd = self.interval.jitter is Jitter.ERND
        if self.count == 0:
            self.count = self.interval.ops
            self.count += self.byte() if self.interval.jitter is Jitter.RND else 0
        else:
            self.count -= 1
            if self.count == 0:
                if not ernd:
                    return True
                self.ecount = self.byte()
                return self.ecount == 0
        if ernd and self.ecount:
            self.ecount -= 1
            return self.ecount == 0
        return False


@given(
    st.integers(1, 40),
    st.sampled_from(list(Jitter)),
    st.integers(0, 2**64 - 1),
    st.lists(st.integers(1, 60), max_size=12),
    st.integers(0, 50),
)
def test_counter_jumps_equal_steps(
    ops: int, jitter: Jitter, key: int, jumps: list[int], start: int
) -> None:
    """`until_selection` and `advance` move over gaps as single steps would."""
    interval = Interval(ops, jitter, key, (1 << (ops.bit_length() - 1)) - 1)
    jumper, literal = IntervalCounter(interval, start), _Literal(interval)
    literal.count = start
    for jump in jumps:
        gap = jumper.until_selection()
        jump = min(jump, gap)
        selected = [literal.step() for _ in range(jump)]
        jumper.advance(jump)
        assert selected == [False] * (jump - 1) + [jump == gap]
        assert (jumper.count, jumper.ecount, jumper.drawn) == (
            literal.count,
            literal.ecount,
            literal.drawn,
        )


def test_resync_lays_one_sequence_in_population_ranks() -> None:
    """Selections of `resync` are a subset of a sorted array laid out from the first start."""
    checked = 0
    for seed in range(2000, 2600):
        r = random.Random(seed)
        stream = made.stream(r, dense=True)
        spec = made.spec(r, stream, dense=True)
        if not spec.spu.resync or (spec.spu.in_flight == 1 and spec.spu.filter.min_latency):
            continue
        # what slips or is moved is no point of the sequence
        spec = vary(spec, target_bias_per_mille=0, selection=None)
        result = simulate(spec, (stream,), Run("x", seed, 0, True, True), "fast")
        rows = result.vcpus[0].written
        if len(rows) < 3:
            continue
        points = _sequence(
            spec.event.period,
            spec.spu.interval,
            spec.spu.jitter,
            spec.spu.jitter_mask,
            seed,
            stream.size(POP),
        )
        start = next(op for _, what, op in result.vcpus[0].log if what == "START")
        first = stream.pop(start)
        offered = {stream.op_of_pop(first + point) for point in points}
        assert {int(op) for op in rows[:, 0]} <= offered
        checked += 1
    assert checked >= 10


def _sequence(
    period: int, interval: int, jitter: Jitter, mask: int, seed: int, end: int
) -> list[int]:
    """Ranks after the first start, from the definition: an oracle without a machine."""
    key = draws.key(seed, 0, 0, "interval")
    byte = [draws.splitmix64(key, j) & mask for j in range(end // max(1, interval) + 2)]
    if jitter is Jitter.ERND:
        grid = period - 1 + np.arange(len(byte)) * (interval + 1)
        return [int(g) + b for g, b in zip(grid, byte, strict=True)]
    gaps = [period - 1, *(interval + 1 + b for b in byte)]
    return [int(x) for x in np.cumsum(gaps)]


def test_queries_equal_a_walk() -> None:
    """seek, pop, tick, op_at, op_of_pop and count equal a walk over every op."""
    for seed in range(3000, 3030):
        r = random.Random(seed)
        stream = made.stream(r, dense=True)
        if stream.ops > MAX_OPS:
            continue
        at = [0, 0, 0, 0]
        weights = []
        for op in range(stream.ops):
            place = stream.seek(OP, op)
            assert (place.op, place.pop, place.tick, place.slot) == (
                op,
                at[POP],
                at[TICK],
                at[SLOT],
            )
            after = [stream.tick(op + 1), stream.pop(op + 1)]
            weights.append(after[1] - at[POP])
            assert stream.op_at(place.tick) == op
            assert stream.op_at(place.tick + 1) == op + 1
            assert stream.seek(TICK, after[0] - 1).op == op
            for rank in range(at[POP], after[1]):
                assert stream.op_of_pop(rank) == op
            at = [op + 1, after[1], after[0], _slots_after(stream, op, at[SLOT])]
        counts = np.zeros(stream.statics * 8, np.int64)
        begin, end = sorted((r.randrange(stream.ops), r.randrange(stream.ops + 1)))
        stream.count(begin, end, counts)
        assert counts.sum() == sum(weights[begin:end])
        assert (at[POP], at[TICK]) == (stream.size(POP), stream.size(TICK))


def _slots_after(stream: Stream, op: int, before: int) -> int:
    if op + 1 >= stream.ops:
        return before
    return int(stream.seek(OP, op + 1).slot)
