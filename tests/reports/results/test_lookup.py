"""Metrics by dotted name: found, or an error that names the nearest."""

from __future__ import annotations

import pytest

from reports.results import lookup
from tests.rigs.fakes import Plan
from tests.rigs.samples import described

FOUND = described((Plan(lost=7), Plan(name="v6.1", design="v6", lost=9, exits=2)))


def test_every_metric_of_a_result_is_found_by_its_name() -> None:
    """Nothing is listed twice: whatever `result.json` has is there, with its own numbers."""
    found = lookup.metrics(FOUND)
    assert len(found) > 100
    for name, node in found.items():
        assert lookup.find(FOUND, name) is node
        estimate = lookup.metric(FOUND, name)
        assert (estimate.mean, estimate.unit) == (node.mean, node.unit)


def test_names_of_arms_may_hold_dots() -> None:
    """`arms.v6.1.rlimit.exits` is the arm v6.1's."""
    assert lookup.number(FOUND, "arms.v6.1.rlimit.exits") == (20, "")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("arms.v6.1.rlimit.exit", "arms.v6.1.rlimit.exits"),
        ("arms.v7.loss.total", "arms.v6.1"),
        ("arms.baremetal.loss.totl", "arms.baremetal.loss.total"),
        ("loss.total", "no such metric"),
        ("arms.baremetal.loss.total.mean.x", "no such metric"),
    ],
)
def test_unknown_names_have_neighbours(name: str, said: str) -> None:
    """What is not there is an error with what is near."""
    with pytest.raises(lookup.UnknownMetricError, match="no such metric") as error:
        lookup.find(FOUND, name)
    assert said in str(error.value)


def test_plain_numbers_and_branches_are_no_metrics() -> None:
    """The message says what they are."""
    with pytest.raises(lookup.UnknownMetricError, match="use test: exact"):
        lookup.metric(FOUND, "arms.v6.1.rlimit.exits")
    with pytest.raises(lookup.UnknownMetricError, match="a branch"):
        lookup.metric(FOUND, "arms.v6.1.loss")
    with pytest.raises(lookup.UnknownMetricError, match="no number"):
        lookup.number(FOUND, "arms.v6.1.setup.backing")


def test_counters_add_up_to_the_ledger() -> None:
    """Per replication; their sums are the totals of `result.json`, under the same names."""
    rows = lookup.counters(FOUND)
    totals = {k: sum(v) for k, v in rows.items() if ".ledger." in k}
    assert len(totals) > 50
    for name, total in totals.items():
        assert lookup.number(FOUND, name)[0] == total
    assert rows["arms.v6.1.each.rlimit_exits"] == [2] * 10
    assert all(isinstance(x, int) for row in rows.values() for x in row)
