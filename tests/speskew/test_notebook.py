"""A notebook, executed by a kernel: progress, tables and figures are seen in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from reports import notebook
from tests.rigs.pages import ROOT
from tests.rigs.tiny import TINY

CELLS = (
    "import speskew",
    'run = speskew.run("tiny.yaml", jobs=2, replications=2)',
    "run",
    'run.figure("ledgers")',
    'speskew.compare(run.arms["baremetal"], run.arms["cold"])',
    'print(run.arms["v6"].loss.n)',
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """What each cell shows."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "tiny.yaml").write_text(TINY)
    book = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[nbformat.v4.new_code_cell(text) for text in CELLS]  # type: ignore[no-untyped-call]
    )
    client = NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return [cell["outputs"] for cell in book["cells"]]


def test_progress_is_one_line_that_stays(outputs: list[list[Any]]) -> None:
    """Updated in place to the end of the timelines, as a bar and as text; nothing on stderr."""
    assert outputs[0] == []
    (shown,) = outputs[1]
    assert shown["output_type"] == "display_data"
    assert shown["data"]["text/plain"].startswith("3/3 timelines, ")
    assert '<progress value="3" max="3">' in shown["data"]["text/html"]


def test_a_run_is_its_glance_table(outputs: list[list[Any]]) -> None:
    """As HTML, with the arms."""
    (shown,) = outputs[2]
    assert "<table>" in shown["data"]["text/html"]
    assert "cold (upper bound)" in shown["data"]["text/html"]


def test_a_figure_is_a_picture(outputs: list[list[Any]]) -> None:
    """Although pyplot was never imported."""
    (shown,) = outputs[3]
    assert shown["data"]["image/png"]


def test_a_comparison_is_a_table(outputs: list[list[Any]]) -> None:
    """And what is printed is printed."""
    (shown,) = outputs[4]
    assert "A = tiny:baremetal, B = tiny:cold" in shown["data"]["text/html"]
    (printed,) = outputs[5]
    assert printed["text"] == "2\n"


def test_the_checkout_is_found() -> None:
    """Control: the kernel is this environment's, so that the cells above test this code."""
    assert Path(notebook.__file__).is_relative_to(ROOT) or "site-packages" in notebook.__file__
