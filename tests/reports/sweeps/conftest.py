"""What several files of this room begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reports import drawing
from tests.rigs.swept import MATRIX
from tests.rigs.tiny import TINY, call

# --- as a user


@pytest.fixture
def swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep's folder beside a run's; a figure for each metric."""
    monkeypatch.chdir(tmp_path)
    drawing.of_sweep(monkeypatch, 1)
    Path("s.yaml").write_text(TINY + MATRIX)
    assert call("sweep", "s.yaml", "-o", "runs/sweep", "-q").exit_code == 0
    return Path("runs/sweep")
