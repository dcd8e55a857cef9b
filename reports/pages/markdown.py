"""report.md: the sentences and the table at a glance, for a mail or a merge request."""

from __future__ import annotations

import re

from reports.pages import glance, sentences, summary
from reports.results.result import Result
from reports.store.rows import Tables
from reports.text import printable

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~#&$@]|(?<=:)/|(?<=www)\.")
"""What Markdown, HTML in it or a forge takes for markup, a link or a mention."""
_LIST = re.compile(r"^(\d*)([-+=.)])")
"""What makes a list or a heading of a line, at its start."""
_WORD = re.compile(r"(?<=[A-Za-z0-9])\\_(?=[A-Za-z0-9])")
"""An underscore inside a word is no emphasis."""


def escaped(text: str) -> str:
    """Text of other people as plain Markdown text inside a line."""
    return _WORD.sub("_", _SPECIAL.sub(_spelt, printable(text).strip()))


def paragraph(text: str) -> str:
    """Text of other people as a line of its own."""
    return _LIST.sub(r"\1\\\2", escaped(text))


def _spelt(found: re.Match[str]) -> str:
    """A forge links after a backslash too: those characters become entities."""
    char = found.group()
    return f"&#{ord(char)};" if char in "@/." else f"\\{char}"


def render(result: Result, tables: Tables) -> str:
    """The small report."""
    lines = [
        f"# {escaped(result.scenario)}: prediction",
        "",
        paragraph(result.question),
        "",
        f"Simulated, not measured. {len(result.arm_order)} arms, {result.replications} "
        f"replications, seed {result.seed}; intervals are 95 % over replications.",
    ]
    if result.interrupted:
        lines += ["", f"**{summary.INTERRUPTED}**"]
    for doubt in summary.doubts(result):
        lines += ["", f"{escaped(doubt)}."]
    for name in result.arm_order:
        said = " ".join(sentences.of_arm(name, result, tables))
        lines += ["", f"* **{escaped(name)}** — {escaped(said)}"]
        asked = "; ".join(summary.asked_lines(result.arms[name]))
        if asked:
            lines += [f"  Not run as asked: {escaped(asked)}."]
    lines += ["", *table(glance.HEAD, glance.rows(result)), ""]
    lines += [summary.LOSS_NOTE, summary.EXIT_NUMBER_NOTE]
    return "\n".join(lines) + "\n"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """A table; the first column is text, the others are numbers."""
    rule = "|---|" + "---:|" * (len(head) - 1)
    body = ["| " + " | ".join(escaped(cell) for cell in row) + " |" for row in (head, *rows)]
    return [body[0], rule, *body[1:]]
