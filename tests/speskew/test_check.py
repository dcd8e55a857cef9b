"""Checks of a run: those of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

import speskew
from tests.rigs.tiny import TINY, call

CHECKS = ("same", "gaps", "exits")


def test_checks_are_the_command_lines(folder: Path, made: speskew.Run) -> None:
    """Of a run in memory, its directory and its scenario: the same findings."""
    said = call("check", str(folder / "cli"))
    for target in (speskew.load(folder / "cli"), folder / "cli", made, "tiny.yaml"):
        found = speskew.check(target)
        assert str(found) == said.stdout
        assert found.passed is (said.exit_code == 0) is True
        assert list(found.frame["check"]) == list(CHECKS)
        assert list(found.frame["verdict"]) == [f.verdict.status.value for f in found.findings]
    assert ">UNDECIDED<" in found._repr_html_() or ">PASS<" in found._repr_html_()
    with pytest.raises(TypeError, match="are for a scenario"):
        speskew.check(made, replications=2)


def test_checks_that_fail_or_cannot_be_asked(folder: Path) -> None:
    """Not passed; an error with the text of the command."""
    text = TINY + "checks: [{test: bound, metric: arms.cold.loss.total, at_most: 1%}]\n"
    found = speskew.check(text)
    assert not found.passed
    assert [f.verdict.status.value for f in found.findings] == ["FAIL"]
    Path("odd.yaml").write_text(text.replace("loss.total", "loss.totl"))
    with pytest.raises(speskew.CheckError) as caught:
        speskew.check("odd.yaml", replications=1)
    refused = call("check", "odd.yaml", "-q", "--replications", "1")
    assert refused.stderr == f"speskew: {caught.value}\n"
    matrix = TINY + "matrix: {vm.vcpus: [1, 2]}\n"
    with pytest.warns(UserWarning, match="the scenario without its cells"):
        speskew.check(matrix, replications=1)
