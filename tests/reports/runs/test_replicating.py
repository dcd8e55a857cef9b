"""Replications in batches."""

from __future__ import annotations

import pytest

from reports.runs import replicating
from sim.results import RunResult
from sim.runs import batch
from sim.scenario.files import loader
from tests.rigs.tiny import scenario

pytestmark = pytest.mark.usefixtures("own_folder")


def test_further_batches_simulate_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look costs its own replications: no unit runs twice."""
    ran: list[str] = []
    real = batch.run_unit

    def counted(unit: batch.Unit) -> RunResult:
        ran.append(unit.key)
        return real(unit)

    monkeypatch.setattr(batch, "run_unit", counted)
    rule = "until: {metric: arms.cold.loss.total, half_width: 0.0001%, batch: 1, max: 5}\n"
    made = loader.load(scenario(more=rule))
    done = replicating.simulate(
        made, engine="fast", jobs=1, band=False, watched=frozenset(), progress=lambda *_: None
    )
    assert done.scenario.replications == 5
    assert len(ran) == len(set(ran)) == 15
