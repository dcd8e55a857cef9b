"""A figure by itself, for a paper or a mail: it says what it is of, and that nothing was measured.

On a page the text around a figure does that. A file has a title, a line that tells its source, and
a caption beside it; an SVG has `<title>` and `<desc>` for those who hear it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.figure import Figure

from reports.figures.style import styled, to_file_svg, to_png
from reports.text import printable

_WORDS = "txt"
FORMATS = ("png", "svg", _WORDS)
"""Of the last, the caption."""
_MORE_IN = 0.55
"""Height of the two lines, inches."""
_TITLE_CHARS, _SOURCE_CHARS, CAPTION_CHARS = 90, 130, 72


@dataclass(frozen=True, slots=True)
class Legend:
    """What is said of a figure that stands alone."""

    title: str
    source: str
    """Where the numbers come from, in one line."""
    reading: str
    notes: tuple[str, ...] = ()


Standing = Callable[[], "tuple[Figure, Legend] | None"]
"""Makes a figure and what is said of it; None where there is nothing to show."""


def legend(
    scenario: str, title: str, reading: str, origin: str, notes: tuple[str, ...] = ()
) -> Legend:
    """Of a figure of a scenario; `origin` says how its numbers were made."""
    name = printable(scenario, 40)
    source = f"speskew: simulated, not measured; scenario {name}, {origin}"
    return Legend(f"{name}: {title} (predicted)", source, reading, notes)


def files(key: str, standing: Standing, forms: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """A figure in each of `forms`, by file name; empty where there is nothing to show.

    Each is drawn afresh: what matplotlib has drawn once comes out a little different again.
    """
    found: dict[str, bytes] = {}
    said: Legend | None = None
    for form in forms:
        if said is None or form != _WORDS:
            with styled(key):
                made = standing()
                if made is None:
                    return {}
                figure, said = made
                framed(figure, said)
                found[f"{key}.{form}"] = _WRITERS[form](figure, key, said)
        else:
            found[f"{key}.{form}"] = caption(said)
    return found


def framed(figure: Figure, said: Legend) -> None:
    """Put the title above and the source below."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + _MORE_IN)
    figure.suptitle(textwrap.fill(said.title, _TITLE_CHARS), x=0.01, ha="left", fontsize=11)
    source = textwrap.fill(said.source, _SOURCE_CHARS)
    figure.supxlabel(source, x=0.01, ha="left", fontsize=7)


def spoken(svg: bytes, key: str, said: Legend) -> bytes:
    """An SVG with its title and description, which screen readers and search engines read."""
    title, words = escape(said.title, quote=False), escape(said.reading, quote=False)
    head = (
        f'role="img" aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{title}</title><desc id="{key}-desc">{words}</desc>'
    )
    return re.sub(rb"(<svg [^>]*)>", lambda m: m[1] + b" " + head.encode(), svg, count=1)


def caption(said: Legend) -> bytes:
    """What stands under it in a paper: title, reading, notes, source."""
    paragraphs = [said.title, said.reading, *said.notes, f"{said.source}."]
    filled = (textwrap.fill(p, CAPTION_CHARS, break_on_hyphens=False) for p in paragraphs)
    return ("\n\n".join(filled) + "\n").encode()


_WRITERS: dict[str, Callable[[Figure, str, Legend], bytes]] = {
    "png": lambda figure, key, said: to_png(figure),
    "svg": lambda figure, key, said: spoken(to_file_svg(figure, key), key, said),
    _WORDS: lambda figure, key, said: caption(said),
}
