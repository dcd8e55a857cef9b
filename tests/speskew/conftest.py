"""A run by the command line, and the same by the package, once for all files of this room."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import pytest

import speskew
from tests.reports import drawing
from tests.rigs.tiny import call, scenario

CHECKS = ("same", "gaps", "exits")
FIGURES = ("ledgers", "losses", "timeline-2")
"""The files of these are written."""


@pytest.fixture(scope="session")
def by_command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario and what `speskew run` makes of it, in `cli`."""
    here = tmp_path_factory.mktemp("api")
    with chdir(here), pytest.MonkeyPatch.context() as patch:
        drawing.only(patch, *FIGURES)
        scenario(*CHECKS)
        done = call("run", "tiny.yaml", "-o", "cli", "--keep-records", "--figures", "-q")
    assert done.exit_code == 0, done.output
    return here


@pytest.fixture
def folder(by_command: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as the current folder."""
    monkeypatch.chdir(by_command)
    return by_command


@pytest.fixture(scope="session")
def made(by_command: Path) -> speskew.Run:
    """The same run, in memory."""
    with chdir(by_command):
        return speskew.run("tiny.yaml", keep_records=True)
