"""`speskew compare --format html`: a table and a figure per pair of arms, in one page."""

from __future__ import annotations

import reports.plotting  # noqa: F401 (before matplotlib)

# isort: split
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from reports.figures import alone
from reports.figures.alone import Legend, Standing
from reports.figures.style import BLUE, INK, blank, rows, styled, to_svg, x_grid
from reports.pages import templating
from reports.runs.comparing import HEAD, Comparison, Row, cells
from reports.store.files import replace
from reports.text import number, printable

TITLE = "Differences in percent of A"


@dataclass(frozen=True, slots=True)
class Pair:
    """What the page says of two arms."""

    name: str
    a: str
    b: str
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    svg: Markup
    reading: str


def page(found: Sequence[Comparison]) -> str:
    """The page: equal bytes for equal input, no network, no script."""
    title = _names(found[0]) if len(found) == 1 else "Two runs"
    pairs = [_pair(comparison, position) for position, comparison in enumerate(found, 1)]
    html = templating.render("compare.html.j2", title=title, head=HEAD, comparisons=pairs)
    return html.replace("\u00a0", "&nbsp;")  # it goes to a terminal or a pipe


def _names(found: Comparison) -> str:
    a, b = found.a.arm_name, found.b.arm_name
    return a if a == b else f"{a} against {b}"


def _pair(found: Comparison, position: int) -> Pair:
    key = f"compare-{position}"
    with styled(key):
        figure = differences(found)
        svg = "" if figure is None else to_svg(figure, key, TITLE)
    return Pair(
        _names(found),
        found.a.label,
        found.b.label,
        tuple(cells(row) for row in found.rows),
        found.notes,
        Markup(svg),
        reading(found),
    )


def write_figures(found: Sequence[Comparison], folder: Path) -> list[Path]:
    """compare-N.png, .svg and .txt of each pair that has a figure; returns the SVGs' paths."""
    made: dict[str, bytes] = {}
    for position, comparison in enumerate(found, 1):
        made |= alone.files(f"compare-{position}", _standing(comparison))
    for name, data in made.items():
        folder.mkdir(parents=True, exist_ok=True)
        replace(folder / name, data)
    return [folder / name for name in made if name.endswith(".svg")]


def _standing(found: Comparison) -> Standing:
    origin = f"B minus A; A is {printable(found.a.label, 60)}, B {printable(found.b.label, 60)}"
    said = alone.legend(_names(found), TITLE, reading(found), origin, found.notes)

    def make() -> tuple[Figure, Legend] | None:
        figure = differences(found)
        return None if figure is None else (figure, said)

    return make


def relative(found: Comparison) -> list[tuple[Row, float, float, float]]:
    """Rows with a value on side A: difference and the ends of its interval, % of that value."""
    out = []
    for row in found.rows:
        d = row.difference
        if not row.a or d.mean is None:
            continue
        low, high = (d.mean if end is None else end for end in (d.low, d.high))
        per = 100 / abs(row.a)
        out.append((row, per * d.mean, per * low, per * high))
    return out


def differences(found: Comparison) -> Figure | None:
    """A point and its interval per quantity; None where A has nothing to compare with."""
    shown = relative(found)
    if not shown:
        return None
    made = blank(0.9 + 0.3 * len(shown))
    ax = made.subplots()
    for at, (_, mean, low, high) in enumerate(shown):
        ax.plot([low, high], [at, at], "-", color=BLUE, linewidth=2)
        ax.plot([mean], [at], "o", color=BLUE, markersize=5)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_xscale("symlog", linthresh=1.0)
    ax.margins(x=0.08)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _position: number(value)))
    rows(ax, [row.what for row, *_ in shown])
    x_grid(ax)
    ax.set_xlabel("B - A, % of A (linear to 1, then logarithmic)")
    return made


def reading(found: Comparison) -> str:
    """What the figure shows, in words."""
    shown = relative(found)
    words = "; ".join(f"{row.what} {row.answer.words()}" for row, *_ in shown)
    return (
        "Prediction: B minus A in percent of A, 95 % intervals over replications. "
        f"{words[:1].upper()}{words[1:]}. Quantities that are 0 in A are in the table only."
    )
