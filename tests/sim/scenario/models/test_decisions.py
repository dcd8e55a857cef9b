"""`decisions:` of a scenario: what may stand there, and what is said of what may not."""

from __future__ import annotations

import pytest

from sim.runs.seen.sightings import EDGES, LINES, PAGES, WAITS
from sim.scenario.files import loader
from sim.scenario.files.document import ScenarioError
from sim.scenario.files.given import of_text
from sim.scenario.models.decisions import KINDS, Decisions, checked_top
from sim.scenario.models.scenario import Scenario

BASE = "workload: {kind: synthetic, phases: [{name: a, length: 9, iterations: 9}]}\n"
BASE += "arms: [baremetal]\ndecisions: "


def loaded(text: str) -> Scenario:
    """A scenario with these decisions."""
    return loader.load(of_text(BASE + text))


def test_nothing_is_asked_by_default() -> None:
    """And then nothing is dumped."""
    scenario = loader.load(of_text(BASE.replace("decisions: ", "")))
    assert scenario.decisions is None
    assert "decisions" not in loader.dump(scenario)


def test_what_is_asked_survives_a_dump() -> None:
    """Kinds in their order, top and margin."""
    scenario = loaded("{kinds: [layout, hot-pages], top: 5%, margin: 0.02}")
    again = loader.load(of_text(loader.dump(scenario)))
    assert again.decisions == scenario.decisions
    assert again.decisions == Decisions(kinds=("layout", "hot-pages"), top="5%", margin=0.02)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{kinds: [hot-page]}", "did you mean 'hot-pages'"),
        ("{kinds: []}", "decisions.kinds"),
        ("{kinds: [layout], top: 0}", "decisions.top"),
        ("{kinds: [layout], top: 101%}", "decisions.top"),
        ("{kinds: [layout], top: ten}", "or a share of them, e.g. 10%"),
        ("{kinds: [layout], margin: 0}", "decisions.margin"),
        ("{kind: layout}", "unknown key"),
    ],
)
def test_mistakes_are_named(text: str, said: str) -> None:
    """With their key."""
    with pytest.raises(ScenarioError, match=said):
        loaded(text)


@pytest.mark.parametrize("top", ["1", "20", "10%", "0.5%", "100%", 7])
def test_tops(top: object) -> None:
    """Numbers and shares."""
    assert checked_top(top) == str(top)


def test_records_are_needed_for_addresses_only() -> None:
    """Hot functions come from profiles, pages from records."""
    assert Decisions(kinds=("hot-functions", "hot-instructions")).needs == ()
    assert Decisions(kinds=("hot-functions", "layout")).needs == (EDGES,)
    assert Decisions(kinds=("layout", "hot-pages", "hot-pages-2MiB")).needs == (EDGES, PAGES)
    assert set(KINDS.values()) == {"", EDGES, LINES, PAGES, WAITS}
