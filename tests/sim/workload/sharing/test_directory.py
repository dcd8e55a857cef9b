"""Who gave a line: closed forms, a plain MESI beside it, and bugs that these must find."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from sim.workload.sharing import directory
from sim.workload.sharing.directory import Accesses, shared_levels
from sim.workload.sharing.index import accesses_of
from sim.workload.spestream import read_spestream
from sim.workload.timing import PEERS, MemLevel, memory_levels
from tests.exact.mutants import Mutant, build, mutant
from tests.sim.workload.recorded import THREAD
from tests.sim.workload.sharing import naive
from tests.sim.workload.sharing.made import CYCLE, LINE, core, thread

N = 50
NEAR, FAR = MemLevel.PEER_CORE, MemLevel.PEER_CLUSTER
DIRECTORY = "sim.workload.sharing.directory"


@pytest.mark.parametrize("kind", ["store", "atomic"])
@pytest.mark.parametrize(("cluster", "peer"), [(1, FAR), (2, NEAR)])
def test_ping_pong(kind: str, cluster: int, peer: MemLevel) -> None:
    """Two threads write one line in turn: every access but the very first comes from the other."""
    two = [thread([(kind, LINE)] * N, gap=1000 * CYCLE) for _ in range(2)]
    two[1].gap[0] += 500 * CYCLE
    first = shared_levels(two, core(cluster), passes=1)
    assert first[0].tolist() == [MemLevel.DRAM] + [peer] * (N - 1)
    assert first[1].tolist() == [peer] * N
    for levels in shared_levels(two, core(cluster)):
        assert levels.tolist() == [peer] * N


def test_false_sharing_is_sharing() -> None:
    """Words of one line are as good as one word; a line apart there is nothing."""
    together = [thread([("store", LINE + 8 * k)] * N, gap=1000 * CYCLE) for k in range(2)]
    apart = [thread([("store", LINE * (1 + k))] * N, gap=1000 * CYCLE) for k in range(2)]
    assert all((levels == FAR).all() for levels in shared_levels(together, core()))
    assert all((levels == MemLevel.L1).all() for levels in shared_levels(apart, core()))


def test_reading_together() -> None:
    """A line that is only read moves once to each thread, then all of them hit."""
    four = [thread([("load", LINE)] * N, gap=1000 * CYCLE)] * 4
    first = shared_levels(four, core(2), passes=1)
    assert [int(levels[0]) for levels in first] == [
        MemLevel.DRAM,
        NEAR,  # from the one that had it alone
        MemLevel.SLC,
        MemLevel.SLC,
    ]
    assert all((levels[1:] == MemLevel.L1).all() for levels in first)
    assert all((levels == MemLevel.L1).all() for levels in shared_levels(four, core(2)))


def test_a_load_before_its_own_store_pays_twice() -> None:
    """`word++` on a shared line: the load shares what the other has, the store takes it away."""
    two = [thread([("load", LINE), ("store", LINE)] * N, gap=1000 * CYCLE) for _ in range(2)]
    for number, one in enumerate(two):
        one.gap[1::2] = 0
        one.gap[0] += number * 500 * CYCLE  # one's pair is over when the other's begins
    for levels in shared_levels(two, core()):
        assert (levels == FAR).all()
    alone = shared_levels(two[:1], core())
    assert (alone[0] == MemLevel.L1).all()


def test_a_write_waits_for_the_farthest_sharer_and_a_load_takes_the_nearest() -> None:
    """Threads 0 and 1 share a cluster, 2 is in another; a copy of one's own does not help."""
    late = 10_000 * CYCLE
    threads = [
        thread([("load", LINE), ("store", LINE)], gap=late),
        thread([("load", LINE)]),
        thread([("load", LINE)], gap=100 * CYCLE),
    ]
    assert shared_levels(threads, core(2), passes=1)[0].tolist() == [MemLevel.SLC, FAR]
    alone = [threads[0], threads[1], thread([("load", 2 * LINE)])]
    assert shared_levels(alone, core(2), passes=1)[0].tolist() == [NEAR, NEAR]


