"""Replications in batches."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from reports.runs import replicating
from sim import children
from sim.cache import compiled as cache
from sim.results import RunResult
from sim.runs import batch, warming
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


@pytest.mark.parametrize("decides", [True, False])
def test_who_would_wait_compiles_too(decides: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first units, and what records are asked only if they are; where all is compiled,
    nothing."""
    asked: list[list[str]] = []
    begun: list[list[str]] = []

    real = children.start

    def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
        begun.append(command[3:])
        return real([sys.executable, "-c", ""], **options)

    monkeypatch.setattr(warming, "compile_parts", asked.append)
    monkeypatch.setattr(children, "start", start)
    made = loader.load("quickstart" if decides else "synthetic")
    needs = made.decisions.needs if made.decisions else ()
    unit = batch.Unit(made.arms[0], made.seed, 0, "fast", keep_records=False, sightings=needs)
    for held in (True, False):
        monkeypatch.setattr(cache, "holds", lambda function, held=held: held)
        with replicating.memo(1) as execute:
            assert [index for index, _ in execute([unit])] == [0]
        assert bool(begun) == bool(asked) == (not held)
    assert asked == [["places", "decisions"] if decides else ["places"]]
    assert begun == [[*parts] for parts in warming.ASIDE]
