"""Figures: bytes, colours, names that try to break out."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from reports import figures
from tests.analysis.fakes import Plan
from tests.reports.samples import PLANS, arms, described


@pytest.fixture(scope="module")
def drawn() -> dict[str, figures.Drawn]:
    """The figures of the made-up run."""
    return {d.key: d for d in figures.draw(arms(), described())}


def test_four_figures_with_a_reading(drawn: dict[str, figures.Drawn]) -> None:
    """Each is well-formed SVG and comes with a sentence."""
    assert list(drawn) == ["ledgers", "symbols", "blackouts", "locked"]
    for figure in drawn.values():
        ElementTree.fromstring(figure.svg)
        assert figure.reading.endswith(".")


def test_figures_are_reproducible(drawn: dict[str, figures.Drawn]) -> None:
    """Drawn again, the bytes are the same; no date, no path, no random id."""
    again = {d.key: d for d in figures.draw(arms(), described())}
    assert again == drawn
    assert not any(re.search(r"<metadata|dc:date|/tmp|/home", d.svg) for d in drawn.values())


def test_text_takes_the_colour_of_the_page(drawn: dict[str, figures.Drawn]) -> None:
    """Readable on light and on dark: no black ink, no white paper."""
    for figure in drawn.values():
        assert "currentColor" in figure.svg
        assert figures.INK not in figure.svg
        assert not re.search(r"#0{6}\b|#f{6}\b", figure.svg)


def test_ids_do_not_clash(drawn: dict[str, figures.Drawn]) -> None:
    """All figures stand in one page: every id is unique and every reference has its id."""
    page = "".join(figure.svg for figure in drawn.values())
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)


def test_hostile_names_stay_text(drawn: dict[str, figures.Drawn]) -> None:
    """Markup is escaped, dollars are dollars, control characters are spelt out."""
    svg = drawn["symbols"].svg
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert ">$alpha$<" in svg
    assert "\x1b" not in svg
    assert "delta\\nnewline" in svg


def test_only_the_colours_that_can_be_told_apart(drawn: dict[str, figures.Drawn]) -> None:
    """Everything that is not text has a colour of the palette."""
    used = set(re.findall(r"#[0-9a-f]{6}\b", "".join(d.svg for d in drawn.values())))
    assert used <= {c.lower() for c in figures.COLOURS}


def test_nothing_to_show_is_no_figure() -> None:
    """A quiet arm has no blackout and no locked memory; the sentence stands alone."""
    quiet = (Plan(),)
    found = {d.key: d for d in figures.draw(arms(quiet), described(quiet))}
    assert found["blackouts"].svg == found["locked"].svg == ""
    assert found["ledgers"].svg


def test_many_arms_are_narrowed_to_those_that_differ() -> None:
    """Ten arms: the first and the most biased are drawn."""
    bias = (0.30, 0.50, 0.15, 0.05)
    plans = [Plan(name=f"arm{k}", seed=k, samples=100_000) for k in range(9)]
    plans.append(Plan(name="biased", shares=bias, samples=100_000))
    found = arms(plans)
    svg = figures.draw(found, described(plans))[1].svg
    assert "biased" in svg
    assert "arm0" in svg
    assert len(re.findall(r">arm\d<", svg)) == figures.MAX_ARMS - 1


def test_long_locked_histories_are_thinned_to_their_peaks() -> None:
    """The highest point of each stretch survives."""
    from sim.results import LockedPoint

    points = [LockedPoint(t, (t * 7919) % 10_007, 1 << 20) for t in range(20_000)]
    thin = figures._thinned(points)
    assert len(thin) <= figures.MAX_STEPS
    assert max(p.locked_bytes for p in thin) == max(p.locked_bytes for p in points)
    assert [p.t for p in thin] == sorted(p.t for p in thin)


def test_made_up_run_covers_every_kind_of_arm() -> None:
    """The sample has a baseline, a pinned, a biased, a refused and a silent arm."""
    assert [p.name for p in PLANS] == ["baremetal", "v6", "unpinned-cold", "refused", "silent"]
