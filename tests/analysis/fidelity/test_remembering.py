"""Answers that are kept for a block: the same object's, and no longer."""

from __future__ import annotations

import pytest

from analysis.fidelity.remembering import remembered, remembering

ASKED: list[object] = []


@remembered
def _first(rows: list[int], word: str = "") -> list[int]:
    ASKED.append(word)
    return rows[:1]


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    ASKED.clear()


def test_asked_once_within_the_block() -> None:
    """The same objects get the same answer; equal ones, and other words, are asked anew."""
    rows = [1, 2]
    with remembering():
        found = _first(rows, "a")
        assert _first(rows, "a") is found
        assert _first([1, 2], "a") is not found
        assert _first(rows, "b") is not found
    assert ASKED == ["a", "a", "b"]


def test_nothing_outlives_the_block() -> None:
    """An inner block shares with the outer one, and ends nothing; without one nothing is kept."""
    rows = [1]
    with remembering():
        with remembering():
            _first(rows)
        with remembering(worth=False):
            _first(rows)
        _first(rows)
    with remembering(worth=False):
        _first(rows)
        _first(rows)
    _first(rows)
    assert len(ASKED) == 4


def test_a_place_in_memory_is_not_taken_for_its_object() -> None:
    """What was asked about stays until the end, so that nothing else stands where it stood."""
    with remembering():
        assert [_first([k]) for k in range(1000)] == [[k] for k in range(1000)]
