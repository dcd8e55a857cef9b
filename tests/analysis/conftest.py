"""What several files of these rooms begin with."""

from __future__ import annotations

import pytest

from sim.runs import batch
from sim.runs.batch import ArmResult
from sim.scenario.files import loader
from tests.analysis.compared import TEXT


@pytest.fixture(scope="session")
def arms(tmp_path_factory: pytest.TempPathFactory) -> tuple[ArmResult, ...]:
    """baremetal, v6, cold under resync, with twins and bands."""
    path = tmp_path_factory.mktemp("compared") / "compared.yaml"
    path.write_text(TEXT)
    return batch.run(loader.load(path), band=True)
