"""`report spe --decisions` on a capture of known records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.rigs import perf_file
from tests.rigs.tiny import command

call = command("report", "spe")


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """400 loads of three addresses, as `perf record` leaves them."""
    path = tmp_path / "perf.data"
    path.write_bytes(perf_file.three_loads())
    return path


def test_a_line_a_kind(capture: Path) -> None:
    """Instructions and loads can be decided; without the option nothing is said of it."""
    done = call(capture, "--decisions")
    assert done.exit_code == 0, done.output
    assert (
        "hot-instructions: 3 of 3 items, 400 records: by one half in the other 0 %" in done.stdout
    )
    assert "slow-loads: 3 of 3 items" in done.stdout
    assert "Would you decide" not in call(capture).stdout


def test_json_has_them_if_asked(capture: Path) -> None:
    """By kind; not there otherwise."""
    asked = json.loads(call(capture, "--decisions", "--format", "json").stdout)
    assert asked["decisions"]["hot-instructions"]["records"] == 400
    assert set(asked["decisions"]["hot-instructions"]["thinned"]) == {"2", "4", "10"}
    assert "layout" not in asked["decisions"]
    assert "decisions" not in json.loads(call(capture, "--format", "json").stdout)
