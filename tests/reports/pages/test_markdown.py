"""report.md: short, and no name in it is markup."""

from __future__ import annotations

import re

import pytest

from reports.pages import markdown
from tests.rigs.samples import EVIL, PLANS, described, tables


def test_small_report_has_sentences_and_the_table() -> None:
    """One bullet an arm, one row an arm."""
    text = markdown.render(described(), tables())
    assert text.startswith("# made \\<up\\>: prediction\n")
    assert len(re.findall(r"^\* \*\*", text, re.MULTILINE)) == len(PLANS)
    assert len(re.findall(r"^\| ", text, re.MULTILINE)) == 1 + len(PLANS)
    assert text == markdown.render(described(), tables())


@pytest.mark.parametrize(
    "text",
    [
        EVIL,
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "![x](http://evil/)",
        "`code`",
        "a|b",
        "*bold* _em_",
        "@everyone #1",
        "https://evil.example",
        "www.evil.example",
        "# head",
        "$x^2$",
        "&lt;",
        "~~gone~~",
        "line\n\n* item",
    ],
)
def test_markdown_is_defused(text: str) -> None:
    """No character that makes markup, a link or a mention stands without its escape."""
    safe = markdown.escaped(text)
    bare = re.sub(r"\\[^\w\s]|&#\d+;", "", safe)
    assert not re.search(r"[`*\[\]<>|~#$@]|://|www\.|\n|&(?!#)", bare), safe


@pytest.mark.parametrize("text", ["1. one", "12) two", "- three", "+ four", "=====", "> quote"])
def test_paragraphs_begin_no_list(text: str) -> None:
    """A line of its own that would be a list, a quote or a heading."""
    assert not re.match(r"(\d*[-+=.)>])", markdown.paragraph(text))
    assert markdown.paragraph("plain_words here") == "plain_words here"
