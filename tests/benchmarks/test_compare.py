"""Benchmarks' files and their comparison; not a benchmark itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import compare
from tests.benchmarks.recording import Measured, dumps

HERE = {"python": "3.11", "cpu": "x", "cpus": 2, "system": "y", "packages": {}}


def written(path: Path, slower: float, rate: float, cpu: str = "x") -> str:
    """A file with a time and a rate."""
    measured = [
        Measured("targeted", "a", 10 * slower, "ns/sample", ""),
        Measured("targeted", "b", rate, "M samples/s", ">= 1"),
    ]
    path.write_text(dumps(measured, HERE | {"cpu": cpu}))
    return str(path)


@pytest.mark.parametrize(
    ("slower", "rate", "code"), [(1.0, 5.0, 0), (1.2, 4.5, 0), (1.5, 5.0, 1), (1.0, 3.0, 1)]
)
def test_exit_code_says_worse(
    slower: float, rate: float, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Slower times and lower rates are worse; little differences are not."""
    a, b = written(tmp_path / "a", 1.0, 5.0), written(tmp_path / "b", slower, rate)
    assert compare.main([a, b]) == code
    assert ("WORSE" in capsys.readouterr().out) == bool(code)


def test_other_machines_are_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A ratio between two processors is not about the code alone."""
    a, b = written(tmp_path / "a", 1.0, 5.0), written(tmp_path / "b", 1.0, 5.0, cpu="z")
    assert compare.main([a, b]) == 0
    assert "different cpu" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{", "[]", '{"bench_version": 99}', "{}"])
def test_files_that_are_none(text: str, tmp_path: Path) -> None:
    """Exit 2, no traceback."""
    (tmp_path / "b").write_text(text)
    assert compare.main([written(tmp_path / "a", 1.0, 5.0), str(tmp_path / "b")]) == 2
    assert compare.main([str(tmp_path / "none"), str(tmp_path / "b")]) == 2
