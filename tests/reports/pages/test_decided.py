"""Decisions in words: text, JSON, the report's section."""

from __future__ import annotations

import json

import pytest

from reports.pages import decided as pages
from reports.pages import page
from reports.store.read import Source
from tests.reports import decided, drawing


def by_arm() -> pages.By:
    """Decisions of the run."""
    return {name: arm.decisions for name, arm in decided.result().arms.items()}


def test_a_table_a_kind() -> None:
    """What is chosen, a row per arm, the reference without parts."""
    text = pages.as_text(by_arm())
    assert "hot-functions: which functions to optimise (perf report)" in text
    assert "1 of 3 functions; the best choice catches" in text
    assert "sharing: which cache lines to pad" in text
    lines = [line.split() for line in text.splitlines() if line.startswith("  baremetal")]
    assert lines[0][-1] == "reference"
    assert lines[0][4] == "–"
    assert all(len(line) <= 140 for line in text.splitlines())


def test_json_has_the_names_of_the_result() -> None:
    """arms.<name>.decisions.<kind>.regret, with mean and interval."""
    document = json.loads(pages.as_json("decided", by_arm()))
    found = document["arms"]["v6"]["decisions"]["hot-functions"]
    assert {"regret", "bias", "sampling", "effective_samples"} <= found.keys()
    assert set(found["regret"]) == {"mean", "ci95", "n", "unit"}
    assert document["kind"] == "prediction"


def test_the_report_has_a_section(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its title, its table, the figure's data."""
    found = decided.described()
    drawing.only(monkeypatch, "decisions")
    html = page.render(Source(found.result, found.tables, "", {}))
    assert '<h2 id="decisions">Would you decide the same?</h2>' in html
    assert "hot-functions: which functions to optimise (perf report)" in html
    assert "nothing to decide" not in html
    assert 'id="data-decisions"' in html
