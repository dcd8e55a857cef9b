"""What several files of this room begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.runs import batch
from sim.runs.batch import ArmResult
from sim.scenario.files.loader import load
from sim.scenario.models.scenario import Scenario
from tests.sim.runs.scenarios import BASE, TEXT, loaded


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    """Two arms of a million ops."""
    file = tmp_path / "s.yaml"
    file.write_text(TEXT)
    return load(file)


@pytest.fixture(scope="session")
def arms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ArmResult]:
    """The arms by name, everything kept."""
    scenario = loaded(tmp_path_factory.mktemp("hold"), BASE % "")
    return {a.arm.name: a for a in batch.run(scenario, keep_records=True, band=True)}
