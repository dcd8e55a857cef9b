"""`speskew decide`: options, forms, mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import speskew
from sim.scenario.models.decisions import KINDS
from tests.reports.decided import TEXT
from tests.rigs.tiny import call


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run."""
    target: Path = tmp_path_factory.mktemp("runs") / "run"
    text = TEXT
    return str(speskew.run(text, band=False, progress=False).save(target, report=False))


def test_a_table(folder: str) -> None:
    """Of the kinds that were named, each once."""
    found = call("decide", folder, "--kind", "hot-functions", "--kind", "hot-functions", "-q")
    assert found.exit_code == 0, found.output
    assert found.stdout.count("hot-functions: ") == 1
    assert "1 of 3" in found.stdout  # as the scenario asked


def test_top_and_margin(folder: str) -> None:
    """As in a scenario."""
    found = call(
        "decide", folder, "--kind", "hot-functions", "--top", "2", "--margin", "60%", "-q",
        "--format", "json",
    )  # fmt: skip
    document = json.loads(found.stdout)
    one = document["arms"]["few"]["decisions"]["hot-functions"]
    assert one["chosen"] == "2 of 3 functions"
    assert one["margin"] == 0.6
    assert one["answer"] == "same"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--kind", "hot-page"), "did you mean 'hot-pages'"),
        (("--top", "0"), "or a share of them"),
        (("--margin", "0"), "above 0 %"),
        (("--margin", "3ms"), "--margin"),
    ],
)
def test_mistakes(folder: str, options: tuple[str, ...], said: str) -> None:
    """A line that says how to do better; exit code 2."""
    found = call("decide", folder, *options)
    assert found.exit_code == 2
    assert said in found.stderr


def test_help_names_every_kind() -> None:
    """The list in the option's help is that of scenarios."""
    text = "".join(call("decide", "--help").stdout.split())
    assert all(name in text for name in KINDS)
