"""The sentence about theory, and the cases in which no form holds."""

from __future__ import annotations

from typing import Any

from reports.figures import theory_readings
from reports.store.csvdata import SHAPES, Table


def table(*rows: dict[str, Any]) -> dict[str, Table]:
    """A theory table; what a row does not say is a point on its curve."""
    base: dict[str, Any] = {
        "arm": "a",
        "row": "4",
        "abscissa": "renewals",
        "quantity": "collided_fraction",
        "x": 0.1,
        "theory": 0.1,
        "simulated": 0.1,
        "low": 0.09,
        "high": 0.11,
        "z": 0.0,
        "n": 8,
        "condition": "",
    }
    shape = SHAPES["theory"]
    cells = tuple(tuple((base | row)[c.name] for c in shape) for row in rows)
    return {"theory": Table("theory", shape, cells)}


def test_chance_is_not_a_finding() -> None:
    """4.5 standard errors over 8 replications is what chance does to one of 15 points."""
    said = theory_readings.theory(table({"z": 4.5}, *({"z": 0.3} for _ in range(14))))
    assert "no more than chance" in said
    assert "4.5 standard errors of 8 replications off (collisions of a)" in said


def test_what_chance_does_not_do_is_said() -> None:
    """Positive controls: many standard errors; few with many replications; off without variance."""
    for row in ({"z": -12.0}, {"z": 4.5, "n": 60}, {"z": float("inf"), "simulated": 0.2}):
        said = theory_readings.theory(table(row, {"z": 0.3}))
        assert "more than chance does" in said
        assert "no more" not in said
    assert "100 % of the form" in said


def test_nothing_to_judge() -> None:
    """No form, or no variance to judge by: a sentence that says so."""
    assert theory_readings.theory(table({"condition": "why not"})).startswith("No closed form")
    assert "one replication" in theory_readings.theory(table({"z": None, "n": 1}))


def test_conditions_are_grouped_by_arm_and_escaped() -> None:
    """Each reason once, with its arms; curves are no arms."""
    rows = table({"condition": "why not"}, {"arm": "b\x1b", "condition": "why not"}, {"arm": ""})
    assert theory_readings.conditions(rows) == ("collisions (row 4), a, b\\x1b: why not",)
