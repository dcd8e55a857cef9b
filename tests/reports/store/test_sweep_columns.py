"""Tables of a sampled sweep."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from reports.results.sweep_result import NUMBERS
from reports.store.sweep_columns import SWEEP_TABLES
from tests.rigs.swept import COPY, MAP, SAMPLES
from tests.rigs.tiny import TINY, call


@pytest.fixture(autouse=True)
def inside(own_folder: Path) -> None:
    """Each test in a folder of its own, with a scenario of a few cells."""
    Path("s.yaml").write_text(TINY + SAMPLES % "morris")


@pytest.mark.parametrize("method", ["morris", "sobol"])
def test_tables_are_in_the_dictionary(method: str) -> None:
    """Every column of a sweep's tables, and no other; each is explained."""
    Path("s.yaml").write_text(TINY + SAMPLES % method)
    call("sweep", "s.yaml", "-o", "out", "-q", "--no-report", "--replications", "1")
    heads = {}
    for name, known in SWEEP_TABLES.items():
        with Path("out", name).open() as file:
            heads[name] = next(csv.reader(file))
        others = {*NUMBERS["morris"], *NUMBERS["sobol"]}
        mine = [c for c in known if c not in others or c in NUMBERS[method]]
        assert [c for c in heads[name] if c not in (MAP, COPY)] == mine
    for column in {*heads["cells.csv"], *heads["sensitivity.csv"]} - {MAP, COPY}:
        assert call("explain", column).exit_code == 0, column
