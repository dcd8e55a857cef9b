"""What a module that records programs begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.workload.recording.recorder import compile_plugin
from tests.needs import RECORDING, need


@pytest.fixture(scope="module")
def tools() -> None:
    """Without the tools these tests fail in CI and are skipped elsewhere."""
    need(*RECORDING)


@pytest.fixture(scope="module")
def cache(tools: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the module's own, so that the plugin is compiled from today's source."""
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPESKEW_CACHE", str(path))
        compile_plugin(path)
    return path


@pytest.fixture
def use_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All recordings of the module use that cache."""
    monkeypatch.setenv("SPESKEW_CACHE", str(cache))
