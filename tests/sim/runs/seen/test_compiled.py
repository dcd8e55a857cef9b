"""Loops over sampled ops and whole streams, against numpy and counters."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.runs.seen import compiled as c

N = 1500
"""Ops: more than are looked for together."""


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers each time."""
    return np.random.default_rng(11)


def test_a_page_key_is_the_page_and_whether_it_is_a_store(rng: np.random.Generator) -> None:
    """In the order of the ops, without those that access nothing or page 0."""
    addresses = rng.integers(0, 1 << 15, 300).astype(np.uint64)
    store = rng.integers(0, 2, 40)
    statics, slots = rng.integers(0, 40, N), rng.integers(-1, 300, N)
    keys = np.empty(N, np.int64)
    n = c.page_keys(addresses, store, statics, slots, keys)
    pages = [int(addresses[slot]) >> c.PAGE_SHIFT if slot >= 0 else 0 for slot in slots]
    wanted = [page << 1 | store[at] for page, at in zip(pages, statics, strict=True) if page]
    assert keys[:n].tolist() == wanted
    assert 0 < n < N


def test_an_edge_key_is_a_branch_and_what_came_next(rng: np.random.Generator) -> None:
    """In the order of the ops, without those that are no branch or whose next op is unknown."""
    branch = rng.integers(0, 2, 40)
    statics, after = rng.integers(0, 40, N), rng.integers(-1, 40, N)
    keys = np.empty(N, np.int64)
    n = c.edge_keys(branch, statics, after, keys)
    pairs = zip(statics.tolist(), after.tolist(), strict=True)
    wanted = [a << c.NEXT_BITS | b for a, b in pairs if branch[a] and b >= 0]
    assert keys[:n].tolist() == wanted
    assert 0 < n < N


def test_new_pages_names_each_page_but_page_0(rng: np.random.Generator) -> None:
    """Again only when another one with the same lowest bits came between."""
    addresses = (rng.integers(0, 3 * c.RECENT, N) << c.PAGE_SHIFT).astype(np.uint64)
    found = np.empty(N, np.uint64)
    n = c.new_pages(addresses, np.zeros(c.RECENT, np.uint64), found)
    pages = addresses >> np.uint64(c.PAGE_SHIFT)
    assert set(found[:n].tolist()) == set(pages.tolist()) - {0}
    few = np.arange(1, 9, dtype=np.uint64) << np.uint64(c.PAGE_SHIFT)
    assert c.new_pages(np.tile(few, 5), np.zeros(c.RECENT, np.uint64), found) == few.size


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(1, 70))
def test_pairs_are_neighbours_of_a_pass_that_is_repeated(walk: list[int], room: int) -> None:
    """The last one's next is the first; as many executions at a time as there is room for."""
    execs = np.array(walk, np.uint64) << np.uint64(32) | np.uint64(77)  # block, and its ticks
    found: Counter[int] = Counter()
    for begin in range(0, len(walk), room):
        keys, times = np.empty((2, room), np.int64)
        n = c.count_pairs(execs, begin, np.zeros(8, np.int64), np.full(7, -1), keys, times)
        assert len(set(keys[:n].tolist())) == n
        found.update(dict(zip(keys[:n].tolist(), times[:n].tolist(), strict=True)))
    pairs = zip(walk, [*walk[1:], walk[0]], strict=True)
    assert found == Counter(a << c.NEXT_BITS | b for a, b in pairs)
