"""What several files of this room begin with."""

from __future__ import annotations

import pytest

from reports import figures
from tests.rigs.samples import described, tables


@pytest.fixture(scope="session")
def drawn() -> dict[str, figures.Drawn]:
    """The figures of the made-up run."""
    return {d.key: d for d in figures.draw(described(), tables())}
