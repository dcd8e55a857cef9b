"""What all figures have: labels of the dictionary, one palette, no overlaps."""

from __future__ import annotations

import gc
import re
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.columns import AXES, COLUMNS
from analysis.metrics import METRICS
from reports import figures
from reports.figures import style
from reports.figures.panels import panels
from tests.reports.figures.plans import DESIGNS, MANY
from tests.rigs.fakes import Plan
from tests.rigs.samples import PLANS, described, tables


def test_text_takes_the_colour_of_the_page(drawn: dict[str, figures.Drawn]) -> None:
    """Readable on light and on dark: no black ink, no white paper."""
    for figure in drawn.values():
        assert "currentColor" in figure.svg
        assert style.INK not in figure.svg
        assert not re.search(r"#0{6}\b|#f{6}\b", figure.svg)


def test_ids_do_not_clash(drawn: dict[str, figures.Drawn]) -> None:
    """All figures stand in one page: every id is unique and every reference has its id."""
    page = "".join(figure.svg for figure in drawn.values())
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)


def test_only_the_colours_that_can_be_told_apart(drawn: dict[str, figures.Drawn]) -> None:
    """Everything that is not text has a colour of the palette."""
    used = set(re.findall(r"#[0-9a-f]{6}\b", "".join(d.svg for d in drawn.values())))
    assert used <= {c.lower() for c in style.COLOURS}


def labels() -> list[str]:
    """Every axis label of every figure of the made-up run."""
    found = []
    for drawing in figures.drawings(described(), tables()):
        with style.styled(drawing.key):
            figure = drawing.make()
        assert figure is not None
        found += [t for ax in figure.axes for t in (ax.get_xlabel(), ax.get_ylabel()) if t]
    return found


def test_axis_labels_are_the_dictionary_s() -> None:
    """Words and unit of every axis are those of a dictionary entry, but for a note on the scale."""
    known = [*COLUMNS.values(), *AXES, *METRICS.values()]
    notes = ("", "log", "log, 0 drawn at 1", "log, 0 drawn at 0.1")
    allowed = {c.label_with(note) for c in known for note in notes}
    found = labels()
    assert len(found) > 20
    assert set(found) <= allowed
    assert "fraction of ops" not in allowed  # control


def test_a_label_that_the_dictionary_lacks_is_refused() -> None:
    """Control: a name without an entry is an error, not a label."""
    with pytest.raises(KeyError):
        style.axis_label("loss_in_words")


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every text that is drawn, with its box in pixels."""
    canvas: Any = FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # everything is put in its place, and no pixel is set
    renderer = canvas.get_renderer()
    ticks = {
        t
        for ax in figure.axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for t in (tick.label1, tick.label2)
        if not ax.axison
        or not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }  # matplotlib keeps labels of ticks outside the axis, and of no axis
    return [
        (t.get_text(), t.get_window_extent(renderer))
        for t in figure.findobj(Text)
        if isinstance(t, Text) and t.get_visible() and t.get_text().strip() and t not in ticks
    ]


def overlapping(found: list[tuple[str, Bbox]]) -> list[tuple[str, str]]:
    """Pairs of texts whose boxes share more than a pixel in both directions."""
    pairs = []
    for k, (name, a) in enumerate(found):
        for other, b in found[:k]:
            wide = min(a.x1, b.x1) - max(a.x0, b.x0)
            high = min(a.y1, b.y1) - max(a.y0, b.y0)
            if wide > 1 and high > 1 and not (name == other and a.bounds == b.bounds):
                pairs.append((name, other))
    return pairs


@pytest.mark.parametrize(
    "plans",
    [PLANS, (Plan(), *MANY), (Plan(lost=5),), DESIGNS],
    ids=["made-up", "many", "alone", "designs"],
)
def test_labels_do_not_overlap(plans: tuple[Plan, ...]) -> None:
    """In no figure does a text lie on another one or leave the picture."""
    for drawing in figures.drawings(described(plans), tables(plans)):
        with style.styled(drawing.key):
            figure = drawing.make()
            if figure is None:
                continue
            found = texts(figure)
            assert len(found) > 5
            assert overlapping(found) == [], drawing.key
            for text, box in found:
                inside = figure.bbox
                assert box.x0 >= -1, (drawing.key, text)
                assert box.x1 <= inside.x1 + 1, (drawing.key, text)
                assert box.y0 >= -1, (drawing.key, text)
                assert box.y1 <= inside.y1 + 1, (drawing.key, text)


def test_overlaps_are_found() -> None:
    """Positive control: two labels on one place."""
    figure = style.blank(2)
    figure.text(0.5, 0.5, "one")
    figure.text(0.51, 0.5, "two")
    assert overlapping(texts(figure)) == [("two", "one")]


@pytest.mark.parametrize(("low", "high"), [(43, 74), (0.2, 0.9), (12, 180), (1, 10**6)])
def test_log_axes_have_numbers(low: float, high: float) -> None:
    """However little the values differ: a decade need not be among them."""
    with style.styled("log"):
        figure = style.blank(2.5)
        ax = panels(figure)[0, 0]
        ax.plot([low, high], [low, high])
        style.log_axis(ax)
        style.log_y(ax)
        texts(figure)  # laid out
    for axis in (ax.xaxis, ax.yaxis):
        least, most = axis.get_view_interval()
        numbers = dict(zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True))
        assert sum(least <= x <= most and bool(t.get_text()) for x, t in numbers.items()) >= 2


def test_png_is_reproducible_and_has_no_metadata() -> None:
    """Equal bytes, the width of the page at 200 dots per inch, no text chunk."""
    first, again = (style.to_png(_one_figure()) for _ in range(2))
    assert first == again
    assert first.startswith(b"\x89PNG")
    assert int.from_bytes(first[16:20], "big") == 8 * style.PNG_DPI
    assert b"tEXt" not in first


def _one_figure() -> Figure:
    drawing = next(iter(figures.drawings(described(), tables())))
    with style.styled(drawing.key):
        figure = drawing.make()
    assert figure is not None
    return figure


@pytest.mark.parametrize("usual", [True, False])
def test_garbage_is_collected_afterwards_as_before(usual: bool) -> None:
    """Not while a figure is made, nor ever if the caller wants none."""
    before = gc.isenabled()
    try:
        (gc.enable if usual else gc.disable)()
        with style.styled("x"):
            assert not gc.isenabled()
        assert gc.isenabled() == usual
    finally:
        (gc.enable if before else gc.disable)()
