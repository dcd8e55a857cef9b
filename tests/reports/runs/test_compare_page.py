"""The page of a comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.runs import compare_page, comparing
from tests.rigs.tiny import TINY, call


@pytest.fixture
def found(own_folder: Path) -> list[comparing.Comparison]:
    """Two arms of one run."""
    Path("tiny.yaml").write_text(TINY)
    call("run", "tiny.yaml", "-o", "out", "--no-report", "--no-band")
    return comparing.compare("out:baremetal", "out:cold")


def test_it_has_the_numbers_of_the_table(found: list[comparing.Comparison]) -> None:
    """Every cell, the labels, the notes; nothing that fetches or runs; equal bytes."""
    html = compare_page.page(found)
    assert html == compare_page.page(found)
    assert "<script" not in html
    assert "Simulated, not measured" in html
    for row in found[0].rows:
        for text in comparing.cells(row):
            assert text.replace(" %", "&nbsp;%") in html or text in html
    assert "A: out:baremetal" in html


def test_the_figure_is_relative_to_a(found: list[comparing.Comparison]) -> None:
    """Percent of A's value, ends in order; what A has none of is left out."""
    shown = compare_page.relative(found[0])
    assert shown
    for row, mean, low, high in shown:
        assert row.a
        assert row.difference.mean is not None
        assert mean == pytest.approx(100 * row.difference.mean / abs(row.a))
        assert low <= mean <= high
    assert {r.what for r in found[0].rows if not r.a} & {r.what for r, *_ in shown} == set()


def test_words_name_what_is_apart(found: list[comparing.Comparison]) -> None:
    """Each quantity that is drawn, with its answer in full."""
    words = compare_page.reading(found[0]).lower()
    for row, *_ in compare_page.relative(found[0]):
        assert f"{row.what} {row.answer.words()}".lower() in words


def test_figures_stand_alone(found: list[comparing.Comparison]) -> None:
    """`--figures DIR` writes each pair's, which says what it is of; its path goes to stderr."""
    done = call("compare", "out", "out", "--figures", "there/figures")
    assert done.exit_code == 0, done.stderr
    names = {path.name for path in Path("there/figures").iterdir()}
    assert names == {f"compare-{k}.{form}" for k in (1, 2, 3) for form in ("png", "svg", "txt")}
    svg = Path("there/figures/compare-1.svg").read_text()
    assert "<title" in svg
    assert "simulated, not measured" in svg
    assert "B minus A" in Path("there/figures/compare-1.txt").read_text()
    assert "there/figures/compare-3.svg" in done.stderr


def test_from_the_command_line(found: list[comparing.Comparison]) -> None:
    """To stdout; a run against itself has nothing that is apart, and every arm."""
    done = call("compare", "out:baremetal", "out:cold", "--format", "html")
    assert (done.exit_code, done.stdout) == (0, compare_page.page(found))
    twice = call("compare", "out", "out", "--format", "html").stdout
    assert twice.count("wall time the same within ±") == 3
    assert "differs by" not in twice
