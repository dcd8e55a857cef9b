"""A figure that stands alone says what it is of, and that nothing was measured."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from reports import figures
from reports.figures import alone
from reports.figures.style import blank, styled
from tests.reports.figures.test_style import overlapping, texts
from tests.rigs.samples import KEYS, described, tables

SVG = "{http://www.w3.org/2000/svg}"
LONG = "A reading that goes on, since there is much to say of a figure & what <it> shows. " * 3
SAID = alone.legend("a scenario", "Where ops went", LONG, "seed 7, 3 replications", ("A note.",))


def _make() -> tuple[Figure, alone.Legend]:
    figure = blank(2.0)
    figure.subplots().plot([0, 1], [0, 1])
    return figure, SAID


def test_every_form_and_nothing_else() -> None:
    """Picture, drawing, caption; equal bytes again; none of what cannot be drawn."""
    made = alone.files("key", _make)
    assert list(made) == ["key.png", "key.svg", "key.txt"]
    assert alone.files("key", _make) == made
    assert alone.files("key", _make, ("svg",)) == {"key.svg": made["key.svg"]}
    assert alone.files("key", lambda: None) == {}


def test_svg_is_named_and_described() -> None:
    """For those who hear it: title, description, and the picture refers to both."""
    root = ElementTree.fromstring(alone.files("key", _make)["key.svg"])
    title, words = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert words is not None
    assert (title.text, words.text) == (SAID.title, LONG)
    labels = root.attrib["aria-labelledby"].split()
    assert [root.attrib["role"], *labels] == ["img", title.attrib["id"], words.attrib["id"]]


@pytest.mark.parametrize(
    "part", ["a scenario: Where ops went (predicted)", "simulated, not measured", "seed 7"]
)
def test_the_drawing_itself_says_it(part: str) -> None:
    """Whoever sees the picture alone."""
    assert part in alone.files("key", _make)["key.svg"].decode()


def test_a_frame_fits_every_figure() -> None:
    """Title and source lie on no other text, whatever the figure is made of."""
    alike = {"timeline-1", "timeline-3", "timeline-4"}
    found = [d for d in figures.drawings(described(), tables()) if d.key not in alike]
    assert len(found) == len(KEYS) - len(alike)
    for drawing in found:
        with styled(drawing.key):
            figure = drawing.make()
            assert figure is not None
            alone.framed(figure, SAID)
            drawn = texts(figure)
        assert {SAID.title, SAID.source} <= {text for text, _ in drawn}
        assert overlapping(drawn) == [], drawing.key


def test_the_caption_has_it_all_in_72_columns() -> None:
    """Title, reading, notes, source."""
    text = alone.files("key", _make)["key.txt"].decode()
    assert max(map(len, text.splitlines())) <= alone.CAPTION_CHARS
    flat = " ".join(text.split())
    wanted: list[Callable[[alone.Legend], str]] = [
        lambda s: s.title,
        lambda s: " ".join(s.reading.split()),
        lambda s: s.notes[0],
        lambda s: s.source,
    ]
    at = [flat.index(part(SAID)) for part in wanted]
    assert at == sorted(at)
