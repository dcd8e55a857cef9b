"""Comparisons: those of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

import speskew
from tests.rigs.tiny import call


def test_comparisons_are_the_command_lines(folder: Path, made: speskew.Run) -> None:
    """Of directories, runs and arms, as text, HTML and frame."""
    loaded = speskew.load("cli")
    said = call("compare", "cli:baremetal", "cli:cold").stdout
    for a, b in (
        ("cli:baremetal", "cli:cold"),
        (loaded.arms["baremetal"], loaded.arms["cold"]),
    ):
        assert str(speskew.compare(a, b)) == said
    both = speskew.compare(loaded, Path("cli"), everything=True)
    assert str(both) == call("compare", "cli", "cli", "-v").stdout
    found = speskew.compare(made.arms["baremetal"], made.arms["cold"])
    assert str(found) == said.replace("cli:", f"{made.called}:")
    frame = found.frame.set_index("quantity")
    lost = frame.loc["ops lost"]
    arms = made.arms
    assert lost["difference"] == pytest.approx(
        100 * ((arms["cold"].loss.mean or 0) - (arms["baremetal"].loss.mean or 0))
    )
    assert lost["low"] < lost["difference"] < lost["high"]
    assert frame.loc["RLIMIT exits", "exact"]
    html = found._repr_html_()
    assert f"A = {made.called}:baremetal, B = {made.called}:cold" in html
    assert "UPPER BOUND" in html
    assert f"{made.called}:cold is an UPPER BOUND, not an expectation" in found.notes
    with pytest.raises(speskew.RunDirError, match="absent: no such run directory"):
        speskew.compare(made, "absent")
