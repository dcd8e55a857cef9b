"""What several files of these rooms begin with.

Not in `tests/conftest.py`: it imports the command line, and every process of pytest would wait.
"""

from __future__ import annotations

import pytest

from reports import figures
from reports.pages import page
from tests.rigs.samples import described, source, tables
from tests.tools.captures import synthetic

__all__ = ["synthetic"]


@pytest.fixture(scope="session")
def drawn() -> dict[str, figures.Drawn]:
    """The figures of the made-up run, of which a test of theirs says that they are always so."""
    return {d.key: d for d in figures.draw(described(), tables())}


@pytest.fixture(scope="session")
def html(drawn: dict[str, figures.Drawn]) -> str:
    """The page of the made-up run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "draw", lambda *_: list(drawn.values()))
        return page.render(source())
