"""The block for a mail: plain, narrow, and with a command that makes the same run."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.pages import letter
from reports.store.read import read
from tests.rigs.samples import source
from tests.rigs.tiny import TINY, call


def test_it_is_plain_and_narrow() -> None:
    """72 columns; every arm with its answer; it says that nothing was measured."""
    made = source()
    text = letter.render(made)
    assert max(map(len, text.splitlines())) <= letter.COLUMNS
    assert "simulated, not measured" in text.splitlines()[0]
    for name in made.result.arm_order:
        assert f"* {name}" in text
    assert "scenario.resolved.yaml" in text.splitlines()[-1]


@pytest.mark.parametrize("asked", [(), ("--replications", "2"), ("--seed", "5")])
def test_a_stock_scenario_is_named(asked: tuple[str, ...], own_folder: Path) -> None:
    """With what it was told, and only if nothing else was changed."""
    call("run", "synthetic", *asked, "-o", "out", "--no-report", "--no-band")
    last = letter.render(read(Path("out"))).splitlines()[-1]
    assert last == " ".join(["  speskew run synthetic", *asked])


def test_what_was_changed_is_no_stock_scenario(own_folder: Path) -> None:
    """The file is needed then, as of one's own scenario."""
    call("run", "synthetic", "--set", "vm.vcpus=2", "-o", "out", "--no-report", "--no-band")
    assert "scenario.resolved.yaml" in letter.render(read(Path("out"))).splitlines()[-1]
    Path("tiny.yaml").write_text(TINY)
    call("run", "tiny.yaml", "-o", "own", "--no-report", "--no-band")
    assert call("show", "own", "--format", "mail").stdout == letter.render(read(Path("own")))
    assert "scenario.resolved.yaml" in letter.render(read(Path("own")))
