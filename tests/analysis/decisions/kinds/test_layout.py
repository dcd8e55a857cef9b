"""Layout: which ways may fall through, and chains of runs, by hand and against every order."""

from __future__ import annotations

import itertools

import numpy as np

from analysis.decisions.kinds import kinds
from analysis.decisions.kinds.layout import Ways, chained, ways
from sim.runs.batch import ArmResult
from tests.analysis.decisions.asked import BRANCH, OTHER, cells, made, stream, visits

PCS = (0, 4, 8, 12, 16, 20, 24, 28)
"""f: 0 op, 4 b.cond → 16; 8 op, 12 b → 24; 16 op, 20 b.cond → 0 or 8; g: 24 op, 28 ret."""
CLASSES = (OTHER, BRANCH, OTHER, BRANCH, OTHER, BRANCH, OTHER, BRANCH)
SYMBOLS = (0, 0, 0, 0, 0, 0, 1, 1)
EDGES = (
    (1, 2, 10, 1),  # falls from 4 to 8
    (1, 4, 90, 1),  # jumps from 4 to 16
    (3, 6, 10, 0),  # leaves for g
    (5, 0, 50, 1),  # back to the beginning of f
    (5, 6, 40, 1),  # falls into g
    (7, 2, 30, 2),  # returns
    (3, 4, 5, 0),  # falls from 12 to 16
)


def arm(seen: list[list[int]]) -> ArmResult:
    """An arm that saw these edges."""
    tables = stream(CLASSES, PCS, SYMBOLS)
    return made("v6", tables, visits(cells([100] * 8), edges=EDGES), [cells([9] * 8)], edges=[seen])


def test_ways_that_a_layout_can_change() -> None:
    """Within a function, not to its entry, not indirect: three are left, two fall already."""
    found = ways(arm([]))
    assert found.row.tolist() == [0, 1, 6]
    assert found.old.tolist() == [True, False, True]


def test_the_frequent_way_falls_through() -> None:
    """The profile that sees 90 to 10 lays the jump's target behind the branch."""
    one = arm([[1, 2, 1], [1, 4, 9], [3, 6, 1]])
    question = kinds()["layout"].question(one, "")
    assert not isinstance(question, str)
    seen = kinds()["layout"].seen(one, question, one.runs[0])
    assert seen.tolist() == [1, 9, 0]
    assert question.quality(seen) == 1
    assert question.best_share == 90 / 105


def test_what_was_not_seen_stays() -> None:
    """Without samples the program is as its compiler left it, and one sample mends it."""
    one = arm([])
    question = kinds()["layout"].question(one, "")
    assert not isinstance(question, str)
    assert question.quality(np.zeros(3, np.int64)) == (10 + 5) / 90
    assert question.quality(np.array([0, 1, 0])) == 1


def test_code_that_runs_on_into_a_block_is_a_way() -> None:
    """A diamond: 0 b.cond → 12; 4 op, 8 b → 16; 12 op runs on into 16, as often as it is executed.

    With the jump's side hot (at 4) the best layout moves 12 away and puts 16 behind 8.
    """
    tables = stream([BRANCH, OTHER, BRANCH, OTHER, OTHER], range(4, 24, 4), [0] * 5)
    members = cells([100, 90, 90, 10, 100])
    edges = [(0, 1, 90, 1), (0, 3, 10, 1), (2, 4, 90, 0)]
    one = made("v6", tables, visits(members, edges=edges), [cells([10, 9, 9, 1, 10])])
    found = ways(one)
    assert found.old.tolist() == [True, False, False, True]
    question = kinds()["layout"].question(one, "")
    assert not isinstance(question, str)
    assert question.truth.tolist() == [90, 10, 90, 10]
    assert question.best_share == 180 / 200
    assert question.quality(np.zeros(4, np.int64)) == 100 / 180
    seen = kinds()["layout"].seen(one, question, one.runs[0])
    assert seen.tolist() == [0, 0, 0, 1]


def best_of_all(found: Ways, worth: np.ndarray) -> float:
    """Most worth over every order of the runs."""
    runs = sorted({*found.origin.tolist(), *found.target.tolist()})
    pairs = list(zip(found.origin.tolist(), found.target.tolist(), worth.tolist(), strict=True))
    return max(
        sum(float(w) for a, b, w in pairs if (a, b) in set(itertools.pairwise(order)))
        for order in itertools.permutations(runs)
    )


def test_chains_are_paths_and_near_the_best_order() -> None:
    """No run has two neighbours on a side, no chain closes; at least half of the best order."""
    rng = np.random.default_rng(5)
    for _ in range(60):
        pairs = [(a, b) for a in range(5) for b in range(5) if a != b and rng.random() < 0.5]
        a, b = np.array(pairs, np.int64).reshape(-1, 2).T
        worth = rng.integers(1, 100, len(pairs)).astype(np.float64)
        found = Ways(np.arange(len(pairs)), np.zeros(0, np.int64), a, b, np.zeros(len(pairs), bool))
        taken = chained(found, worth)
        origins, targets = a[taken].tolist(), b[taken].tolist()
        assert len(set(origins)) == len(origins)
        assert len(set(targets)) == len(targets)
        follows = dict(zip(origins, targets, strict=True))
        for run in follows:
            at, steps = run, 0
            while at in follows and steps < 9:
                at, steps = follows[at], steps + 1
            assert steps < 9, "a chain that closes"
        best = best_of_all(found, worth)
        assert best / 2 <= worth[taken].sum() <= best


def greedy(found: Ways, score: np.ndarray) -> list[int]:
    """Best first, then those that fall through already: what closes no chain and is beside none."""
    follows: dict[int, int] = {}
    order = [w for w in np.lexsort((~found.old, -score)).tolist() if score[w] > 0 or found.old[w]]
    taken = []
    for way in order:
        a, b = int(found.origin[way]), int(found.target[way])
        end = b
        while end in follows:
            end = follows[end]
        if a not in follows and b not in follows.values() and end != a:
            follows[a] = b
            taken.append(way)
    return taken


def test_ways_are_taken_best_first() -> None:
    """As the definition has it, ties and ways without a sample among them."""
    rng = np.random.default_rng(6)
    for _ in range(200):
        a, b = rng.integers(0, 12, (2, 30))
        found = Ways(np.arange(30), np.zeros(0, np.int64), a, b, b == a + 1)
        score = rng.integers(0, 4, 30).astype(np.float64)
        assert chained(found, score).tolist() == greedy(found, score)


def test_a_stream_without_branches_is_no_question() -> None:
    """It is said so."""
    tables = stream([OTHER], [0], [0])
    assert "no branch" in str(
        kinds()["layout"].question(made("v6", tables, visits(cells([9])), [cells([1])]), "")
    )
