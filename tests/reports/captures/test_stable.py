"""`report spe --decisions` on a capture of known records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.rigs import perf_file
from tests.rigs.spe_bytes import load, variable
from tests.rigs.tiny import command

call = command("report", "spe")


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """400 loads of three addresses, as `perf record` leaves them."""
    records = b"".join(variable(load(0x400100 + 4 * (k % 3), 1000 + 300 * k)) for k in range(400))
    events = [
        perf_file.time_conv(),
        perf_file.INFO_V2,
        perf_file.comm(42, b"prog"),
        perf_file.aux(0, len(records), 0),
        perf_file.auxtrace(records, 0),
    ]
    path = tmp_path / "perf.data"
    data = perf_file.perf_data(events, config=1 | 1 << 16, period=4096, command=[b"perf"])
    path.write_bytes(data)
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