def test_turns_go_by_time() -> None:
    """A thread that comes by every 10,000 cycles takes the line so often, whatever the other does;
    each time the other has it back with its next store."""
    busy, rare = thread([("store", LINE)] * 2000), thread([("store", LINE)] * 3, gap=1000 * CYCLE)
    levels = shared_levels([busy, rare], core(), passes=1)
    ticks = core().throughput_ticks()[8 * 2 + int(MemLevel.L1)]
    assert 2000 * ticks > 1000 * CYCLE  # the first visit of `rare` falls into it
    visits = int(2000 * ticks // (1000 * CYCLE))
    assert np.count_nonzero(levels[0] == FAR) == visits
    assert levels[1][0] == FAR


def test_a_line_that_fell_out_is_not_asked_for() -> None:
    """What a core has lost from its L1 and L2 comes from the SLC."""
    small = core(small=True)
    walk = [("store", LINE)] + [("load", LINE * (3 + 2 * k)) for k in range(3)]
    reader = [thread([("load", LINE)], gap=100_000 * CYCLE)]
    assert shared_levels([thread(walk[:1]), *reader], small, passes=1)[1] == FAR
    assert shared_levels([thread(walk), *reader], small, passes=1)[1] == MemLevel.SLC


def test_no_access_asks_nobody() -> None:
    """Address 0 has level 0, and takes no line."""
    levels = shared_levels([thread([("store", 0)] * 3), thread([("store", 0)] * 3)], core())
    assert [found.tolist() for found in levels] == [[0, 0, 0]] * 2


def test_one_thread_is_the_single_core_model() -> None:
    """Nobody else is there: levels are those of `memory_levels`, on a shipped stream."""
    recording, preset = read_spestream(THREAD), core()
    (levels,) = shared_levels([accesses_of(recording, preset)], preset)
    assert np.array_equal(levels, memory_levels(recording.addresses, None, preset))


def test_progress() -> None:
    """It says how far it is, from nothing to all."""
    told: list[tuple[int, int]] = []
    shared_levels([thread([("load", LINE)] * 5)], core(), lambda *words: told.append(words))
    assert told[0] == (0, 10)
    assert told[-1] == (10, 10)


# --- beside a plain one ----------------------------------------------------------------------


def drawn(rng: random.Random) -> list[Accesses]:
    """A few threads over a few lines, some of them without an address."""
    kinds, lines = ("load", "load", "store", "atomic"), rng.randint(1, 24)
    made = []
    for _ in range(rng.randint(1, 5)):
        accesses = [
            (rng.choice(kinds), rng.choice((0, *range(LINE, LINE * (lines + 1), 8))))
            for _ in range(rng.randint(1, 120))
        ]
        made.append(thread(accesses))
        made[-1].gap[:] = [rng.choice((0, 40, 5000)) for _ in accesses]
    return made


def differs(module: object, seed: int) -> bool:
    """Does a module find other levels than the plain one?"""
    rng = random.Random(seed)
    threads, preset = drawn(rng), core(rng.randint(1, 3), small=True)
    passes = rng.randint(1, 2)
    found = module.shared_levels(threads, preset, passes=passes)  # type: ignore[attr-defined]
    return [levels.tolist() for levels in found] != naive.levels(threads, preset, passes)


def test_random_streams() -> None:
    """300 groups: the same levels as MESI without a directory; all of them occur."""
    seen: Counter[int] = Counter()
    for seed in range(300):
        assert not differs(directory, seed), seed
        rng = random.Random(seed)
        threads, preset = drawn(rng), core(rng.randint(1, 3), small=True)
        for levels in shared_levels(threads, preset):
            seen.update(levels.tolist())
    assert set(seen) == {int(level) for level in MemLevel}
    assert sum(seen[int(peer)] for peer in PEERS) > 5000


BUGS = [
    mutant(
        "sharers keep their copies", DIRECTORY, "        _invalidate(caches, others, line)\n", ""
    ),
    mutant(
        "a reader owns what others have",
        DIRECTORY,
        "directory.owner[number] = core if others == 0 else _NOBODY",
        "directory.owner[number] = core",
    ),
    mutant(
        "a lost line is asked for", DIRECTORY, "if mask & bit != 0 and (", "if mask & bit != 0 or ("
    ),
    mutant(
        "an owner is asked though it shares",
        DIRECTORY,
        "    if kept:\n",
        "    if kept and False:\n",
    ),
    mutant("a store looks at the nearest", DIRECTORY, "cluster, True)", "cluster, False)"),
    mutant(
        "time stands still",
        DIRECTORY,
        "clocks[core] += group.gap[k] + row",
        "clocks[core] += 0 * row",
    ),
    mutant(
        "an owner writes as if it were alone",
        DIRECTORY,
        "    if level != 0 and directory.owner[number] == core:",
        "    if level != 0:",
    ),
]


def test_copies_without_a_bug_pass() -> None:
    """The control: an unchanged copy in plain Python finds the same."""
    assert not any(differs(build(DIRECTORY), seed) for seed in range(10))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bugs_are_found(bug: Mutant) -> None:
    """Each is told from the plain model by one of sixty groups."""
    changed = build(bug.module, bug.old, bug.new)
    assert any(differs(changed, seed) for seed in range(60))
