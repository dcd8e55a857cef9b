"""Lengths of blackouts: the curves that cost most, or no figure."""

from __future__ import annotations

from reports.figures import blackouts
from tests.reports.figures.plans import MANY
from tests.rigs.fakes import Plan
from tests.rigs.samples import described, tables


def test_only_the_curves_that_cost_most() -> None:
    """Twenty arms that lose: seven curves, those of the arms that lost most."""
    plans = tuple(Plan(name=f"arm{k}", design="v6", lost=100 + k, seed=k) for k in range(20))
    made = blackouts.figure(described(plans), tables(plans))
    assert made is not None
    labels = [str(line.get_label()) for line in made.axes[0].lines]
    assert [label.split(":")[0] for label in labels] == [f"arm{k}" for k in range(13, 20)]


def test_no_blackouts_no_figure() -> None:
    """An arm that lost nothing has no curve."""
    plans = (Plan(lost=0),)
    assert blackouts.figure(described(plans), tables(plans)) is None
    assert blackouts.figure(described(MANY), tables(MANY)) is not None
