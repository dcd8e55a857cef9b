"""Decisions in a result: written, read, refused where they contradict themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reports.results import lookup
from reports.results.damage import DamagedError
from reports.results.result import dumps, of_json, parse
from tests.reports import decided


def document() -> Any:
    """The result as JSON."""
    return json.loads(dumps(decided.result()))


def test_a_result_with_decisions_reads_back() -> None:
    """Equal, and each metric by its name."""
    result = decided.result()
    assert parse(dumps(result)) == result
    found = lookup.find(result, "arms.few.decisions.hot-functions.regret")
    assert found.mean is not None
    assert found.mean > 0


def test_answers_in_words() -> None:
    """The reference arm is none of the judged; what cannot be decided says why."""
    arms = decided.result().arms
    base = arms["baremetal"].decisions
    assert base["hot-functions"].answer == "not judged"
    assert base["hot-functions"].cell == "reference"
    assert base["sharing"].cell == "nothing to decide"
    assert "no memory is shared" in base["sharing"].words
    assert arms["v6"].decisions["hot-functions"].cell == "the same within ±1 %"
    assert arms["v6"].decisions["hot-functions"].answer == "same"
    assert arms["few"].decisions["hot-functions"].samples.value < 40


def test_a_regret_without_a_best_choice_is_damage() -> None:
    """One is there if the other is."""
    broken = document()
    broken["arms"]["v6"]["decisions"]["hot-functions"]["best"] = None
    with pytest.raises(DamagedError, match="something can be decided"):
        of_json(broken)


def test_results_of_before_have_none() -> None:
    """A result without the key is read as one that was not asked."""
    older = document()
    for arm in older["arms"].values():
        del arm["decisions"]
    assert of_json(older).arms["v6"].decisions == {}
