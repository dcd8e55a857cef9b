"""Parameters on the page: what was overridden is shown."""

from __future__ import annotations

import pytest

from reports.pages import page
from tests.reports import drawing
from tests.rigs.fakes import Plan
from tests.rigs.samples import source


def test_overridden_parameters_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arm that changes a time is named beside the default."""
    drawing.only(monkeypatch)
    text = page.render(source((Plan(settings={"parameters": {"t_pin": "150ns"}}),)))
    assert "baremetal: 150ns" in text
