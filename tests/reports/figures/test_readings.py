"""The sentence under a figure, and what a figure leaves out: said, never silent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reports.figures import readings, style, timelines
from reports.runs import datasets
from reports.store import csvdata
from reports.store.csvdata import SHAPES, Table
from reports.store.rows import TimelineRow, by_arm
from tests.rigs.fakes import Plan
from tests.rigs.samples import PLANS, arms, changed, described, scenario, tables


def test_a_loss_without_a_profile_does_not_matter_most() -> None:
    """Nearly everything lost and no record left: no share that could be moved."""
    result = changed(
        described(),
        silent={"loss_skew.mean": 0.3, "loss_skew.ci95": None},
        unpinned_cold={"loss_skew.mean": 0.1, "loss_skew.ci95": None},
    )
    assert readings.losses(result).startswith("The loss matters most in unpinned-cold")
    assert readings.losses(result).endswith("loss becomes skew.")


def test_skew_in_another_arm_is_told() -> None:
    """The arm whose loss moves most is too noisy to show it; another is not."""
    noisy = Plan(name="noisy", design="unpinned", lost=60_000, samples=100, seed=4)
    clear = replace(PLANS[2], symbols=noisy.symbols)
    result = changed(described((Plan(), noisy, clear)), noisy={"loss_skew.mean": 0.5})
    said = readings.losses(result)
    assert "matters most in noisy" in said
    assert said.endswith("would do). unpinned-cold is skewed.")


def test_memory_that_is_populated_before_is_told() -> None:
    """In no total, so it is in no bar: how long it takes, and in which arms."""
    found, result = arms(), described()
    assert "Populating" not in readings.perturbation(tables())
    band = {"here_ms": 996.0, "low_ms": None, "high_ms": None, "unmapping_ms": None}
    result = changed(result, v6={"time_band.prefault": band})
    made = datasets.collect(scenario(found), found, result, {})
    assert readings.perturbation(made).endswith(
        " Populating guest memory before the first run, up to 996 ms in v6, is left out."
    )


def test_timelines_that_show_something_else_come_first() -> None:
    """Arms whose lanes show the same states as one before wait; who is not drawn is named."""
    shape = csvdata.SHAPES["timeline"]

    def row(arm: str, lane: str, state: str) -> tuple[object, ...]:
        cells = {"arm": arm, "lane": lane, "state": state, "begin_us": 0.0, "end_us": 1000.0}
        return tuple(cells.get(c.name, 0) for c in shape)

    seen = {"a": "pin", "b": "pin", "c": "fault", "d": "pin"}
    rows = [
        row(arm, *what) for arm, state in seen.items() for what in (("window", ""), ("KVM", state))
    ]
    table = Table("timeline", shape, tuple(rows))  # type: ignore[arg-type]
    made = by_arm(TimelineRow, {"timeline": table})
    result = described(tuple(Plan(name=name, design="v6", samples=0) for name in seen))
    assert timelines.arms(result, made, 2) == ["a", "c"]
    assert timelines.arms(result, made, 3) == ["a", "b", "c"]
    said = readings.timeline("c", result, made, ["a", "b", "c"])
    assert said.endswith("Not drawn, but in timeline.csv: d.")
    assert "Not drawn" not in readings.timeline("a", result, made)


def test_a_limit_far_above_leaves_room_for_what_is_locked() -> None:
    """8 GiB over 4 MiB would hide it: said in words; 8 MiB is drawn."""
    mib = 1 << 20
    assert style.memory_top([4 * mib], [8 * mib]) == (8 * mib, "")
    top, said = style.memory_top([4 * mib], [8 << 30])
    assert top == 4 * mib
    assert said == " (RLIMIT_MEMLOCK is far above: 8 GiB)"
    assert style.memory_top([0], [8 << 30]) == (8 << 30, "")
    assert style.memory_top([], []) == (0, "")


def test_readings_are_computed() -> None:
    """Each sentence names the arm that matters and its number."""
    result = described()
    assert readings.ledgers(result).startswith("unpinned-cold loses most, 5 % of ops")
    assert "v6 and silent lose no more" in readings.ledgers(result)
    assert (
        "unpinned-cold is skewed: 8.78 % of the samples are in the wrong symbol"
        in readings.symbols(result)
    )
    assert "unpinned-cold for the cause irq_delivery_full" in readings.blackouts(result)
    assert "2 MiB" in readings.locked(result)
    assert "20 times" in readings.locked(result)


def test_readings_of_nothing() -> None:
    """A run with one quiet arm says so."""
    result = described((Plan(),))
    assert readings.ledgers(result) == "No arm loses an op."
    assert readings.blackouts(result) == "There was no blackout."
    assert readings.locked(result) == "No arm locks memory for SPE."
    assert readings.symbols(result) == "Of baremetal one cannot tell."


def theory_table(*rows: dict[str, Any]) -> dict[str, Table]:
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
    said = readings.theory(theory_table({"z": 4.5}, *({"z": 0.3} for _ in range(14))))
    assert "no more than chance" in said
    assert "4.5 standard errors of 8 replications off (collisions of a)" in said


def test_what_chance_does_not_do_is_said() -> None:
    """Positive controls: many standard errors; few with many replications; off without variance."""
    for row in ({"z": -12.0}, {"z": 4.5, "n": 60}, {"z": float("inf"), "simulated": 0.2}):
        said = readings.theory(theory_table(row, {"z": 0.3}))
        assert "more than chance does" in said
        assert "no more" not in said
    assert "100 % of the form" in said


def test_nothing_to_judge() -> None:
    """No form, or no variance to judge by: a sentence that says so."""
    assert readings.theory(theory_table({"condition": "why not"})).startswith("No closed form")
    assert "one replication" in readings.theory(theory_table({"z": None, "n": 1}))


def test_conditions_are_grouped_by_arm_and_escaped() -> None:
    """Each reason once, with its arms; curves are no arms."""
    rows = theory_table(
        {"condition": "why not"}, {"arm": "b\x1b", "condition": "why not"}, {"arm": ""}
    )
    assert readings.conditions(rows) == ("collisions (row 4), a, b\\x1b: why not",)
