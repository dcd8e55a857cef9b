"""What is kept between runs, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.reference import kept
from sim.cache.keeping import KINDS, Cleared, Entry

FIRST, SECOND = list(KINDS)[:2]


def entry(kind: str, size: int, age: float) -> Entry:
    """Something of a kind in a cache."""
    return Entry(path=Path("cache") / kind / f"{size}", kind=kind, size=size, age=age)


def test_a_row_is_all_of_a_kind() -> None:
    """Sizes add up, ages are the ends; kinds without entries have no row."""
    (row,) = kept.rows([entry(FIRST, 10, 70.4), entry(FIRST, 20, 5.0)])
    where = f"cache/{FIRST}"
    assert row == kept.Kept(FIRST, entries=2, bytes=30, youngest_s=5, oldest_s=70, where=where)
    assert kept.rows([]) == []
    assert kept.as_table([]) == ""


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (0, "now"),
        (59, "59 s"),
        (60, "1 min"),
        (7200, "2 h"),
        (86400 * 6, "6 d"),
        (86400 * 15, "2 w"),
    ],
)
def test_ages_are_in_whole_units(age: int, said: str) -> None:
    """The largest that fits; one age is told once."""
    line = kept.as_table([entry(SECOND, 1, age), entry(SECOND, 2, age)]).splitlines()[1]
    assert f" {said}  " in line
    assert " to " not in line.split(KINDS[SECOND])[0]


def test_what_stayed_is_named_and_not_all_of_it() -> None:
    """Three names, then an ellipsis; one entry is no entries."""
    some = tuple(entry(FIRST, n, 0) for n in range(4))
    assert kept.removed(Cleared(removed=some[:1], stayed=())).startswith("1 entry removed, ")
    said = kept.stayed(Cleared(removed=(), stayed=some))
    assert said == "4 entries in use or of another user stayed: 0, 1, 2, …"
