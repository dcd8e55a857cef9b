"""Streams made from a profile have its shares, times and latencies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim import laws
from sim.workload.arrays import LEVEL_STRIDE, OP, POP, TICK
from sim.workload.capture.profile import Phase, Static
from sim.workload.presets import get_preset
from sim.workload.profiled import MAX_BODY, next_prime
from tests.sim.workload.capture.made import small, stream_of


def test_shares_of_the_stream_are_those_of_the_records() -> None:
    """In each phase and exception level, a symbol has its share to within one op of the loop; the
    ops are those that the records stand for."""
    made = small()
    got = stream_of(made)
    counts = got.pass_counts.reshape(-1, LEVEL_STRIDE)
    assert abs(got.ops - made.ops) < 0.001 * made.ops
    want = np.zeros_like(counts)
    for phase in made.phases:
        for static, level, n in phase.cells:
            want[static, level] += n * made.ops_per_record
    assert np.abs(counts - want).max() <= 0.001 * made.ops
    assert (counts > 0).tolist() == (want > 0).tolist()


def test_kernel_code_is_in_the_population_only_if_asked_for() -> None:
    """EL1 records are EL1 ops: `exclude_kernel` takes them out of the population."""
    both, user = stream_of(small()), stream_of(small(), exclude_kernel=True)
    assert both.size(OP) == both.size(POP) == user.size(OP)
    gone = user.size(OP) - user.size(POP)
    assert abs(gone - 50 * 1025) < 0.01 * 50 * 1025


def test_time_per_op_is_the_captures() -> None:
    """A phase with a time takes it; one without takes the core's throughput."""
    made = small()
    timed = stream_of(replace(made, phases=made.phases[:1]))
    assert timed.size(TICK) / timed.ops == pytest.approx(333_333e-15 * 3e9 * 64, rel=1e-4)
    plain = stream_of(replace(made, phases=(Phase(None, ((1, 0, 100),)),)))
    assert plain.size(TICK) == plain.ops * int(get_preset("neoverse-n1").throughput_ticks()[0])


def test_latencies_are_the_captures() -> None:
    """Captured quantiles replace the preset's in their class and level, and nowhere else."""
    preset = get_preset("neoverse-n1").latency_laws().reshape(-1, laws.STRIDE)
    table = stream_of(small()).latency().reshape(-1, laws.STRIDE)
    mine = 1 * LEVEL_STRIDE + 2
    seen = np.array([64 * max(1, c) for c in range(256)])
    assert table[mine].tolist() == laws.measured(seen).tolist()
    others = np.arange(table.shape[0]) != mine
    assert (table[others] == preset[others]).all()


def test_many_small_cells_keep_their_symbols_share() -> None:
    """A symbol of 200,000 addresses with one record each is not rounded away."""
    many = 200_000
    statics = (*(Static(4 * k, 0, 0, 0, 0) for k in range(many)), Static(9 << 40, 0, 0, 0, 1))
    cells = (*((k, 0, 1) for k in range(many)), (many, 0, many))
    got = stream_of(small(statics=statics, phases=(Phase(None, cells),)))
    per_static = got.pass_counts.reshape(-1, LEVEL_STRIDE).sum(axis=1)
    assert abs(int(per_static[:many].sum()) - got.ops // 2) <= got.ops // MAX_BODY + 1


def test_next_prime() -> None:
    """Smallest prime from a number on."""
    assert [next_prime(n) for n in (0, 2, 4, 14, 131_071)] == [2, 2, 5, 17, 131_071]
