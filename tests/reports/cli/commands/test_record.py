"""`speskew record`: what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.exitcodes import ExitCode
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with the tiny scenario in it."""
    Path("tiny.yaml").write_text(TINY)


def test_record_refuses_what_it_cannot_do() -> None:
    """No such program, an ambiguous limit, a file in the way: 2 and a message."""
    for args in (["./absent"], ["--limit", "5", "./absent"]):
        done = call("record", *args)
        assert done.exit_code == ExitCode.USAGE
        assert done.stderr.startswith("speskew: ")
    Path("prog.spestream").write_text("precious")
    done = call("record", "--", "prog")
    assert done.exit_code == ExitCode.USAGE
    assert Path("prog.spestream").read_text() == "precious"
