"""The garbage collector: as it was, after the block too."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from sim.collecting import SELDOM, USUAL, seldom, usual
from sim.runs import batch
from sim.scenario.files import loader


def test_as_it_was_at_the_end() -> None:
    """Also after an error."""
    usual = gc.get_threshold()
    with pytest.raises(KeyError), seldom():  # noqa: PT012
        assert gc.get_threshold() == SELDOM
        raise KeyError
    assert gc.get_threshold() == usual


def test_a_unit_is_run_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever verb asks for it: garbage of a simulation is not kept for as long as a program's."""
    found: list[tuple[int, int, int]] = []
    real = vars(batch)["simulate"]

    def simulated(*args: Any) -> Any:
        found.append(gc.get_threshold())
        return real(*args)

    monkeypatch.setattr(batch, "simulate", simulated)
    scenario = loader.load("synthetic")
    unit = batch.Unit(scenario.arms[0], scenario.seed, 0, "fast", keep_records=False)
    with seldom():
        batch.run_unit(unit)
        assert gc.get_threshold() == SELDOM
        with usual():
            assert gc.get_threshold() == USUAL
    assert found == [USUAL]
    assert USUAL != SELDOM
