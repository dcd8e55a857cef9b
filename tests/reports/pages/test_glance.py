"""The table at a glance."""

from __future__ import annotations

from reports.pages import firstscreen, glance
from tests.rigs.samples import described, tables


def test_an_arm_that_ended_is_not_identical() -> None:
    """At operation 1,000 of 1,000,000 nothing is lost and nothing is known."""
    (row,) = (row for row in glance.rows(described()) if row[0] == "refused")
    assert row[1].endswith("(ended)")
    assert row[2:4] == ("too short to tell", "too short to tell")


def test_the_page_has_the_cells_of_the_table() -> None:
    """Verdict, distance, memory, exits and records are the same text in both."""
    result = described()
    rows = {row[0].removesuffix(" (upper bound)"): row for row in glance.rows(result)}
    assert all(len(row) == len(glance.HEAD) for row in rows.values())
    for shown in firstscreen.rows(result, tables()):
        cells = {cell.column: cell.value for cell in shown.cells}
        row = dict(zip(glance.HEAD, rows[shown.name], strict=True))
        for column in ("profile", "from baremetal's", "time added", "locked", "records"):
            assert cells[column] == row[column], (shown.name, column)
        assert cells["RLIMIT exits per run"] == row["RLIMIT exits/run"]
