"""Figures: bytes, colours, names that try to break out."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.columns import AXES, COLUMNS
from analysis.metrics import METRICS
from reports import figures
from reports.figures import design_readings, style, symbols
from reports.runs import datasets
from sim.results import LockedPoint
from tests.rigs.fakes import Plan
from tests.rigs.samples import PLANS, described, tables


@pytest.fixture(scope="module")
def drawn() -> dict[str, figures.Drawn]:
    """The figures of the made-up run."""
    return {d.key: d for d in figures.draw(described(), tables())}


KEYS = [
    "ledgers",
    "losses",
    "symbols",
    "distances",
    "blackouts",
    "timeline-1",
    "timeline-2",
    "timeline-3",
    "timeline-4",
    "perturbation",
    "locked",
    "theory",
]


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
    assert used <= {c.lower() for c in style.COLOURS}


def test_nothing_to_show_is_no_figure() -> None:
    """A quiet arm has no blackout, no locked memory and no log; the sentence stands alone."""
    quiet = (Plan(),)
    found = {d.key: d for d in figures.draw(described(quiet), tables(quiet))}
    for key in ("losses", "blackouts", "timeline", "perturbation", "locked"):
        assert found[key].svg == ""
        assert found[key].reading.endswith(".")
    assert found["ledgers"].svg


def test_many_arms_are_narrowed_to_those_that_differ() -> None:
    """Ten arms: the first and the most biased are drawn."""
    bias = (0.30, 0.50, 0.15, 0.05)
    plans = [Plan(name=f"arm{k}", seed=k, samples=100_000) for k in range(9)]
    plans.append(Plan(name="biased", shares=bias, samples=100_000))
    found = {d.key: d for d in figures.draw(described(plans), tables(plans))}
    svg = found["symbols"].svg
    assert "biased" in svg
    assert "arm0" in svg
    assert len(re.findall(r">arm\d<", svg)) == symbols.MAX_ARMS - 1


DESIGNS = (
    Plan(lost=100),
    Plan(name="v6", design="v6", lost=100, pin_ticks=10**6, exits=2),
    Plan(name="unpinned", design="unpinned", lost=50_000),
    Plan(name="first-fault", design="first-fault", lost=200, pin_ticks=10**4),
    Plan(name="v3-mlock", design="v3-mlock", lost=100, pin_ticks=10**5),
)


def test_several_designs_are_set_side_by_side() -> None:
    """From four designs on: loss, memory, time, fronts, exits; with fewer no section."""
    of = tables(DESIGNS)
    found = {d.key: d for d in figures.draw(described(DESIGNS), of)}
    ElementTree.fromstring(found["designs"].svg)
    rows = {r["arm"]: r for r in of["designs"].records()}
    assert list(rows) == [p.name for p in DESIGNS[1:]]
    assert rows["unpinned"]["locked_bytes"] == 0
    assert rows["unpinned"]["on_front_memory"]
    assert not rows["first-fault"]["on_front_memory"]  # as much memory as v6, clearly more loss
    assert {r["arm"] for r in of["limits"].records()} >= {"v6", "first-fault"}
    assert all(r["loss_low_percent"] <= r["loss_percent"] for r in rows.values())
    assert "v3-mlock keeps all guest memory resident" in found["designs"].reading
    few = tables(DESIGNS[:4])
    assert few["designs"].rows == few["limits"].rows == ()
    assert "designs" not in {d.key for d in figures.drawings(described(DESIGNS[:4]), few)}


def test_nobody_may_be_on_both_fronts() -> None:
    """Then the reading says that, and names nobody."""
    of = tables(DESIGNS)
    table = of["designs"]
    column = [c.name for c in table.columns].index("on_front_time")
    rows = tuple((*row[:column], False, *row[column + 1 :]) for row in table.rows)
    text = design_readings.designs(described(DESIGNS), {"designs": replace(table, rows=rows)})
    assert text.startswith("No arm is on both fronts")


def test_many_timelines_are_narrowed() -> None:
    """Ten virtual arms: eight timelines are drawn, all ten are in the table."""
    plans = [Plan(name=f"arm{k}", design="v6", seed=k) for k in range(10)]
    of = tables(plans)
    keys = [d.key for d in figures.drawings(described(plans), of)]
    assert sum(k.startswith("timeline") for k in keys) == figures.MAX_TIMELINES
    assert len({r["arm"] for r in of["timeline"].records()}) == 10


def test_long_locked_histories_are_thinned_to_their_peaks() -> None:
    """The highest point of each stretch survives."""
    points = [LockedPoint(t, (t * 7919) % 10_007, 1 << 20) for t in range(20_000)]
    thin = datasets._thinned(points)
    assert len(thin) <= datasets.MAX_STEPS
    assert max(p.locked_bytes for p in thin) == max(p.locked_bytes for p in points)
    assert [p.t for p in thin] == sorted(p.t for p in thin)


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
    canvas.draw()
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


MANY = tuple(
    Plan(
        name=f"a-rather-long-name-of-an-arm-{k}",
        design="v6",
        lost=10**k,
        seed=k,
        pin_ticks=10**k,
        exits=k,
        shares=(0.4, 0.4, 0.15, 0.05),
    )
    for k in range(1, 6)
)


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


def test_made_up_run_covers_every_kind_of_arm() -> None:
    """The sample has a baseline, a pinned, a biased, a refused and a silent arm."""
    assert [p.name for p in PLANS] == ["baremetal", "v6", "unpinned-cold", "refused", "silent"]
