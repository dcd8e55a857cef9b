"""Stretches of a block that are committed whole, against their definition, op by op."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sim.spe import compiled as k
from tests.entered import entered

I64 = NDArray[np.int64]
_is_clear, _clear_until = entered(k._is_clear), entered(k._clear_until)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[I64, I64, I64]:
    """Ticks of selection, of completion, and bytes written, of a few candidates."""
    gaps = draw(st.lists(st.integers(0, 4), min_size=1, max_size=9))
    tick = np.cumsum(np.array(gaps, np.int64))
    takes = draw(st.lists(st.integers(0, 5), min_size=tick.size, max_size=tick.size))
    octets = draw(st.lists(st.sampled_from([0, 64]), min_size=tick.size, max_size=tick.size))
    return tick, tick + np.array(takes, np.int64), np.array(octets, np.int64)


def _of(*rows: list[int]) -> tuple[I64, I64, I64]:
    tick, busy, octets = (np.array(row, np.int64) for row in rows)
    return tick, busy, octets


@settings(deadline=None, max_examples=400)
@given(blocks())
@example(_of([0, 5], [6, 9], [64, 64]))  # the last pair
@example(_of([0, 5], [5, 9], [64, 64]))  # completion and selection at one tick
@example(_of([0, 5, 9], [6, 8, 9], [0, 0, 0]))  # the first pair
def test_a_clear_block_has_no_collision(block: tuple[I64, I64, I64]) -> None:
    """Each but the last completes before the next is selected, or at that tick."""
    tick, busy, _ = block
    pairs = zip(busy[:-1], tick[1:], strict=True)
    assert _is_clear(tick, busy, tick.size) == all(done <= chosen for done, chosen in pairs)


@settings(deadline=None, max_examples=400)
@given(blocks(), st.integers(0, 400), st.integers(1, 40), st.data())
def test_a_stretch_ends_at_the_first_obstacle(
    block: tuple[I64, I64, I64], room: int, horizon: int, data: st.DataObject
) -> None:
    """A collision, the horizon, or a record that does not fit before a further one is selected."""
    tick, busy, octets = block
    first = data.draw(st.integers(0, tick.size - 1))
    end, used = first + 1, 0
    while end < tick.size:
        used += int(octets[end - 1])
        if busy[end - 1] > tick[end] or tick[end] >= horizon or used > room:
            break
        end += 1
    assert _clear_until(tick, busy, octets, room, horizon, first, tick.size) == end
