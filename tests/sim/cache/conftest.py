"""What several files of this room begin with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sim.cache import home
from sim.workload.index import Index, load_index
from tests.sim.cache.kept import PRESET, THREAD


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Index]:
    """A cache with an unharmed entry, and the index."""
    root = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPESKEW_CACHE", str(root))
        return root, load_index(THREAD, PRESET, False)


@pytest.fixture
def cache(whole: tuple[Path, Index], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in a process that has read and said nothing yet."""
    shutil.copytree(whole[0], tmp_path / "cache")
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(home, "STATE", home.State())
    return tmp_path / "cache"
