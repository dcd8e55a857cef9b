"""CSV: what is written is read back, and no spreadsheet runs any of it."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.store.csvdata import FORMULA_STARTS, Column, Table, TableError, dumps, guarded, loads

SHAPE = (
    Column("arm", str),
    Column("count", int),
    Column("share", float),
    Column("unverified", bool),
)
TEXT = st.text(st.characters(exclude_categories=[]))
ROW = st.tuples(
    TEXT,
    st.none() | st.integers(),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.booleans(),
)
HOSTILE = ("=cmd|' /C calc'!A0", "+1+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1")


@given(st.lists(ROW))
def test_tables_survive_the_trip(rows: list[tuple[str, int, float, bool]]) -> None:
    """Every cell comes back, whatever the text holds."""
    table = Table("x", SHAPE, tuple(rows))
    assert loads("x", SHAPE, dumps(table)) == table


@given(TEXT)
def test_no_text_is_a_formula(text: str) -> None:
    """No written text cell begins with what a spreadsheet evaluates."""
    written = dumps(Table("x", SHAPE, ((text, 1, 1.0, True),)))
    _, cells = csv.reader(io.StringIO(written, newline=""))
    assert not cells[0].startswith(tuple(c for c in FORMULA_STARTS if c != "'"))


@pytest.mark.parametrize("text", HOSTILE)
def test_formulas_are_disarmed(text: str) -> None:
    """The classic injections get an apostrophe; reading takes it away."""
    assert guarded(text) == "'" + text
    table = Table("x", SHAPE, ((text, -5, -0.5, None),))
    written = dumps(table)
    assert ",-5,-0.5," in written  # numbers stay numbers
    assert loads("x", SHAPE, written) == table


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "x.csv:1"),
        ("arm,count\n", "x.csv:1"),
        ("arm,count,share,unverified\nv6,one,1.0,yes\n", "x.csv:2"),
        ("arm,count,share,unverified\nv6,1,1.0,maybe\n", "x.csv:2"),
        ("arm,count,share,unverified\nv6,1,1.0,yes\nv6,1\n", "x.csv:3"),
    ],
)
def test_damage_is_located(text: str, where: str) -> None:
    """File and line of the first row that does not fit."""
    with pytest.raises(TableError, match=where):
        loads("x", SHAPE, text)
