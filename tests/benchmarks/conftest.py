"""Writes what a benchmark session measured to $SPESKEW_BENCH, or to runs/bench/<time>.json."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.benchmarks import recording


def pytest_sessionfinish() -> None:
    """Nothing is written where nothing was measured."""
    if not recording.MEASURED:
        return
    named = os.environ.get("SPESKEW_BENCH")
    path = Path(named) if named else Path("runs/bench", time.strftime("%Y%m%d-%H%M%S.json"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(recording.dumps(recording.MEASURED, recording.environment()), encoding="utf-8")
    print(f"\n{path}")
