"""Hot pages of three sizes."""

from __future__ import annotations

from analysis.decisions.choosing import Question
from analysis.decisions.kinds import kinds
from sim.runs.batch import ArmResult
from tests.analysis.decisions.asked import LOAD, OTHER, cells, made, stream, visits

TABLES = stream([LOAD, OTHER], [0, 4], [0, 0])
PAGES = ((16, 50, 0), (17, 10, 30), (40, 0, 60), (600, 5, 0))
"""4 KiB pages with their loads and stores; the first two lie in one of 64 KiB."""


def arm(seen: list[list[int]]) -> ArmResult:
    """An arm that saw these accesses."""
    return made("v6", TABLES, visits(cells([155, 845]), PAGES), [cells([5, 5])], [seen])


def question(name: str, of: ArmResult, top: str) -> Question:
    """The question of a kind."""
    found = kinds()[name].question(of, top)
    assert not isinstance(found, str)
    return found


def test_loads_and_stores_count_alike() -> None:
    """The page with most accesses is the one of the stores."""
    one = arm([[40, 0, 9], [17, 2, 2]])
    asked = question("hot-pages", one, "1")
    seen = kinds()["hot-pages"].seen(one, asked, one.runs[0])
    assert asked.scores(seen).tolist() == [0, 4, 9, 0]
    assert asked.quality(seen) == 1
    assert asked.others == 845


def test_larger_pages_are_sums_of_small_ones() -> None:
    """In 64 KiB the two neighbours are hotter than the page that is hottest alone."""
    one = arm([[16, 5, 0], [40, 0, 9]])
    asked = question("hot-pages-64KiB", one, "1")
    assert asked.best_share == 90 / 155
    seen = kinds()["hot-pages-64KiB"].seen(one, asked, one.runs[0])
    assert asked.quality(seen) == 60 / 90
    assert "1 of 2 pages of 2 MiB" in question("hot-pages-2MiB", one, "10%").chosen


def test_pages_that_the_truth_does_not_have_are_left_out() -> None:
    """A record of nowhere moves nothing."""
    one = arm([[3, 7, 7], [16, 1, 0], [999, 1, 1]])
    asked = question("hot-pages", one, "1")
    assert kinds()["hot-pages"].seen(one, asked, one.runs[0]).tolist() == [1, 0, 0, 0]


def test_without_addresses_there_is_no_question() -> None:
    """Synthetic streams; and one page is no choice."""
    bare = made("v6", TABLES, visits(cells([1, 1])), [cells([1, 1])])
    assert "no addresses" in str(kinds()["hot-pages"].question(bare, "10%"))
    alone = made("v6", TABLES, visits(cells([1, 1]), [(5, 1, 0)]), [cells([1, 1])])
    assert "one page of 2 MiB" in str(kinds()["hot-pages-2MiB"].question(alone, "10%"))
