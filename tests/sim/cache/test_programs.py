"""Compiled programs in the cache: made once, whole or made again, beside it if it keeps nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.cache import home, sealed
from sim.cache.programs import Kind, program

LIBRARY, RUN = Kind("plugin", 1 << 10), Kind("driver", 1 << 10, 0o700)

Make = Callable[[], bytes]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was compiled; the cache is empty, and nothing has been said."""
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(home, "STATE", home.State())
    return []


def compiler(made: list[str]) -> Make:
    """One that says when it was asked."""
    return lambda: made.append("compiled") or b"code"  # type: ignore[func-returns-value]


def nowhere() -> Path:
    """No spare folder is wanted."""
    raise AssertionError


@pytest.mark.parametrize("kind", [LIBRARY, RUN])
def test_made_once(kind: Kind, made: list[str], tmp_path: Path) -> None:
    """The second time it is there, under its name, with the kind's mode."""
    path = program(kind, "p-1", compiler(made), nowhere)
    assert program(kind, "p-1", compiler(made), nowhere) == path == tmp_path / "cache" / "p-1"
    assert made == ["compiled"]
    assert path.read_bytes().startswith(b"code")
    assert os.access(path, os.X_OK) == (kind is RUN)


@pytest.mark.parametrize("harm", ["cut", "mode"])
def test_what_is_not_whole_is_made_again(
    harm: str, made: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Other bytes are said, a mode is put right."""
    path = program(RUN, "p-1", compiler(made), nowhere)
    whole = path.read_bytes()
    if harm == "cut":
        path.write_bytes(whole[:-1])
    else:
        path.chmod(0o600)
    assert program(RUN, "p-1", compiler(made), nowhere) == path
    assert made == ["compiled", "compiled"]
    assert path.read_bytes() == whole
    assert os.access(path, os.X_OK)
    said = capsys.readouterr().err
    assert ("this driver is not used, but compiled again" in said) == (harm == "cut")


def test_without_a_cache(made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies in the spare folder."""
    monkeypatch.setattr(home, "root", lambda: None)
    assert program(LIBRARY, "p-1", compiler(made), lambda: tmp_path) == tmp_path / "p-1"


def test_a_cache_that_cannot_be_written(
    made: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The spare folder again, and why."""

    def full(_path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sealed, "write", full)
    path = program(RUN, "p-1", compiler(made), lambda: tmp_path)
    assert (path, path.read_bytes()) == (tmp_path / "p-1", b"code")
    assert os.access(path, os.X_OK)
    assert capsys.readouterr().err.endswith(
        "cache/p-1: No space left on device; the compiled driver is not kept\n"
    )
