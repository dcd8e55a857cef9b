"""Tables for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, notes: Sequence[str] = ()
) -> str:
    """Rows of text below a head; the first column names a row. Everything is escaped."""
    cells = [
        f'<th style="text-align:left">{escape(first)}</th>'
        + "".join(f'<td style="text-align:right">{escape(cell)}</td>' for cell in rest)
        for first, *rest in rows
    ]
    return "".join(
        (
            f'<table><caption style="text-align:left">{escape(caption)}</caption><thead><tr>',
            *(f"<th>{escape(cell)}</th>" for cell in head),
            "</tr></thead><tbody>",
            *(f"<tr>{row}</tr>" for row in cells),
            "</tbody></table>",
            *(f"<div>{escape(note)}</div>" for note in notes),
        )
    )


def text(shown: str) -> str:
    """Text as it would be on a terminal."""
    return f"<pre>{escape(shown)}</pre>"
