"""What a level executes next, and which conditional branches went on at the next instruction."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sim.spe.collect import EV_NOT_TAKEN
from sim.spe.record import CoreFacts, expand
from sim.workload.arrays import EL, OP, SEG_INFO, Stream
from sim.workload.following import branch_places, count_not_taken, following
from sim.workload.presets import get_preset
from tests.entered import entered
from tests.exact import random_machines as made

N1 = get_preset("neoverse-n1")
_following = entered(following)
FACTS = CoreFacts(N1.level_events(), N1.level_source(), 4095)
SEEDS = range(40)


def _levels(stream: Stream) -> list[int]:
    """Exception level of each op."""
    tables = stream.arrays.tables
    segments = [stream.seek(OP, op).segment for op in range(stream.ops)]
    return [int(tables[tables[SEG_INFO] + 4 * segment + EL]) for segment in segments]


@pytest.mark.parametrize("seed", SEEDS)
def test_counts_are_those_of_a_walk_over_every_op(seed: int) -> None:
    """Whole passes and a rest, over handlers and to the stream's end: by what records say."""
    stream = made.stream(random.Random(seed), dense=True)
    ops = np.arange(stream.ops)
    records = expand(stream, np.stack([ops, ops, ops], axis=1), FACTS, 7, 0, 1)
    fell = (records["events"] & EV_NOT_TAKEN) != 0
    members = np.array([stream.pop(op + 1) - stream.pop(op) for op in range(stream.ops)])
    for end in {0, 1, stream.ops // 2, stream.ops // stream.repeat, stream.ops - 1, stream.ops}:
        found = np.zeros(stream.statics * 8, np.int64)
        count_not_taken(stream, end, found)
        due = np.zeros_like(found)
        for op in np.flatnonzero(fell[:end] & (members[:end] > 0)):
            due[int(records["insn"][op]) * 8 + int(records["level"][op])] += 1
        assert found.tolist() == due.tolist(), (seed, end)


def test_the_machines_have_what_is_counted() -> None:
    """A control: conditional branches that fall through, in several of them."""
    counts = []
    for seed in SEEDS:
        stream = made.stream(random.Random(seed), dense=True)
        found = np.zeros(stream.statics * 8, np.int64)
        count_not_taken(stream, stream.ops, found)
        counts.append(int(found.sum()))
    assert sum(count > 10 for count in counts) > len(SEEDS) // 3


@pytest.mark.parametrize("seed", range(8))
def test_a_handler_is_no_target(seed: int) -> None:
    """The next op at the same exception level, by looking at all of them; -1 if there is none."""
    stream = made.stream(random.Random(seed), dense=True)
    levels, at = _levels(stream), np.empty(4, np.int64)
    for op in range(0, stream.ops, max(1, stream.ops // 60)):
        later = (k for k in range(op + 1, stream.ops) if levels[k] == levels[op])
        after = next(later, None)
        due = -1 if after is None else stream.seek(OP, after).static
        assert _following(stream.arrays, op, levels[op], np.int64(-1), at)[0] == due


def test_places_mark_conditional_branches_alone() -> None:
    """Bit 0; the rest is the PC."""
    stream = made.stream(random.Random(3), dense=True)
    places = branch_places(stream)
    conditional = (stream.static_class == 4) & (stream.static_payload & 1 != 0)
    assert (places & 1 == conditional).all()
    assert (places & ~3 == stream.static_pc.astype(np.int64)).all()
