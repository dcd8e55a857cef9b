"""A known answer: where a VM's profile costs page hits, and where it does not.

Tried by hand on a program with a skewed page popularity: the arm whose skew is detected
(`unpinned-cold`) changes no placement, the one that keeps 5,500 samples of 60,000
(`unpinned-error`) costs 5.4 points of page hits, and baremetal thinned to as many samples nearly
all of these. The stock scenario `hot-pages` is such a program.
"""

from __future__ import annotations

import pytest

import speskew
from reports.results.decision import Decision


@pytest.fixture(scope="module")
def found() -> dict[str, Decision]:
    """Decisions about pages of 4 KiB by arm."""
    run = speskew.run("hot-pages", band=False, progress=False, replications=12)
    return {name: arm.result.arms[name].decisions["hot-pages"] for name, arm in run.arms.items()}


def test_baremetal_loses_next_to_nothing(found: dict[str, Decision]) -> None:
    """About 60,000 samples place the pages as the truth would, within a point."""
    assert 55_000 < found["baremetal"].samples.value < 65_000
    assert found["baremetal"].regret.value < 0.01


def test_few_samples_cost_page_hits(found: dict[str, Decision]) -> None:
    """About 5,500 left; about 5 points; too few samples, and hardly any bias."""
    few = found["unpinned-error"]
    assert 2_500 < few.samples.value < 9_000
    assert few.answer == "worse"
    assert "too few samples" in few.why
    assert 0.03 < few.worse.value < 0.10
    assert abs(few.bias.value) < 0.25 * few.sampling.value
    assert few.effective_samples.value == pytest.approx(few.samples.value, rel=0.5)


def test_skew_that_is_detected_costs_none(found: dict[str, Decision]) -> None:
    """`unpinned-cold` and `v6` decide as baremetal does."""
    for name in ("unpinned-cold", "v6"):
        assert found[name].answer == "same", name
        assert abs(found[name].worse.value) < 0.005
