"""Figures: bytes, colours, names that try to break out."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from reports import figures
from tests.rigs.fakes import Plan
from tests.rigs.samples import KEYS, PLANS, described, tables


def test_every_figure_with_a_reading(drawn: dict[str, figures.Drawn]) -> None:
    """Each is well-formed SVG and comes with a sentence; a timeline for each arm with a log."""
    assert list(drawn) == KEYS
    for figure in drawn.values():
        ElementTree.fromstring(figure.svg)
        assert figure.reading.endswith(".")


def test_figures_are_reproducible(drawn: dict[str, figures.Drawn]) -> None:
    """Drawn again, the bytes are the same; no date, no path, no random id."""
    again = {d.key: d for d in figures.draw(described(), tables())}
    assert again == drawn
    assert not any(re.search(r"<metadata|dc:date|/tmp|/home", d.svg) for d in drawn.values())


def test_hostile_names_stay_text(drawn: dict[str, figures.Drawn]) -> None:
    """Markup is escaped, dollars are dollars, control characters are spelt out."""
    svg = drawn["symbols"].svg
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert ">$alpha$<" in svg
    assert "\x1b" not in svg
    assert "delta\\nnewline" in svg


def test_nothing_to_show_is_no_figure() -> None:
    """A quiet arm has no blackout, no locked memory and no log; the sentence stands alone."""
    quiet = (Plan(),)
    found = {d.key: d for d in figures.draw(described(quiet), tables(quiet))}
    for key in ("losses", "blackouts", "timeline", "perturbation", "locked"):
        assert found[key].svg == ""
        assert found[key].reading.endswith(".")
    assert found["ledgers"].svg


def test_made_up_run_covers_every_kind_of_arm() -> None:
    """The sample has a reference arm, a pinned, a biased, a refused and a silent arm."""
    assert [p.name for p in PLANS] == ["baremetal", "v6", "unpinned-cold", "refused", "silent"]
