"""Pages from templates: escaped by default, nothing undefined, our own CSS inline."""

from __future__ import annotations

from functools import cache
from importlib import resources

import jinja2
from markupsafe import Markup

from reports.text import number, percent, printable, symbol


def render(template: str, **values: object) -> str:
    """The page of a template of this package; `css` is defined in it."""
    return _compiled(template).render(css=Markup(_resource("report.css")), **values)


@cache
def _compiled(template: str) -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "printable": printable,
        "symbol": symbol,
        "percent": percent,
        "number": number,
        "tight": _tight,
    }
    return environment.from_string(_resource(template))


def _tight(text: str) -> str:
    """A number and its percent sign stay on one line."""
    return text.replace(" %", "\u00a0%")


def _resource(name: str) -> str:
    return resources.files("reports.pages").joinpath(name).read_text(encoding="utf-8")
