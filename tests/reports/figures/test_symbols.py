"""Symbols in a figure: narrowed to those that differ."""

from __future__ import annotations

import re

import pytest

from reports import figures
from reports.figures import symbols
from tests.reports import drawing
from tests.rigs.fakes import Plan
from tests.rigs.samples import described, tables


def test_many_arms_are_narrowed_to_those_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten arms: the first and the most biased are drawn."""
    bias = (0.30, 0.50, 0.15, 0.05)
    plans = [Plan(name=f"arm{k}", seed=k, samples=100_000) for k in range(9)]
    plans.append(Plan(name="biased", shares=bias, samples=100_000))
    drawing.only(monkeypatch, "symbols")
    found = {d.key: d for d in figures.draw(described(plans), tables(plans))}
    svg = found["symbols"].svg
    assert "biased" in svg
    assert "arm0" in svg
    assert len(re.findall(r">arm\d<", svg)) == symbols.MAX_ARMS - 1
