"""What a choice catches, against choices made by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from analysis.decisions.choosing import aligned, caught, items_of, listed


def test_the_highest_scores_are_taken() -> None:
    """Worth of the two items that the scores put first, whatever the others have."""
    worth = np.array([5.0, 4.0, 3.0, 2.0])
    assert caught(worth, np.array([1.0, 0.0, 9.0, 8.0]), 2) == 5.0


def test_what_was_not_seen_is_not_taken() -> None:
    """A list of ten with samples in one function is a list of one."""
    assert caught(np.array([5.0, 4.0]), np.array([0.0, 3.0]), 10) == 4.0
    assert caught(np.array([5.0, 4.0]), np.zeros(2), 1) == 0.0


def test_ties_are_taken_in_random_order() -> None:
    """The mean over every order in which tied items may stand."""
    worth, score, k = np.array([7.0, 5.0, 3.0, 1.0, 9.0]), np.array([4.0, 2, 2, 2, 1]), 3
    orders = itertools.permutations((1, 2, 3))
    by_hand = np.mean([worth[0] + sum(worth[list(o[:2])]) for o in orders])
    assert caught(worth, score, k) == pytest.approx(by_hand)


def test_how_many_items() -> None:
    """A number, or a share rounded up; never more than there are, never none."""
    assert items_of("20", 7) == 7
    assert items_of("10%", 1141) == 115
    assert items_of("10%", 1000) == 100
    assert items_of("0.1%", 5) == 1


def test_quality_is_a_part_of_the_best_choice() -> None:
    """1 by the truth itself; what the wrong item is worth beside the right one otherwise."""
    question = listed("hot-functions", "functions", np.array([60, 30, 10]), 0, "1")
    assert question.quality(question.truth) == 1.0
    assert question.quality(np.array([1, 2, 0])) == 0.5
    assert question.best_share == 0.6
    assert question.chosen == "1 of 3 functions"


def test_cells_add_up_to_items() -> None:
    """Two cells of one item, each with its own worth: a load that hits, and that misses."""
    truth, item, each = np.array([90, 10, 50]), np.array([0, 0, 1]), np.array([1.0, 30.0, 4.0])
    question = listed("slow-loads", "loads", truth, 0, "1", item=item, each=each)
    assert question.best_share == 390 / 590
    assert question.quality(np.array([9, 0, 5])) == pytest.approx(200 / 390)
    assert question.quality(np.array([9, 1, 5])) == 1.0


def test_aligned_counts_leave_out_what_is_no_key() -> None:
    """Pages that the truth does not have are dropped, wherever they lie."""
    keys = np.array([2, 4, 8])
    assert aligned(keys, np.array([1, 4, 9]), np.array([5, 6, 7])).tolist() == [0, 6, 0]
    assert aligned(np.zeros(0, np.int64), np.array([1]), np.array([1])).tolist() == []
