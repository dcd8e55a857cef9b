"""The first screen: a mark, a sentence and cells for each arm."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from analysis.statistics.answers import Kind
from reports.pages import firstscreen
from reports.pages.firstscreen import MARKS, NONE, Row
from reports.results.arms import verdict, verdict_words
from reports.results.result import Result
from tests.rigs.samples import described, tables


@pytest.fixture(scope="module")
def result() -> Result:
    """The made-up run."""
    return described()


@pytest.fixture(scope="module")
def rows(result: Result) -> dict[str, Row]:
    """Its first screen, by arm."""
    return {row.name: row for row in firstscreen.rows(result, tables())}


def test_marks_are_those_of_the_verdicts(result: Result, rows: dict[str, Row]) -> None:
    """The cell, the sentence and the mark say one thing; without samples there is none."""
    assert list(rows) == list(result.arm_order)
    for name, row in rows.items():
        if name == "silent":
            assert (row.mark, row.cells[0].value) == (NONE, "no profile")
            assert "no profile" in row.answer
            continue
        found = verdict(result.arms[name])
        assert row.mark == row.cells[0].mark == MARKS[found.kind]
        assert row.answer.startswith(verdict_words(result.arms[name]))
        assert row.cells[0].value.startswith(found.cell())


def test_every_shape_is_another() -> None:
    """Nobody needs the colour."""
    assert set(MARKS) == set(Kind)
    assert len({mark.shape for mark in (*MARKS.values(), NONE)}) == len(MARKS) + 1


def test_the_key_tells_of_the_marks_that_are_there(rows: dict[str, Row]) -> None:
    """Each once, no other."""
    found = firstscreen.key(list(rows.values()))
    assert len(found) == len(set(found))
    assert set(found) == {row.mark for row in rows.values()}


def test_what_an_arm_costs_and_what_it_is(rows: dict[str, Row]) -> None:
    """Bare metal costs nothing; bounds are marked; exits are per run."""
    base = {cell.column: cell.value for cell in rows["baremetal"].cells}
    assert rows["baremetal"].note == "reference"
    assert (base["time added"], base["locked"], base["RLIMIT exits per run"]) == ("–",) * 3
    assert rows["unpinned-cold"].note == "upper bound"
    v6 = {cell.column: cell.value for cell in rows["v6"].cells}
    assert v6["RLIMIT exits per run"] == "2"
    assert "of time is added" in rows["v6"].answer


def test_all_rows_have_the_same_columns(rows: dict[str, Row]) -> None:
    """The head of the table is that of its first row."""
    assert len({tuple(cell.column for cell in row.cells) for row in rows.values()}) == 1


def test_no_mark_is_styled_as_a_block() -> None:
    """A mark's class gives it a colour and no more: "too short to tell" stood behind a bar."""
    css = resources.files("reports.pages").joinpath("report.css").read_text("utf-8")
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", css)
    for mark in (*MARKS.values(), NONE):
        for selectors, body in rules:
            if f".{mark.key}" in [one.strip() for one in selectors.split(",")]:
                assert "padding" not in body, mark
                assert "border" not in body, mark
