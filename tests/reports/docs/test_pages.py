"""The reference pages: as generated, complete, and without markup by accident."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from analysis.columns import COLUMNS, ENTRIES, TABLES
from analysis.metrics import METRICS
from reports.cli.main import main
from reports.docs import pages
from sim.scenario.files.schema import schema
from sim.scenario.models.designs import DESIGNS, Policies
from sim.scenario.parameters import FACTS, PARAMETERS
from tests.rigs.pages import DOCS

FOLDER = DOCS / "reference"


@pytest.mark.skipif(
    os.environ.get("SPESKEW_INSTALLED") == "1", reason="the pages are part of the checkout"
)
@pytest.mark.parametrize("name", pages.PAGES)
def test_the_committed_page_is_the_generated_one(name: str) -> None:
    """If this fails, run `make docs`."""
    assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == pages.page(name)


def test_make_docs_writes_every_page(tmp_path: Path) -> None:
    """One file per page, and again without a change."""
    pages.write(tmp_path / "new")
    first = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    pages.write(tmp_path / "new")
    assert set(first) == {f"{name}.md" for name in pages.PAGES}
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == first


def commands(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Every command below a command, by its words."""
    yield " ".join(words), command
    if isinstance(command, click.Group):
        for name, inner in pages.inner_commands(command):
            yield from commands((*words, name), inner)


def test_every_command_and_option_has_its_line() -> None:
    """A heading per command, a row per option."""
    text = pages.page("cli")
    parts = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    for words, command in list(commands(("speskew",), main))[1:]:
        for option in (p for p in command.params if isinstance(p, click.Option)):
            assert re.search(rf"`{re.escape(option.opts[-1])}[ `]", parts[words]), option


def keys(rules: dict[str, Any]) -> Iterator[str]:
    """Names of all keys of all mappings of the schema, arms' overrides apart."""
    yield from rules["properties"]
    for name, definition in rules["definitions"].items():
        if name not in ("Overrides", "Policies", "Arm"):
            yield from definition["properties"]


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("scenario", set(keys(schema()))),
        ("metrics", {n for n in METRICS if "ledger." not in n}),
        ("metrics", {c.name for entries in ENTRIES.values() for c in entries}),
        ("columns", {*COLUMNS, *TABLES}),
        ("designs", set(Policies.model_fields)),
    ],
)
def test_every_name_has_its_row(page: str, names: set[str]) -> None:
    """Rows begin with the name."""
    rows = set(re.findall(r"^\| `([^`]+)` \|", pages.page(page), re.MULTILINE))
    assert names <= rows


def test_every_design_and_parameter_has_its_section() -> None:
    """Sections are called by name, and UNVERIFIED is said where it holds."""
    assert set(DESIGNS) < set(re.findall(r"^## (.*)$", pages.page("designs"), re.MULTILINE))
    text = pages.page("parameters")
    parts = dict(re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE))
    known = PARAMETERS | FACTS
    assert set(parts) == set(known)
    assert {n for n, said in parts.items() if "**UNVERIFIED**" in said} == {
        n for n, p in known.items() if p.unverified
    }


@pytest.mark.parametrize("name", pages.PAGES)
def test_tables_are_whole(name: str) -> None:
    """Every row of a table has as many cells as its head: no text breaks out of its cell."""
    width = 0
    for line in pages.page(name).splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert cells in (0, width) or not width, line
        width = cells


def test_text_stays_text() -> None:
    """Control: what would be markup in a cell is escaped."""
    assert list(pages.table(("a",), [(pages.prose("x|y <b> *"),)]))[2] == (r"| x\|y &lt;b> \* |")
