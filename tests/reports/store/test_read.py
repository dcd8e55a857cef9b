"""A run directory read back: whole, or refused with what is wrong and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.results.result import dumps
from reports.store import read
from reports.store.read import VersionError
from reports.store.rundir import RunDirError
from tests.rigs.samples import described, plain


def run_of(folder: Path, text: str) -> Path:
    """A folder with this result.json."""
    (folder / "result.json").write_text(text)
    return folder


def test_a_result_comes_back(tmp_path: Path) -> None:
    """As it was written."""
    made = described()
    assert read.read_result(run_of(tmp_path, dumps(made))) == made


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.pop("result_version"), "result_version: is missing"),
        (lambda d: d.update(result_version="1"), "must be a whole number"),
        (lambda d: d.update(cells=[]), "is a sweep; name one of its cells"),
        (lambda d: d.pop("seed"), "seed: is missing; run the scenario again"),
    ],
)
def test_damage_is_named(
    change: Callable[[dict[str, object]], object], says: str, tmp_path: Path
) -> None:
    """The key, and what is wrong with it."""
    document = plain()
    change(document)
    with pytest.raises(RunDirError, match=says):
        read.read_result(run_of(tmp_path, json.dumps(document)))


def test_another_version_is_another_error(tmp_path: Path) -> None:
    """Its exit code is that of a baseline: it is not damaged, only made by another program."""
    document = plain() | {"result_version": 0}
    with pytest.raises(VersionError, match="has version 0"):
        read.read_result(run_of(tmp_path, json.dumps(document)))


def test_what_is_no_run(tmp_path: Path) -> None:
    """No file, no JSON, no text."""
    with pytest.raises(RunDirError, match=r"is no run directory: result\.json: No such file"):
        read.read_result(tmp_path)
    with pytest.raises(RunDirError, match="is no result of speskew"):
        read.read_result(run_of(tmp_path, "{"))
    (tmp_path / "result.json").write_bytes(b"\xff")
    with pytest.raises(RunDirError, match="is no result of speskew"):
        read.read_result(tmp_path)
