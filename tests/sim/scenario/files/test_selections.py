"""spe.selection: FILE: found beside the scenario or in the stock, read with places, kept whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.scenario.files.dump import dump
from sim.scenario.files.loader import ScenarioError, load
from sim.scenario.models.selection import SelectionTable

SCENARIO = """\
workload: {kind: synthetic, phases: [{name: loop, length: 41, iterations: 500}]}
spe: {selection: table.yaml}
arms:
  - design: baremetal
  - {name: even, design: baremetal, overrides: {spe.selection: null}}
"""
TABLE = """\
selection_table: 1
source: a test
window: 24
distances: [0, 4]
weights:
  other: [1, 1]
  load: [2, 1.5]
  store: [0.5, 1]
  atomic: [1, 1]
  branch: [0, 1]
"""


def _problems(folder: Path, table: str | None, scenario: str = SCENARIO) -> list[str]:
    (folder / "scenario.yaml").write_text(scenario)
    if table is not None:
        (folder / "table.yaml").write_text(table)
    with pytest.raises(ScenarioError) as caught:
        load(folder / "scenario.yaml")
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_a_table_takes_the_place_of_its_name(tmp_path: Path) -> None:
    """In the arms that have it; the resolved scenario holds it and loads without the file."""
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    (tmp_path / "table.yaml").write_text(TABLE)
    made = load(tmp_path / "scenario.yaml")
    table, none = (arm.settings.spe.selection for arm in made.arms)
    assert none is None
    assert isinstance(table, SelectionTable)
    assert table.columns()[1] == [2.0, 2.0, 2.0, 2.0, 1.5]
    (tmp_path / "table.yaml").unlink()
    (tmp_path / "again.yaml").write_text(dump(made))
    assert load(tmp_path / "again.yaml") == made


def test_the_stock_has_one(tmp_path: Path) -> None:
    """By its path in the stock, from anywhere; and by --set, where the path is of this folder."""
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO.replace("table.yaml", "selection/public-2022.yaml"))
    table = load(file).arms[0].settings.spe.selection
    assert table is not None
    assert table.window == 32
    (tmp_path / "mine.yaml").write_text(TABLE)
    made = load("synthetic", [f"spe.selection={tmp_path / 'mine.yaml'}"])
    assert {
        arm.settings.spe.selection.source for arm in made.arms if arm.settings.spe.selection
    } == {"a test"}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (TABLE.replace("window: 24", "window: 1"), "table.yaml:3:9: spe.selection.window: must be"),
        (
            TABLE.replace("[2, 1.5]", "[2, x]"),
            "table.yaml:7:13: spe.selection.weights.load.1: must be a",
        ),
        (
            TABLE.replace("window", "windows"),
            "table.yaml:3:1: spe.selection.windows: unknown key; did",
        ),
        (
            TABLE.replace("  branch: [0, 1]\n", ""),
            "table.yaml:5:1: spe.selection.weights.branch: is miss",
        ),
        (
            TABLE.replace("[2, 1.5]", "[2]"),
            "table.yaml:7:9: spe.selection.weights.load: has 1 numbers",
        ),
        (
            TABLE.replace("[2, 1.5]", "[2, -1]"),
            "table.yaml:7:9: spe.selection.weights.load: has a numb",
        ),
        (
            TABLE.replace("[0, 4]", "[0, 24]"),
            "table.yaml:4:12: spe.selection.distances: must begin",
        ),
        (TABLE.replace("[0, 4]", "[1, 4]"), "table.yaml:4:12: spe.selection.distances: must begin"),
        (
            TABLE.replace("selection_table: 1", "selection_table: 2"),
            "table.yaml:1:18: spe.selection.sel",
        ),
    ],
)
def test_what_is_wrong_has_its_place_in_the_table(tmp_path: Path, table: str, said: str) -> None:
    """File, line and column of the table, not of the scenario that names it."""
    found = _problems(tmp_path, table)
    assert any(line.startswith(said) for line in found), found


def test_no_table_is_said_where_it_is_named(tmp_path: Path) -> None:
    """And what makes one."""
    (line,) = _problems(tmp_path, None)
    assert line.startswith("scenario.yaml:2:18: spe.selection: no file 'table.yaml' beside")
    assert "speskew calibrate" in line


@pytest.mark.parametrize("text", ["secret: 42\n", "secret: [42\n", "42\n", "\x00"])
def test_nothing_else_is_quoted(tmp_path: Path, text: str) -> None:
    """A scenario may come from someone else and name any file."""
    found = _problems(tmp_path, text)
    assert found
    assert not any("42" in line or "secret" in line for line in found), found


def test_two_models_of_one_thing_are_refused(tmp_path: Path) -> None:
    """With the erratum; and without an order of ops there is no distance."""
    both = SCENARIO.replace("table.yaml", "table.yaml, target_bias_per_mille: 300")
    found = _problems(tmp_path, TABLE, both)
    assert any("two models of one thing" in line for line in found)


def test_all_zero_chooses_nothing(tmp_path: Path) -> None:
    """A weight above 0 is needed."""
    zeros = TABLE
    for row in ("[1, 1]", "[2, 1.5]", "[0.5, 1]", "[0, 1]"):
        zeros = zeros.replace(row, "[0, 0]")
    assert any("are all 0" in line for line in _problems(tmp_path, zeros))
